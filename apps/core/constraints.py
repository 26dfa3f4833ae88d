"""Helpers that let the database state a rule."""

from django.db import models
from django.db.models import Q


def one_of(field: str, choices: type[models.TextChoices], *, name: str) -> models.CheckConstraint:
    """A CHECK that ``field`` holds one of ``choices``."""
    return models.CheckConstraint(condition=Q(**{f"{field}__in": choices.values}), name=name)
