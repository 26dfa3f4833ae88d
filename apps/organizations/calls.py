"""How many requests of the API an organization makes in a month: counted in passing."""

from datetime import date
from uuid import UUID

from django.utils import timezone

from apps.core import tallies


def note_call(organization_id: UUID) -> None:
    """One more call, by a key or token that is known."""
    tallies.count(tally_of(organization_id, timezone.now().date()))


def tally_of(organization_id: UUID, day: date) -> str:
    """The name of the tally of the day's month."""
    return f"calls:{organization_id}:{day:%Y-%m}"
