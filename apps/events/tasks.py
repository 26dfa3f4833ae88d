"""The rounds over the event log: seal, check, remove what is no longer kept."""

from celery import shared_task

from apps.core.rounds import find, for_each
from apps.events import retention, seals


@shared_task(name="events.seal", ignore_result=True)
def seal() -> int:
    """Seal what waits in every organization; returns how many seals that made."""
    return seals.seal_all()


@shared_task(name="events.check", ignore_result=True)
def check() -> int:
    """Check every organization's log; returns how many are not whole."""
    sealed = find("SELECT DISTINCT organization_id FROM event_seal")
    return sum(not verdict.is_valid for verdict in for_each(sealed, seals.check))


@shared_task(name="events.prune", ignore_result=True)
def prune() -> int:
    """Remove the events that organizations no longer keep; returns how many."""
    return retention.prune_all()
