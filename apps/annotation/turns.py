"""Turns: what one person does in a dataset happens one after the other.

Whoever hands out to an annotator, or stores their answer, holds their row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from apps.annotation import slots
from apps.annotation.models import Annotator
from apps.core.prepared import execute
from apps.core.tenancy import current
from apps.datasets.models import Dataset
from apps.organizations.models import Membership


@dataclass(frozen=True, slots=True)
class Turn:
    """The annotator's row, locked: what one person does in a dataset takes turns.

    With it the dataset's ``reopened_at``, read before the queue is looked at.
    """

    place: Annotator
    reopened_at: datetime | None

    COLUMNS: ClassVar[str] = """
        a.cursor_id, a.exhausted_at, a.day, a.submitted_today, a.daily_quota, a.total_quota,
        (SELECT c.reopened_at FROM dataset_counter c
            WHERE c.organization_id = a.organization_id AND c.dataset_id = a.dataset_id)
    """

    @classmethod
    def of(cls, dataset: Dataset, annotator: Membership, row: Sequence[Any]) -> "Turn":
        """From a row of ``COLUMNS`` that a statement has locked."""
        cursor_id, exhausted_at, day, submitted_today, daily_quota, total_quota, reopened_at = row
        place = Annotator(
            dataset=dataset,
            user=annotator,
            cursor_id=cursor_id,
            exhausted_at=exhausted_at,
            day=day,
            submitted_today=submitted_today,
            daily_quota=daily_quota,
            total_quota=total_quota,
        )
        return cls(place, reopened_at)


_LOCK_PLACE = f"""
SELECT {Turn.COLUMNS} FROM annotator a
WHERE a.organization_id = %(o)s AND a.dataset_id = %(d)s AND a.user_id = %(u)s
FOR NO KEY UPDATE OF a
"""


def take_turn(dataset: Dataset, annotator: Membership) -> Turn:
    """Wait for it; at the first time the place is made. One statement, then four."""
    facts = {"o": current(), "d": dataset.id, "u": annotator.id}
    row = execute(_LOCK_PLACE, facts).fetchone()
    if row is None:
        slots.lock_places(dataset.id, [annotator.id])
        return take_turn(dataset, annotator)
    return Turn.of(dataset, annotator, row)
