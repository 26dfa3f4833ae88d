"""The job that marks near-duplicates among a dataset's records, without a model.

``params``: ``{"fields": ["text"] or null, "vector": "name" or null, "words": …, "meaning": …}``.
A record that repeats an earlier one gets ``metadata.duplicate_of``, the external id of the first
of its group; every record of a group gets ``metadata.duplicate_cluster``, that same id. Nothing is
deleted; marks that do not hold any more are taken away.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import numpy as np
from django.db import transaction

from apps.annotation.ingest import log_records
from apps.core.errors import InvalidError
from apps.core.tenancy import enter
from apps.datasets import content
from apps.datasets.models import Dataset
from apps.datasets.schema import DatasetSchema, load_schema
from apps.jobs.errors import AbandonJobError
from apps.jobs.kinds import FREE, Kind, Planned, Work
from apps.jobs.models import Job
from apps.jobs.services import enqueue
from apps.organizations.models import Membership
from apps.quality.embeddings import embed
from apps.quality.near.clusters import COMMON, MEANING, WORDS, clusters
from apps.records.inputs import RecordInput
from apps.records.models import Record, RecordVector
from apps.records.text import searchable_text

KIND: Final = "find_near_duplicates"
OF: Final = "duplicate_of"
CLUSTER: Final = "duplicate_cluster"
BATCH: Final = 500  # records an item
PAGE: Final = 2_000  # records a query while planning
MOST: Final = 200_000  # records that are compared by words
MOST_NEAR: Final = 20_000  # and by meaning: the time grows with the square
_START: Final = UUID(int=0)


@transaction.atomic
def find_near_duplicates(
    *,
    dataset: Dataset,
    fields: Sequence[str] | None = None,
    vector: str | None = None,
    words: float = WORDS,
    meaning: float = MEANING,
    created_by: Membership | None = None,
) -> Job:
    """Mark the near-duplicates among the dataset's records, as a job.

    ``fields`` are those whose texts are compared, None for all; ``vector`` names the vectors,
    None for those of the built-in embedding. Raises ``InvalidError`` for names that are not
    there, thresholds that are no shares, or metadata that the dataset would not take;
    ``ConflictError`` while such a job runs.
    """
    schema = load_schema(dataset)
    _check(schema, fields, vector, (words, meaning))
    return enqueue(
        kind=KIND,
        params={
            "fields": None if fields is None else list(fields),
            "vector": vector,
            "words": words,
            "meaning": meaning,
        },
        workspace=dataset.workspace,
        dataset_id=dataset.id,
        subject=str(dataset.id),
        created_by=created_by,
    )


def _check(
    schema: DatasetSchema, fields: Sequence[str] | None, vector: str | None, shares: Sequence[float]
) -> None:
    unknown = [name for name in fields or () if name not in schema.fields]
    if unknown or fields == []:
        raise InvalidError(f"There is no field {', '.join(unknown) or 'named'}.")
    if vector is not None and vector not in schema.vectors:
        raise InvalidError(f"There is no vector {vector!r}.")
    if not all(0 < share <= 1 for share in shares):
        raise InvalidError("A threshold lies above 0 and is at most 1.")
    for name in (OF, CLUSTER):
        property = schema.properties.get(name)
        if property is None and not schema.dataset.allow_extra_metadata:
            raise InvalidError(
                f"The dataset takes no undeclared metadata: declare {name!r}, or allow it."
            )
        if property is not None and not content.suits(property, "0"):
            raise InvalidError(f"The metadata property {name!r} cannot hold an id.")


@dataclass(frozen=True, slots=True)
class Batch:
    """Records with the marks they shall have."""

    marks: Mapping[UUID, Mapping[str, str]]


class FindNearDuplicates(Kind[Batch, Batch]):
    """Compares everything while planning, then marks in batches what has to change."""

    def plan(self, job: Job, *, organization_id: UUID) -> Iterator[Planned]:
        ids, names, texts, marked = _read_all(job, organization_id)
        vectors = _vectors(job, organization_id, ids, texts)
        params = job.params
        labels = clusters(
            texts,
            vectors,
            words=params["words"],
            meaning=params["meaning"],
            common=COMMON if params["vector"] is None else 0,
        )
        changes = _changes(ids, names, labels, marked)
        for start in range(0, len(changes), BATCH):
            part = changes[start : start + BATCH]
            yield Planned({"marks": part}, size=len(part))

    def read(self, work: Work) -> Batch:
        return Batch({UUID(id): marks for id, marks in work.payload["marks"]})

    def compute(self, work: Work, material: Batch) -> Batch:
        return material

    def write(self, work: Work, result: Batch) -> Decimal:
        dataset = _dataset(work.job)
        rows = Record.objects.select_for_update(of=("self",)).filter(
            dataset=dataset, id__in=result.marks
        )
        items = [
            RecordInput(id=row.id, metadata={**_unmarked(row.metadata), **result.marks[row.id]})
            for row in rows.in_order()
        ]
        if items:
            log_records(dataset=dataset, items=items)
        return FREE


def _dataset(job: Job) -> Dataset:
    dataset: Dataset | None = Dataset.objects.filter(id=job.dataset_id or _START).first()
    if dataset is None:
        raise AbandonJobError("The dataset was deleted.")
    return dataset


def _read_all(
    job: Job, organization_id: UUID
) -> tuple[list[UUID], list[str], list[str], list[dict[str, str]]]:
    """Ids, external ids, texts and present marks of the records, oldest first."""
    ids: list[UUID] = []
    names: list[str] = []
    texts: list[str] = []
    marked: list[dict[str, str]] = []
    while len(ids) < MOST:
        with enter(organization_id):
            dataset = _dataset(job)
            every = load_schema(dataset).fields
            chosen = {
                name: field
                for name, field in every.items()
                if job.params["fields"] is None or name in job.params["fields"]
            }
            later = Record.objects.filter(dataset=dataset, id__gt=ids[-1] if ids else _START)
            rows = list(
                later.in_order().values_list("id", "external_id", "fields", "metadata")[:PAGE]
            )
        if not rows:
            break
        for id, name, fields, metadata in rows:
            ids.append(id)
            names.append(name)
            texts.append(searchable_text(fields, chosen))
            marked.append(
                {key: (metadata or {})[key] for key in (OF, CLUSTER) if key in (metadata or {})}
            )
    return ids, names, texts, marked


def _vectors(job: Job, organization_id: UUID, ids: Sequence[UUID], texts: Sequence[str]) -> Any:
    """Unit vectors of the records, zeros where there is none; None where there are too many."""
    if not 0 < len(ids) <= MOST_NEAR:
        return None
    if job.params["vector"] is None:
        return embed(texts)
    with enter(organization_id):
        settings = load_schema(_dataset(job)).vectors.get(job.params["vector"])
        if settings is None:
            raise InvalidError(f"There is no vector {job.params['vector']!r}.")
        rows = RecordVector.objects.filter(settings=settings).values_list("record_id", "embedding")
        found = dict(rows.iterator())
    table = np.zeros((len(ids), settings.dimensions), dtype=np.float32)
    for row, id in enumerate(ids):
        if id in found:
            table[row] = np.asarray(found[id], dtype=np.float32)
    lengths = np.linalg.norm(table, axis=1, keepdims=True)
    return table / np.where(lengths > 0, lengths, 1)


def _changes(
    ids: Sequence[UUID],
    names: Sequence[str],
    labels: Sequence[int],
    marked: Sequence[Mapping[str, str]],
) -> list[list[Any]]:
    """``[record id, marks]`` of the records whose marks must change."""
    sizes = Counter(labels)
    changes = []
    for place, first in enumerate(labels):
        wanted = {CLUSTER: names[first]} if sizes[first] > 1 else {}
        if first != place:
            wanted[OF] = names[first]
        if wanted != marked[place]:
            changes.append([str(ids[place]), wanted])
    return changes


def _unmarked(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in (metadata or {}).items() if key not in (OF, CLUSTER)}
