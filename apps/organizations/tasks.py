"""What beat does here: sweeping expired answers, ending support, looking at domains again."""

from celery import shared_task

from apps.organizations import domains
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


@shared_task(name="organizations.look_at_domains", ignore_result=True)
def look_at_domains() -> int:
    """Look for the proofs of all domains in use; returns how many count no longer."""
    return domains.look_again()
