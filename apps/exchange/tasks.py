"""The rounds over whole organizations: those that are due to go, and files that nobody needs."""

from celery import shared_task

from apps.exchange.creation import uploads
from apps.exchange.organization import deletion, job


@shared_task(name="exchange.delete_organizations", ignore_result=True)
def delete_organizations() -> int:
    """Delete the organizations whose 30 days are over; returns how many."""
    return deletion.delete_due()


@shared_task(name="exchange.forget_exports", ignore_result=True)
def forget_exports() -> int:
    """Delete the files of exports that are a week old; returns how many."""
    return job.forget_exports()


@shared_task(name="exchange.sweep_uploads", ignore_result=True)
def sweep_uploads() -> int:
    """Delete uploads that nobody has read for two weeks; returns how many."""
    return uploads.sweep()
