"""The list of datasets: searched, filtered, sorted, a page at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.core.paginator import Page, Paginator
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from apps.core.ids import read_id
from apps.datasets.models import DatasetStatus
from apps.labeling import work
from apps.labeling.work import DatasetRow
from apps.organizations.models import Membership
from apps.workspaces import permissions
from apps.workspaces.models import Workspace
from apps.workspaces.permissions import Action

A_PAGE: Final = 25


def _is_archived(row: DatasetRow) -> bool:
    return row.dataset.archived_at is not None


def _is_open(row: DatasetRow) -> bool:
    return not row.is_done and row.dataset.status == DatasetStatus.READY


# What a tab holds; what is archived stands in its own tab alone.
TABS: Final[dict[str, tuple[Any, Callable[[DatasetRow], bool]]]] = {
    "open": (pgettext_lazy("not settled", "Open"), _is_open),
    "done": (_("Done"), lambda row: row.is_done),
    "draft": (_("Not published"), lambda row: row.dataset.status == DatasetStatus.DRAFT),
    "archived": (_("Archived"), _is_archived),
}
SORTS: Final[dict[str, tuple[Any, Callable[[DatasetRow], Any]]]] = {
    "active": (_("Last active"), lambda row: -row.last_activity_at.timestamp()),
    "name": (_("Name"), lambda row: row.dataset.name.casefold()),
    "mine": (_("Most for me"), lambda row: -row.to_go),
    "records": (_("Most records"), lambda row: -row.overview.dataset.total),
    "left": (_("Least left"), lambda row: row.overview.dataset.pending),
}


@dataclass(frozen=True)
class Tab:
    """A link that narrows the list."""

    name: str
    words: str
    count: int
    is_chosen: bool
    query: str


@dataclass(frozen=True)
class Asked:
    """What the address asks for; what makes no sense is not asked for."""

    search: str
    tab: str
    workspace_id: UUID | None
    sort: str

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> "Asked":
        tab, sort = str(given.get("show", "")), str(given.get("sort", ""))
        return cls(
            search=str(given.get("q", "")).replace("\0", "").strip()[:200],
            tab=tab if tab in TABS else "",
            workspace_id=read_id(str(given.get("workspace", ""))),
            sort=sort if sort in SORTS else "active",
        )

    def query(self, **changes: str) -> str:
        """As it stands in an address, without what is usual."""
        given = {
            "q": self.search,
            "show": self.tab,
            "workspace": str(self.workspace_id or ""),
            "sort": self.sort if self.sort != "active" else "",
        }
        return urlencode({name: text for name, text in (given | changes).items() if text})


class DatasetList:
    """One query for the datasets, three for their progress, one for the workspaces."""

    def __init__(self, member: Membership, given: Mapping[str, Any]) -> None:
        self.asked = Asked.read(given)
        self.all = work.find_rows(member)
        self.matching = [row for row in self.all if self._matches(row)]
        shown = [row for row in self.matching if self._is_in(self.asked.tab, row)]
        shown.sort(key=SORTS[self.asked.sort][1])
        self.page: Page[DatasetRow] = Paginator(shown, A_PAGE).get_page(given.get("page"))
        self.workspaces: Sequence[Workspace] = list(
            {row.dataset.workspace_id: row.dataset.workspace for row in self.all}.values()
        )
        self.may_create = permissions.may_somewhere(member, Action.MANAGE_DATASET)

    @property
    def rows(self) -> Sequence[DatasetRow]:
        return list(self.page.object_list)

    @property
    def is_asked(self) -> bool:
        """Something narrows the list."""
        asked = self.asked
        return bool(asked.search or asked.tab or asked.workspace_id)

    @property
    def tabs(self) -> list[Tab]:
        words = [("", str(_("All"))), *((name, str(tab[0])) for name, tab in TABS.items())]
        return [
            Tab(name, text, count, name == self.asked.tab, self.asked.query(show=name))
            for name, text in words
            if (count := self._count(name)) or name in {"", self.asked.tab}
        ]

    @property
    def sorts(self) -> list[tuple[str, str, bool]]:
        return [
            (name, str(words), name == self.asked.sort) for name, (words, _key) in SORTS.items()
        ]

    @property
    def places(self) -> list[tuple[str, str, bool]]:
        named = sorted(self.workspaces, key=lambda one: one.name.casefold())
        return [(str(one.id), one.name, one.id == self.asked.workspace_id) for one in named]

    def _matches(self, row: DatasetRow) -> bool:
        place = self.asked.workspace_id
        named = self.asked.search.casefold() in row.dataset.name.casefold()
        return named and place in {None, row.dataset.workspace_id}

    def _is_in(self, tab: str, row: DatasetRow) -> bool:
        if _is_archived(row) != (tab == "archived"):
            return False
        return not tab or TABS[tab][1](row)

    def _count(self, tab: str) -> int:
        return sum(self._is_in(tab, row) for row in self.matching)
