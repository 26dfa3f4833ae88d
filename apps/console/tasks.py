"""Figures of large datasets."""

from urllib.parse import parse_qsl
from uuid import UUID

from celery import shared_task
from django.http import Http404
from django.utils import translation

from apps.console import figures
from apps.console.standing_cards import read_look
from apps.core.tenancy import enter
from apps.datasets.models import Dataset


@shared_task(name="console.count_figures", ignore_result=True)
def count_figures(
    organization_id: str, dataset_id: str, key: str, query: str, language: str
) -> None:
    """Count a card's figures and keep them; nothing of what is gone meanwhile."""
    with enter(UUID(organization_id)), translation.override(language):
        dataset = Dataset.objects.filter(id=dataset_id).first()
        if dataset is None:
            return
        try:
            look = read_look(dataset, dict(parse_qsl(query)))
        except Http404:
            return
        figures.count(look, key)
