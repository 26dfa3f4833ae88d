"""The sweep over kept answers that have expired."""

from celery import shared_task

from apps.organizations.idempotency import sweep


@shared_task(name="organizations.sweep_idempotent_requests", ignore_result=True)
def sweep_idempotent_requests() -> int:
    """Delete the expired answers of every organization; returns how many."""
    return sweep()
