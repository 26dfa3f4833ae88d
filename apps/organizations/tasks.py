"""The sweep over kept answers that have expired."""

from celery import shared_task

from apps.organizations.idempotency import sweep
from apps.organizations.operating import end_old_support


@shared_task(name="organizations.sweep_idempotent_requests", ignore_result=True)
def sweep_idempotent_requests() -> int:
    """Delete the expired answers of every organization; returns how many."""
    return sweep()


@shared_task(name="organizations.end_support", ignore_result=True)
def end_support() -> int:
    """Note the end of support accesses whose time is over; returns how many."""
    return end_old_support()
