"""Remembering what was copied. Used inside the organization."""

from dataclasses import asdict, dataclass, field
from uuid import UUID

from apps.exchange.argilla.report import Counts
from apps.exchange.models import CopiedKind, CopiedObject


@dataclass(slots=True)
class Progress:
    """How far a dataset's records are: ``offset`` of them were passed, holding ``counts``.

    ``last`` is the id there of the last one passed; empty when that need not be in its place.
    ``skipped`` counts all that was left out, ``rejected`` the records among it.
    """

    offset: int = 0
    last: str = ""
    skipped: int = 0
    rejected: int = 0
    counts: Counts = field(default_factory=Counts)


def find_copy(kind: CopiedKind, source_id: UUID) -> UUID | None:
    """The id here of what has this id there."""
    rows = CopiedObject.objects.filter(kind=kind, source_id=source_id)
    return rows.values_list("target_id", flat=True).first()


def note_copy(kind: CopiedKind, source_id: UUID, target_id: UUID) -> None:
    """Remember what an object became; a dataset starts from its first record."""
    CopiedObject.objects.bulk_create(
        [CopiedObject(kind=kind, source_id=source_id, target_id=target_id)],
        update_conflicts=True,
        unique_fields=["organization", "kind", "source_id"],
        update_fields=["target_id", "progress"],
    )


def load_progress(source_id: UUID) -> Progress:
    rows = CopiedObject.objects.filter(kind=CopiedKind.DATASET, source_id=source_id)
    stored = rows.values_list("progress", flat=True).first()
    return Progress(**{**stored, "counts": Counts(**stored["counts"])}) if stored else Progress()


def save_progress(source_id: UUID, progress: Progress) -> None:
    rows = CopiedObject.objects.filter(kind=CopiedKind.DATASET, source_id=source_id)
    rows.update(progress=asdict(progress))
