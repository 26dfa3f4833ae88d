"""The sweep over what was thrown away."""

from celery import shared_task

from apps.records import trash


@shared_task(name="records.empty_trash", ignore_result=True)
def empty_trash() -> int:
    """Delete datasets that have been in the trash long enough; returns how many."""
    return trash.empty_trash()
