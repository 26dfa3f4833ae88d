"""The copy: people, then each dataset with its records, then both sides compared.

Records come page by page in the order of their insertion; a page and how far that is are one
transaction. Memory holds a page of about 8 MB. A later run brings what was added there since.
Each page begins with the last record of the page before: when it is no longer there, records
were deleted or have changed places, and all are looked at again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final
from uuid import UUID

from apps.annotation.models import Response
from apps.core.errors import ConflictError, InvalidError
from apps.core.tenancy import enter
from apps.datasets.models import DatasetStatus
from apps.exchange.argilla import wire
from apps.exchange.argilla.client import Client, SourceError
from apps.exchange.argilla.copies import Progress, load_progress, save_progress
from apps.exchange.argilla.people import People, copy_memberships, copy_workspaces
from apps.exchange.argilla.records import Composer, count, external_id_of
from apps.exchange.argilla.report import Counts, DatasetReport, Listener, Report
from apps.exchange.argilla.settings import SourceDataset, copy_dataset, read_dataset
from apps.exchange.importer import Importer, Reject, chunks
from apps.exchange.importer import Listener as RowListener
from apps.exchange.rows import Row
from apps.records.bulk import UpsertedRecord
from apps.records.models import Record, RecordVector, Suggestion

FIRST_PAGE: Final = 20  # records, until their size is known
MAX_PAGE: Final = 500  # records
PAGE_BYTES: Final = 8 * 1024 * 1024
MOST_LOOKS: Final = 3  # at all records, because they had shifted
INCLUDED: Final = ("responses", "suggestions", "vectors")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to copy, by names; nothing named means everything."""

    workspaces: Sequence[str] = ()
    datasets: Sequence[str] = ()
    from_start: bool = False

    @property
    def is_everything(self) -> bool:
        return not self.workspaces and not self.datasets


def copy_server(
    *, client: Client, organization_id: UUID, wanted: Wanted, listener: Listener | None = None
) -> Report:
    """Copy workspaces, users, datasets and records into the organization.

    Runs outside the organization. May be interrupted anywhere and started again. With
    ``from_start`` all records are read again and stored over those that are here. Raises
    ``SourceError``, ``InvalidError`` for names that the server has not, ``LimitReachedError``.
    """
    report = Report(listener or Listener())
    _check_key(client)
    workspaces = client.items(wire.Workspace, "/me/workspaces")
    datasets = client.items(wire.Dataset, "/me/datasets")
    workspaces, datasets = _chosen(wanted, workspaces, datasets)
    people = People(client.items(wire.User, "/users"), report)
    with enter(organization_id):
        places = copy_workspaces(workspaces, report)
    for workspace in workspaces:
        inside = client.items(wire.User, f"/workspaces/{workspace.id}/users")
        with enter(organization_id):
            copy_memberships(places[workspace.id][0], [user.id for user in inside], people)
    if wanted.is_everything:
        for user_id in people.users:
            with enter(organization_id):
                people.member_id(user_id)
    for dataset in datasets:
        place, name = places[dataset.workspace_id]
        copy = _DatasetCopy(client, organization_id, people, report, f"{name}/{dataset.name}")
        copy.run(read_dataset(client, dataset), place, from_start=wanted.from_start)
    return report


def _check_key(client: Client) -> None:
    me = client.read(wire.User, "/me")
    if me.role != "owner":
        raise InvalidError(
            f"This API key is of {me.username!r}, who is {me.role}; an owner's is needed."
        )


def _chosen(
    wanted: Wanted, workspaces: list[wire.Workspace], datasets: list[wire.Dataset]
) -> tuple[list[wire.Workspace], list[wire.Dataset]]:
    _check_names("workspace", wanted.workspaces, [one.name for one in workspaces])
    if wanted.workspaces:
        workspaces = [one for one in workspaces if one.name in wanted.workspaces]
    ids = {one.id for one in workspaces}
    datasets = [one for one in datasets if one.workspace_id in ids]
    _check_names("dataset", wanted.datasets, [one.name for one in datasets])
    if wanted.datasets:
        datasets = [one for one in datasets if one.name in wanted.datasets]
        ids = {one.workspace_id for one in datasets}
        workspaces = [one for one in workspaces if one.id in ids]
    return workspaces, datasets


def _check_names(kind: str, wanted: Sequence[str], there: Sequence[str]) -> None:
    for name in wanted:
        if name not in there:
            known = ", ".join(sorted(there)) or "none"
            raise InvalidError(f"The server has no {kind} {name!r}; there are: {known}.")


class Counting(Enum):
    """Which records of a page count as met there."""

    ALL = auto()
    PASSED = auto()  # those that came already, as pages shifted, do not count again
    MISSED = auto()  # in a second look: those that are new here


class _DatasetCopy:
    """One dataset under way."""

    def __init__(
        self, client: Client, organization_id: UUID, people: People, report: Report, where: str
    ) -> None:
        self.client = client
        self.organization_id = organization_id
        self.people = people
        self.report = report
        self.where = where

    def run(self, source: SourceDataset, workspace_id: UUID, *, from_start: bool) -> None:
        try:
            with enter(self.organization_id):
                dataset = copy_dataset(source, workspace_id, self.report)
                self.progress = Progress() if from_start else load_progress(source.dataset.id)
        except (InvalidError, ConflictError) as error:
            self.report.skip(self.where, "the dataset", error.message)
            return
        self.source, self.dataset, self.looks = source, dataset, 0
        self.path = f"/datasets/{source.dataset.id}/records"
        self.importer = Importer(
            self.organization_id, dataset.id, self._composer(), RowListener(on_reject=self._reject)
        )
        if dataset.status == DatasetStatus.DRAFT:
            self._pass_over_draft()
            return
        total = self._copy_records(Counting.ALL if from_start else Counting.PASSED)
        here = self._here()
        if here.records + self.progress.rejected < total:
            # Records with equal times may change places from page to page: look again.
            total = self._copy_records(self._look_again(Counting.MISSED))
            here = self._here()
        self._compare(total, here)

    def _composer(self) -> Composer:
        names = {question.id: question.name for question in self.source.questions}
        return Composer(self.where, names, self.people, self.report)

    def _pass_over_draft(self) -> None:
        page = self._page(offset=0, limit=1)
        if page.total:
            reason = "publish the dataset there and start again: a draft holds none here"
            self.report.skip(self.where, f"{page.total} records", reason)

    def _copy_records(self, counting: Counting) -> int:
        """Copy from ``progress`` on; returns how many records the server says it has."""
        limit = FIRST_PAGE
        while True:
            page = self._next_page(limit)
            if page is None:
                counting = self._look_again(counting)
                continue
            self.report.listener.on_progress(self.where, self.progress.offset, page.total)
            if not page.items:
                return page.total
            self._store(page.items, counting)
            limit = max(1, min(MAX_PAGE, PAGE_BYTES * len(page.items) // max(1, self.client.size)))

    def _next_page(self, limit: int) -> wire.Page | None:
        """What follows the last record; None when that has left its place."""
        last, offset = self.progress.last, self.progress.offset
        if not last or self.looks == MOST_LOOKS:
            return self._page(offset, limit)
        page = self._page(offset - 1, limit + 1)
        if not page.items or page.items[0].get("id") != last:
            return None
        page.items = page.items[1:]
        return page

    def _look_again(self, counting: Counting) -> Counting:
        """Begin with the first record once more; returns what counts from here on."""
        self.looks += 1
        if counting == Counting.ALL:
            self.progress = Progress(skipped=self.progress.skipped)
            return counting
        self.progress.offset, self.progress.last = 0, ""
        return Counting.MISSED

    def _page(self, offset: int, limit: int) -> wire.Page:
        answer = self.client.get(self.path, offset=offset, limit=limit, include=INCLUDED)
        try:
            return wire.Page.model_validate(answer)
        except ValueError as error:
            raise SourceError(f"{self.client.url} answers GET {self.path} strangely") from error

    def _store(self, items: list[dict[str, Any]], counting: Counting) -> None:
        rows = [Row(self.progress.offset + n, b"", item) for n, item in enumerate(items, start=1)]
        skipped = self.report.skipped
        with enter(self.organization_id):
            self.rejected: set[int] = set()
            stored = [row for chunk in chunks(rows) for row in self.importer.take(chunk)]
            for counts in self._counted(rows, stored, counting):
                self.progress.counts.add(counts)
            if counting != Counting.MISSED:
                self.progress.rejected += len(self.rejected)
            self.progress.offset += len(items)
            self.progress.last = str(items[-1].get("id") or "")
            self.progress.skipped += self.report.skipped - skipped
            save_progress(self.source.dataset.id, self.progress)

    def _counted(
        self, rows: list[Row], stored: list[UpsertedRecord], counting: Counting
    ) -> list[Counts]:
        if counting == Counting.ALL:
            return [count(row.values) for row in rows]
        new = {record.external_id for record in stored if record.inserted}
        rejected = self.rejected if counting == Counting.PASSED else set()
        return [
            count(row.values)
            for row in rows
            if row.number in rejected or external_id_of(row.values) in new
        ]

    def _reject(self, reject: Reject) -> None:
        self.rejected.add(reject.row.number)
        what = f"record {external_id_of(reject.row.values)!r}"
        self.report.skip(self.where, what, reject.reason)

    def _here(self) -> Counts:
        with enter(self.organization_id):
            records = Record.objects.filter(dataset=self.dataset)
            return Counts(
                records=records.count(),
                responses=Response.objects.filter(dataset=self.dataset).count(),
                suggestions=Suggestion.objects.filter(dataset_id=self.dataset.id).count(),
                vectors=RecordVector.objects.filter(settings__dataset=self.dataset).count(),
            )

    def _compare(self, total: int, here: Counts) -> None:
        there = self.progress.counts
        differences = there.differences(here)
        if there.records != total:
            differences.append(
                f"records: the server says {total}, and gave {there.records} over all runs"
            )
        if self.looks == MOST_LOOKS:
            differences.append("records shifted again and again: start when nobody works there")
        if self.progress.skipped:
            differences.append(f"{self.progress.skipped} left out, in this run or before")
        workspace, _, name = self.where.partition("/")
        self.report.datasets.append(DatasetReport(workspace, name, there, here, differences))
