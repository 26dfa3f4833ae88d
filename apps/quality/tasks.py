"""The sweep that starts trainings while people label."""

from celery import shared_task

from apps.quality.services import retrain_due


@shared_task(name="quality.retrain")
def retrain() -> None:
    """Start the trainings for which enough answers have come in."""
    retrain_due()
