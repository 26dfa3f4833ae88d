"""The rounds over whole organizations: those that are due to go, and old files of exports."""

from celery import shared_task

from apps.exchange.organization import deletion, job


@shared_task(name="exchange.delete_organizations", ignore_result=True)
def delete_organizations() -> int:
    """Delete the organizations whose 30 days are over; returns how many."""
    return deletion.delete_due()


@shared_task(name="exchange.forget_exports", ignore_result=True)
def forget_exports() -> int:
    """Delete the files of exports that are a week old; returns how many."""
    return job.forget_exports()
