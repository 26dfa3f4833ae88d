"""The sweeps that start work while people label."""

from celery import shared_task

from apps.quality.review import refresh_due
from apps.quality.services import retrain_due


@shared_task(name="quality.retrain")
def retrain() -> None:
    """Start the trainings for which enough answers have come in."""
    retrain_due()


@shared_task(name="quality.refresh_review")
def refresh_review() -> None:
    """Start to bring review queues up to date where there are new answers."""
    refresh_due()
