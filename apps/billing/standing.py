"""Where an organization stands towards its limit and its invoices, and when it will reach it."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final

from django.utils import timezone

from apps.organizations.models import Organization, RecordVolume

NEAR: Final = 80  # percent
FARTHEST: Final = 3660  # days that a forecast looks ahead


class State(StrEnum):
    """From the worst: closed while unpaid; read-only over the limit; a grace of either; …"""

    CLOSED = "closed"
    OVER = "over"
    OVERDUE = "overdue"
    GRACE = "grace"
    FULL = "full"
    NEAR = "near"
    FINE = "fine"


@dataclass(frozen=True, slots=True)
class Standing:
    """``limit`` None is none; ``until`` is when a grace ends, or since when it is over."""

    records: int
    limit: int | None
    state: State
    until: datetime | None = None

    @property
    def percent(self) -> int:
        """Rounded down: 100 only when it is reached."""
        return self.records * 100 // max(self.limit, 1) if self.limit is not None else 0


def standing_in(organization: Organization) -> Standing:
    """As of when the organization was read; one query unless its volume was read along."""
    return standing_of(getattr(organization, "volume", None) or RecordVolume(), timezone.now())


def standing_of(volume: RecordVolume, now: datetime) -> Standing:
    return Standing(volume.records, volume.record_limit, *_state(volume, now))


def _state(volume: RecordVolume, now: datetime) -> tuple[State, datetime | None]:
    if volume.closes_at is not None:
        return (State.CLOSED if volume.closes_at <= now else State.OVERDUE), volume.closes_at
    limit = volume.record_limit
    if limit is None:
        return State.FINE, None
    if volume.records > limit:
        until = volume.former_until
        in_grace = until is not None and until > now
        return (State.GRACE if in_grace else State.OVER), until
    if volume.records == limit:
        return State.FULL, None
    near = volume.records * 100 >= limit * NEAR
    return (State.NEAR if near else State.FINE), None


@dataclass(frozen=True, slots=True)
class Pace:
    """Records a day, as this month goes."""

    held: int
    added: int
    per_day: float
    today: date

    def reaches(self, limit: int | None) -> date | None:
        """The day on which the limit is reached; None when it never is, or in over ten years."""
        if limit is None or self.per_day <= 0 or self.held >= limit:
            return None
        days = (limit - self.held) / self.per_day
        return self.today + timedelta(days=int(days)) if days <= FARTHEST else None


def pace(*, held: int, before: int, now: datetime, since: datetime) -> Pace:
    """``before`` were held at the month's beginning, or at ``since`` where that is later.

    The time that has passed counts as a day at least, so the first hour of a month says little.
    """
    begin = max(datetime(now.year, now.month, 1, tzinfo=UTC), since)
    days = max((now - begin).total_seconds() / 86400, 1.0)
    return Pace(held, held - before, (held - before) / days, now.date())
