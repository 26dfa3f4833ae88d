"""Reviewers' decisions in files: one object in JSON Lines, columns of their own in CSV.

::

    "adjudication": {"reviewer": "rita", "values": {"sentiment": {"value": "mixed"}},
                     "ambiguous": ["topic"], "note": "…", "decided_at": "…"}

Where a model's sure answer was taken without a look, ``accepted`` names the acceptance by question;
so nobody takes it for a person's decision, here or elsewhere. ``reviewer`` decided the others, and
is null where nobody did.

Reading a file again keeps them; nobody gets feedback for what a file brings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from apps.core.errors import InvalidError
from apps.datasets.models import Dataset
from apps.datasets.schema import DatasetSchema
from apps.exchange.compose import People, answer
from apps.exchange.own_form import bare, moment
from apps.exchange.strict_json import read_json
from apps.quality.decisions import GivenAdjudication, Ruling, import_adjudications
from apps.records.inputs import RecordInput

ABOUT: Final = ("reviewer", "note", "ambiguous", "accepted", "decided_at")


@dataclass(slots=True)
class JudgedRecord(RecordInput):
    """A record that brings its decision along."""

    adjudication: GivenAdjudication | None = None


def judged(record: RecordInput, adjudication: GivenAdjudication) -> JudgedRecord:
    """The record with the decision on it."""
    parts = {name: getattr(record, name) for name in RecordInput.__dataclass_fields__}
    return JudgedRecord(**parts, adjudication=adjudication)


def read_adjudication(given: Any, *, schema: DatasetSchema, people: People) -> GivenAdjudication:
    """The decision that an object describes. Raises ``InvalidError``."""
    if not isinstance(given, dict) or not isinstance(given.get("values") or {}, dict):
        raise InvalidError("adjudication must be an object with values")
    values = {
        name: {"value": answer(schema, name, bare(value))}
        for name, value in (given.get("values") or {}).items()
    }
    ambiguous, note = given.get("ambiguous") or [], given.get("note") or ""
    if not isinstance(ambiguous, list) or not all(isinstance(one, str) for one in ambiguous):
        raise InvalidError("adjudication: ambiguous must be a list of questions")
    if not isinstance(note, str):
        raise InvalidError("adjudication: note must be a text")
    accepted = given.get("accepted") or {}
    if not isinstance(accepted, dict) or not all(isinstance(v, str) for v in accepted.values()):
        raise InvalidError("adjudication: accepted must be an object of texts by question")
    reviewer = given.get("reviewer")
    return GivenAdjudication(
        ruling=Ruling(values, ambiguous, note),
        reviewer_id=None if reviewer is None else people.id_of(str(reviewer)),
        decided_at=moment(given.get("decided_at")),
        accepted={name: id for name, id in accepted.items() if name in values},
    )


def read_cells(
    cells: Mapping[str, Any], *, schema: DatasetSchema, people: People
) -> GivenAdjudication | None:
    """The decision in the cells of a row, by question and by ``.about``; None for none."""
    about = {name: cells.get(f".{name}") for name in ABOUT}
    values = {name: value for name, value in cells.items() if not name.startswith(".")}
    if not values and not about["ambiguous"]:
        return None
    for name in ("ambiguous", "accepted"):
        cell = about[name]
        if isinstance(cell, str):
            about[name] = read_json(cell)
    return read_adjudication({"values": values, **about}, schema=schema, people=people)


def store_adjudications(
    dataset: Dataset, items: Sequence[RecordInput], record_ids: Sequence[UUID]
) -> None:
    """Store what the records brought along; ``record_ids`` are theirs, in the same order."""
    given = [
        (record_id, item.adjudication)
        for item, record_id in zip(items, record_ids, strict=True)
        if isinstance(item, JudgedRecord) and item.adjudication is not None
    ]
    import_adjudications(dataset=dataset, given=given)
