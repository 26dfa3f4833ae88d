"""The job that exports a dataset to the Hub: one item, which ends with one commit.

``params``: ``{"dataset_id", "name", "subset", "split", "private"}``. The records are written to
Parquet files of a bounded size, one at a time; each is uploaded and removed before the next is
begun. A worker that dies leaves the repository as it was; the next one begins anew.
"""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from apps.core.errors import InvalidError
from apps.core.tenancy import enter
from apps.datasets.models import Dataset
from apps.datasets.schema import DatasetSchema, load_schema
from apps.exchange.exporter import walk_records
from apps.exchange.exports import tell_of_export
from apps.exchange.hub import library
from apps.exchange.hub.card import Part, card, settings_files, split_files
from apps.exchange.hub.columns import Column, Row, columns_of, load_rows
from apps.exchange.hub.services import DEFAULT_FOLDER, DEFAULT_SUBSET
from apps.jobs import chain
from apps.jobs.errors import AbandonJobError
from apps.jobs.kinds import FREE, Kind, Planned, Work
from apps.jobs.models import Job
from apps.jobs.services import read_secret
from apps.records.models import DatasetCounter, RecordStatus

FILE_BYTES: Final = 256 * 1024 * 1024  # of a Parquet file before the next is begun


@dataclass(frozen=True, slots=True)
class Order:
    """What to export, and where to."""

    schema: DatasetSchema
    columns: list[Column]
    token: str
    expected: int


class HubExport(Kind[Order, int]):
    """Writes and uploads; its result is how many records there were."""

    is_chain = True

    def plan(self, job: Job, *, organization_id: UUID) -> Iterator[Planned]:
        yield Planned({}, size=0)

    def read(self, work: Work) -> Order:
        dataset = Dataset.objects.filter(id=work.job.params["dataset_id"]).first()
        if dataset is None:
            raise AbandonJobError("The dataset was deleted.")
        token = read_secret(work.job)
        if token is None:
            raise InvalidError("The token was forgotten when the job ended; start it anew.")
        schema = load_schema(dataset)
        # Read now: what follows happens outside the organization.
        _ = schema.fields, schema.questions, schema.properties, schema.vectors
        counter = DatasetCounter.objects.filter(dataset=dataset).first()
        return Order(schema, columns_of(schema), token, counter.records if counter else 0)

    def compute(self, work: Work, material: Order) -> int:
        try:
            return _Export(work, material).run()
        except Exception as error:
            reason = library.in_words(error, work.job.params["name"])
            if isinstance(reason, library.UnreachableError):  # may be over in a moment
                raise ConnectionError(reason.message) from error
            raise reason from error

    def write(self, work: Work, result: int) -> Decimal:
        chain.show_progress(work, done=result, expected=0)
        dataset = Dataset.objects.get(id=work.job.params["dataset_id"])
        name = work.job.params["name"]
        tell_of_export(dataset, "hub", repository=name, records=result)
        return FREE


class _Export:
    """One export under way."""

    def __init__(self, work: Work, order: Order) -> None:
        self.work = work
        self.order = order
        self.params = work.job.params
        self.api = library.api(order.token)
        subset = self.params["subset"]
        self.folder = DEFAULT_FOLDER if subset == DEFAULT_SUBSET else subset
        self.features = library.datasets().Features(
            {column.name: column.feature for column in order.columns}
        )
        self.size = 0

    def run(self) -> int:
        """Export everything; returns how many records."""
        repository = self.api.create_repo(
            self.params["name"],
            repo_type="dataset",
            private=self.params["private"],
            exist_ok=True,
        ).repo_id
        additions, records = self._upload_records(repository)
        for number, addition in enumerate(additions):
            addition.path_in_repo = self._path(number, len(additions))
        self._commit(repository, additions, records)
        return records

    def _path(self, number: int, count: int) -> str:
        return f"{self.folder}/{self.params['split']}-{number:05d}-of-{count:05d}.parquet"

    def _upload_records(self, repository: str) -> tuple[list[Any], int]:
        """The uploads that a commit makes visible, and how many records they hold."""
        additions: list[Any] = []
        records = 0
        pages = self._pages()
        page = next(pages, None)
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "part.parquet"
            while page is not None:
                with _File(path, self.order.columns, self.features) as file:
                    while page is not None and not file.is_full:
                        file.add(page)
                        records += len(page)
                        self._show(records)
                        page = next(pages, None)
                self.size += path.stat().st_size
                additions.append(self._upload(repository, path, len(additions)))
        return additions, records

    def _upload(self, repository: str, path: Path, number: int) -> Any:
        operation = library.hub().CommitOperationAdd(
            path_in_repo=self._path(number, number + 1), path_or_fileobj=path
        )
        self.api.preupload_lfs_files(repository, [operation], repo_type="dataset")
        if operation._upload_mode != "lfs":  # a small file that goes into the commit itself
            operation.path_or_fileobj = path.read_bytes()
        path.unlink()
        return operation

    def _pages(self) -> Iterator[list[Row]]:
        """Records in insertion order, a transaction a page."""
        return walk_records(
            organization_id=self.work.organization_id,
            dataset_id=self.order.schema.dataset.id,
            statuses=RecordStatus.values,
            read=load_rows,
        )

    def _show(self, records: int) -> None:
        with enter(self.work.organization_id):
            chain.show_progress(self.work, done=records, expected=self.order.expected)

    def _commit(self, repository: str, additions: list[Any], records: int) -> None:
        """Everything at once, the split's earlier files removed."""
        hub = library.hub()
        there = self.api.list_repo_files(repository, repo_type="dataset")
        new = {addition.path_in_repo for addition in additions}
        old = split_files(there, self.folder, self.params["split"])
        earlier = self._read_card(repository) if "README.md" in there else None
        params = self.params
        part = Part(
            params["subset"], params["split"], self.folder, self.features, records, self.size
        )
        with enter(self.work.organization_id):
            files = settings_files(self.order.schema)
        schema = self.order.schema
        files["README.md"] = card(schema, part, repository=repository, earlier=earlier)
        self.api.create_commit(
            repository,
            repo_type="dataset",
            commit_message=f"{records} records",
            operations=[
                *additions,
                *(hub.CommitOperationAdd(path, content) for path, content in files.items()),
                *(hub.CommitOperationDelete(path) for path in old if path not in new),
            ],
        )

    def _read_card(self, repository: str) -> str:
        with tempfile.TemporaryDirectory() as directory:
            path = self.api.hf_hub_download(
                repository, "README.md", repo_type="dataset", cache_dir=directory
            )
            return Path(path).read_text()


class _File:
    """A Parquet file that is being written, a row group a page."""

    def __init__(self, path: Path, columns: list[Column], features: Any) -> None:
        import pyarrow
        from pyarrow import parquet

        self.path = path
        self.columns = columns
        self.is_full = False
        self.schema = features.arrow_schema
        self._table = pyarrow.Table
        self._writer = parquet.ParquetWriter(path, self.schema)

    def __enter__(self) -> "_File":
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def add(self, rows: list[Row]) -> None:
        """Write these records."""
        values = {column.name: [column.value(row) for row in rows] for column in self.columns}
        self._writer.write_table(self._table.from_pydict(values, schema=self.schema))
        self.is_full = os.path.getsize(self.path) >= FILE_BYTES
