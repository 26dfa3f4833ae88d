"""Records that nobody is asked about: all that is required was decided for them."""

from collections.abc import Collection, Iterable
from uuid import UUID

from apps.datasets.schema import DatasetSchema
from apps.records.models import RecordTask


def is_complete(schema: DatasetSchema, decided: Collection[str]) -> bool:
    """Whether all required questions are among those decided."""
    return all(name in decided for name in schema.required_questions)


def settled_among(record_ids: Iterable[UUID]) -> set[UUID]:
    rows = RecordTask.objects.filter(record__in=list(record_ids), settled=True)
    return set(rows.values_list("record_id", flat=True))


def note_settled(*, settled: Collection[UUID], reopened: Collection[UUID]) -> None:
    """The records must be locked, and are to be recounted: that comes last."""
    for ids, state in ((settled, True), (reopened, False)):
        if ids:
            RecordTask.objects.filter(record__in=ids).update(settled=state)
