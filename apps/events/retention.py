"""How long events are kept. Seals stay, so what is left can still be checked."""

from typing import Final
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.core.errors import InvalidError
from apps.core.prepared import raw_cursor
from apps.core.rounds import find, for_each
from apps.core.tenancy import enter
from apps.events.log import Origin, acting_as, changes, emit
from apps.events.models import EventRetention
from apps.events.seals import PRUNED, retention

LEAST: Final = 30  # days; the table says so too
MOST: Final = 36_500


@transaction.atomic
def set_retention(*, days: int | None) -> None:
    """Keep events for so many days from now on, or for ever. Raises ``InvalidError``."""
    if days is not None and not LEAST <= days <= MOST:
        raise InvalidError(f"Events are kept for {LEAST} days at least.")
    before = retention()
    if before == days:
        return
    EventRetention.objects.create(set_at=timezone.now(), days=days)
    emit("audit.retention_set", payload=changes({"days": before}, {"days": days}))


def prune(*, organization_id: UUID) -> int:
    """Remove what is older, whole seals at a time; returns how many events.

    The log says so itself, in the same transaction, or the seals would look broken.
    """
    removed = 0
    while True:
        with enter(organization_id), acting_as(Origin()):
            row = raw_cursor().execute("SELECT through, removed FROM prune_events()").fetchone()
            if row is None:
                return removed
            emit(PRUNED, payload={"through": row[0], "events": row[1]})
        removed += row[1]


def prune_all() -> int:
    """``prune`` for every organization that does not keep its events for ever."""
    return sum(for_each(find("SELECT DISTINCT organization_id FROM event_retention"), prune))
