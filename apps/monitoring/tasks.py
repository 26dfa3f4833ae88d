"""The sweeps over monitors."""

from celery import shared_task

from apps.monitoring.services import notice_due
from apps.monitoring.services import prune as prune_predictions


@shared_task(name="monitoring.notice")
def notice() -> None:
    """Tell where enough answers have come in to retrain."""
    notice_due()


@shared_task(name="monitoring.prune")
def prune() -> None:
    """Forget old predictions."""
    prune_predictions()
