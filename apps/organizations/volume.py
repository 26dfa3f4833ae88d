"""The record volume: counted in the transaction that writes the records, limited by the plan.

At the limit new records are refused, and nothing else: people go on answering what is there.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext

from apps.core.errors import LimitReachedError
from apps.core.prepared import fetch_one
from apps.core.tenancy import current
from apps.events.log import emit
from apps.organizations.models import Organization, Plan, RecordVolume

RECORD_LIMITS: Final[Mapping[str, int | None]] = {
    Plan.SELF_HOSTED: None,
    Plan.STARTER: 1_000_000,
    Plan.BASE: 3_000_000,
    Plan.MEDIUM: 4_000_000,
    Plan.LARGE: 6_000_000,
}
GRACE: Final = timedelta(days=31)
_COUNT: Final = """
UPDATE record_volume SET records = greatest(records + %(n)s, 0)
WHERE organization_id = %(o)s AND (%(n)s <= 0 OR (
    (closes_at IS NULL OR closes_at > %(now)s)
    AND (record_limit IS NULL OR records + %(n)s <= record_limit OR (former_until > %(now)s
        AND (former_limit IS NULL OR records + %(n)s <= former_limit)))))
"""


def count_records(change: int) -> None:
    """Add ``change`` (may be negative) to the organization's records, as the plan allows.

    One conditional UPDATE; the last statement of its transaction, since it serialises the
    organization's writers. Raises ``LimitReachedError`` and changes nothing over the limit.
    """
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, {"n": change, "o": current(), "now": timezone.now()})
        if cursor.rowcount == 0:
            raise LimitReachedError(_reason())


def _reason() -> str:
    volume = find_volume()
    if volume and volume.closes_at and volume.closes_at <= timezone.now():
        return gettext("An invoice is overdue: records can be added again once it is paid.")
    return gettext("The plan's record limit is reached.")


def find_volume() -> RecordVolume | None:
    """The organization's volume. One prepared statement."""
    return fetch_one(RecordVolume, "true")


@transaction.atomic
def set_plan(*, organization: Organization, plan: str) -> None:
    """Give the organization a plan and its limit, at once.

    Where the new limit lies below what is held, the former one holds for ``GRACE``; a grace that
    has begun is not renewed by another change.
    """
    volume = RecordVolume.objects.select_for_update().get()
    before, limit = organization.plan, RECORD_LIMITS[plan]
    if limit is None or volume.records <= limit:
        volume.former_limit = volume.former_until = None
    elif volume.former_until is None:
        volume.former_limit = volume.record_limit
        volume.former_until = timezone.now() + GRACE
    volume.record_limit = limit
    volume.save()
    organization.plan = plan
    Organization.objects.filter(pk=organization.pk).update(plan=plan, updated_at=timezone.now())
    emit(
        "organization.plan_set",
        object_id=organization.id,
        payload={"changes": {"plan": [before, plan]}},
    )


def close_at(moment: datetime | None) -> None:
    """From ``moment`` on no record is added; None opens the organization again.

    Whoever adds records waits for what is written here, so nothing is where it changes nothing.
    """
    RecordVolume.objects.exclude(closes_at=moment).update(closes_at=moment)


def end_needless_grace() -> None:
    """Forget the former limit once the plan's own holds everything."""
    held = RecordVolume.objects.exclude(former_until=None)
    for volume in held.select_for_update():
        if volume.record_limit is None or volume.records <= volume.record_limit:
            held.update(former_limit=None, former_until=None)
