"""The job that imports a split of a dataset on the Hub: one item a batch of rows.

``params``: ``{"dataset_id", "name", "subset", "split", "columns": [["source", "target"], …],
"id_column": null, "private": false}``, the targets in their written form (``exchange.targets``).
An item's payload ``{"name", "revision", "position", "state", "expected"}`` is where the stream
stands.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from threading import Lock
from typing import Any, Final
from uuid import UUID

from apps.core.errors import DomainError, InvalidError
from apps.core.tenancy import enter
from apps.datasets.models import Dataset, DatasetStatus
from apps.datasets.schema import DatasetSchema
from apps.exchange.compose import People, compose, external_id
from apps.exchange.hub.cells import fit, to_json
from apps.exchange.hub.library import UnreachableError
from apps.exchange.hub.source import Source, Stream, find
from apps.exchange.importer import CHUNK, CHUNK_BYTES, Importer, Listener, Reject
from apps.exchange.rows import Row
from apps.exchange.targets import ColumnMapping
from apps.jobs import chain
from apps.jobs.errors import AbandonJobError
from apps.jobs.kinds import FREE, Kind, Planned, Work
from apps.jobs.models import Job
from apps.jobs.services import read_secret
from apps.records.inputs import RecordInput

MAX_KEPT: Final = 8  # streams that stay open between two items of their jobs


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows as they were read; ``state`` None when they are the last."""

    rows: list[Row]
    state: dict[str, Any] | None


class HubImport(Kind[Source, Batch]):
    """Reads on where the last item ended; the rows are stored with the item's completion."""

    is_chain = True

    def __init__(self) -> None:
        self._streams = _Streams()

    def plan(self, job: Job, *, organization_id: UUID) -> Iterator[Planned]:
        with enter(organization_id):
            _check_dataset(job)
            token = _token(job)
        params = job.params
        name, revision = find(params["name"], token)
        stream = Stream(Source(name, params["subset"], params["split"], revision, token))
        _check_columns(job, stream)
        self._streams.keep(job.id, stream)
        yield Planned(_payload(stream, stream.state()), size=0)

    def read(self, work: Work) -> Source:
        _check_dataset(work.job)
        params, payload = work.job.params, work.payload
        return Source(
            name=payload["name"],
            subset=params["subset"],
            split=params["split"],
            revision=payload["revision"],
            token=_token(work.job),
        )

    def compute(self, work: Work, material: Source) -> Batch:
        payload = work.payload
        try:
            stream = self._streams.take(work.job.id, material, payload["position"])
            if stream is None:
                position, state = payload["position"], payload["state"]
                stream = Stream(material, state=state, position=position)
            batch = _read_batch(stream, work.job.params)
        except UnreachableError as error:  # may be over in a moment
            raise ConnectionError(error.message) from error
        if batch.state is not None:
            self._streams.keep(work.job.id, stream)
        return batch

    def write(self, work: Work, result: Batch) -> Decimal:
        rejects: dict[int, str] = {}

        def note(reject: Reject) -> None:
            rejects[reject.row.number] = reject.reason

        dataset_id = UUID(work.job.params["dataset_id"])
        importer = Importer(work.organization_id, dataset_id, _Composer(work.job), Listener(note))
        importer.take(result.rows)
        chain.reject(work, rejects)
        payload = work.payload
        if result.state is not None:
            position = payload["position"] + len(result.rows)
            chain.append(work, {**payload, "position": position, "state": result.state})
        chain.advance(
            work,
            done=len(result.rows) - len(rejects),
            failed=len(rejects),
            expected=payload["expected"] if result.state is not None else 0,
        )
        return FREE


def _check_dataset(job: Job) -> None:
    """Raise when there is no published dataset to import into."""
    dataset = Dataset.objects.filter(id=job.params["dataset_id"]).first()
    if dataset is None:
        raise AbandonJobError("The dataset was deleted.")
    if dataset.status != DatasetStatus.READY:
        raise InvalidError("The dataset is a draft; publish it first.")


def _token(job: Job) -> str | None:
    token = read_secret(job)
    if token is None and job.params["private"]:
        raise InvalidError("The token was forgotten when the job ended; start it anew.")
    return token


def _payload(stream: Stream, state: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": stream.source.name,
        "revision": stream.source.revision,
        "position": 0,
        "state": state,
        "expected": stream.expected,
    }


def _check_columns(job: Job, stream: Stream) -> None:
    """Raise ``InvalidError`` when the mapping names a column that the split lacks."""
    if stream.features is None:
        return
    wanted = [source for source, _ in job.params["columns"]] + [job.params["id_column"]]
    for column in wanted:
        if column is not None and column not in stream.features:
            there = ", ".join(stream.features)
            raise InvalidError(f"The split has no column {column!r}; there are: {there}."[:1_000])


# --- Reading ----------------------------------------------------------------------------------
class _Streams:
    """Open streams by job, so that its next item need not open them again."""

    def __init__(self) -> None:
        self._open: dict[UUID, Stream] = {}
        self._lock = Lock()

    def keep(self, job_id: UUID, stream: Stream) -> None:
        with self._lock:
            self._open[job_id] = stream
            if len(self._open) > MAX_KEPT:
                del self._open[next(iter(self._open))]

    def take(self, job_id: UUID, source: Source, position: int) -> Stream | None:
        """The job's stream if it stands at this row; it is the caller's from now on."""
        with self._lock:
            stream = self._open.pop(job_id, None)
        if stream is None or (stream.source, stream.position) != (source, position):
            return None
        return stream


def _read_batch(stream: Stream, params: Mapping[str, Any]) -> Batch:
    """At most 500 rows or about 16 MB."""
    wanted = {source for source, _ in params["columns"]} | {params["id_column"]}
    rows: list[Row] = []
    size = 0
    while len(rows) < CHUNK and size < CHUNK_BYTES:
        number = stream.position
        given = stream.next()
        if given is None:
            return Batch(rows, None)
        rows.append(_row(number, given, wanted, stream))
        size += _size(rows[-1].values)
    return Batch(rows, stream.state())


def _row(number: int, given: Mapping[str, Any], wanted: set[str | None], stream: Stream) -> Row:
    features = stream.features or {}
    values: dict[str, Any] = {}
    for column, value in given.items():
        if column in wanted:
            try:
                values[column] = to_json(value, features.get(column), stream.picture)
            except UnreachableError:
                raise
            except DomainError as error:
                return Row(number, b"", {}, problem=f"column {column!r}: {error.message}")
    return Row(number, b"", values)


def _size(value: Any) -> int:
    """About how many bytes the value takes."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(_size(part) for part in value.values())
    return sum(_size(part) for part in value) if isinstance(value, list) else 8


# --- Storing ----------------------------------------------------------------------------------
class _Composer:
    """Makes the records of a job's rows; their columns are called by their targets."""

    def __init__(self, job: Job) -> None:
        self.params = job.params
        self._people = People()
        self._schema: DatasetSchema | None = None
        self._mapping: ColumnMapping

    def __call__(self, schema: DatasetSchema, row: Row) -> RecordInput:
        if self._schema is not schema:
            written = {target: [target] for _, target in self.params["columns"]}
            self._mapping = ColumnMapping(schema, {**written, "id": ["id"]})
            self._schema = schema
        values = {"id": self._id(row)}
        for source, written_target in self.params["columns"]:
            [target] = self._mapping.targets(written_target)
            try:
                values[written_target] = fit(row.values.get(source), target, schema)
            except DomainError as error:
                raise InvalidError(f"column {source!r}: {error.message}") from error
        return compose(
            values, mapping=self._mapping, schema=schema, people=self._people, from_text=False
        )

    def _id(self, row: Row) -> str:
        """The mapped column's, or the split's name with the row's number."""
        given = row.values.get(self.params["id_column"])
        id = None if given is None else external_id(given)
        return id or f"{self.params['split']}_{row.number}"
