"""Recipes that tests offer."""

from collections.abc import Iterator, Sequence

import pytest

from apps.jobs import kinds
from apps.jobs.errors import RetryLaterError
from apps.pipelines.parsers import Answer
from apps.pipelines.recipes import registry
from apps.pipelines.recipes.base import Answered, Context
from apps.pipelines.recipes.registry import offer
from apps.pipelines.recipes.suggest import Asked, Suggest

BUSY: set[str] = set()  # texts of records that somebody is writing


class Waiting(Suggest):
    """Suggests, but for records that somebody else is writing."""

    name = "waiting"

    def write(self, context: Context, pairs: Sequence[Answered[Asked, Answer | None]]) -> None:
        super().write(context, pairs)
        for pair in pairs:
            if pair.material.fields["text"] in BUSY:
                raise RetryLaterError("Somebody is writing this record.", seconds=60)


@pytest.fixture
def waiting() -> Iterator[None]:
    """The recipe can be started."""
    offer("waiting", f"{Waiting.__module__}.{Waiting.__name__}")
    yield
    registry._paths.pop("waiting")
    kinds._paths.pop("waiting")
    BUSY.clear()
