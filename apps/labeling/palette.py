"""Where the palette leads: pages, records, kept searches, and datasets with what can be done.

A line is found when every word that is looked for stands in it, or in the name of its dataset:
``drafts reviews``. Pages about a dataset's models and settings are offered to who names one of
them, or so few datasets that all of their pages have room.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, Exists, OuterRef, Q, When
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.annotation.models import Response
from apps.datasets.models import Dataset, DatasetStatus
from apps.labeling.templatetags.navigation import ORGANIZATION, SECTIONS
from apps.organizations.models import Membership
from apps.records.models import Record
from apps.search.models import SavedView
from apps.workspaces import permissions
from apps.workspaces.permissions import Action

DATASETS = 8  # at most so many are offered
FEW = 2  # datasets whose pages are all offered
OTHERS = 5  # records, and views

PAGES: tuple[tuple[str, Any, str], ...] = (
    ("labeling:home", _("My work"), "home"),
    ("labeling:datasets", _("Datasets"), "data"),
    ("labeling:feedback", _("My feedback"), "msg"),
    ("labeling:preferences", _("Preferences"), "gear"),
    ("labeling:organizations", _("Switch organization"), "building"),
)


# A dataset's pages beside those of its work: name of the URL, icon, text, action.
MORE: tuple[tuple[str, str, Any, Action], ...] = (
    *((f"console:{name}", icon, text, action) for name, icon, text, action in SECTIONS),
    ("console:guidelines", "book", _("Guidelines"), Action.RUN_JOBS),
    ("labeling:gaps", "flag", _("Guideline gaps"), Action.REVIEW),
    ("console:export", "dl", _("Export"), Action.EXPORT_RECORDS),
    ("console:settings", "gear", _("Settings"), Action.MANAGE_DATASET),
)


@dataclass(frozen=True, slots=True)
class Place:
    """A line of the palette."""

    text: str
    url: str
    icon: str
    detail: str = ""


def find_places(member: Membership, search: str) -> list[Place]:
    """What has ``search`` in its name, and the record that has it as its id.

    Datasets come after pages; without a search the organization's pages come last. At most six
    queries.
    """
    permissions.remember_roles(member)
    words = search.casefold().split()
    pages = [Place(str(text), reverse(name), icon) for name, text, icon in PAGES]
    found = [*(place for place in pages if _has(words, place.text)), *_creation(member, words)]
    managed = [place for place in _organization(member) if _has(words, place.text)]
    if search:
        found += [*managed, *_records(member, search), *_views(member, search)]
    datasets = _datasets(member, search, words)
    for dataset in datasets:
        found += _ways(member, dataset, words)
        found += _more(member, dataset, words, all_of_them=0 < len(datasets) <= FEW)
    return found if search else [*found, *managed]


def _has(words: Sequence[str], text: str) -> bool:
    return all(word in text.casefold() for word in words)


def _creation(member: Membership, words: Sequence[str]) -> Iterator[Place]:
    text = gettext("New dataset")
    if _has(words, text) and permissions.may_somewhere(member, Action.MANAGE_DATASET):
        yield Place(text, reverse("console:create_dataset"), "plus")


def _organization(member: Membership) -> list[Place]:
    """The pages of the organization that the member may open."""
    return [
        Place(str(text), reverse(f"console:{name}"), icon)
        for name, icon, text, action in ORGANIZATION
        if permissions.may(member, action)
    ]


def _datasets(member: Membership, search: str, words: Sequence[str]) -> list[Dataset]:
    """Those with every word in their name that no page is called; the best named ones first.

    One query.
    """
    rows = Dataset.objects.visible_to(member).in_use().filter(status=DatasetStatus.READY)
    titles = " ".join([*(str(text) for *_, text, _action in MORE), *_verbs()]).casefold()
    for word in words:
        if word not in titles:
            rows = rows.filter(Q(name__icontains=word) | Q(workspace__name__icontains=word))
    named = Case(When(name__icontains=search, then=0), default=1)
    ordered = rows.select_related("workspace").order_by(named, "-last_activity_at", "id")
    return list(ordered[:DATASETS])


def _verbs() -> list[str]:
    return [text % {"name": ""} for _action, _name, text, _icon in _works()]


def _records(member: Membership, search: str) -> Iterator[Place]:
    """The records with this very id that the member may open: their own, or any they may list."""
    datasets = {dataset.id: dataset for dataset in Dataset.objects.visible_to(member)}
    listed = [
        dataset.id
        for dataset in datasets.values()
        if permissions.may(member, Action.LIST_RECORDS, dataset.workspace_id)
    ]
    mine = Response.objects.filter(record=OuterRef("id"), user=member)
    found = Record.objects.filter(dataset__in=list(datasets), external_id=search)
    found = found.filter(Q(dataset__in=listed) | Exists(mine))
    for record in found.order_by("-id")[:OTHERS]:
        text = gettext("Record %(name)s") % {"name": record.external_id}
        path = reverse("labeling:annotate", args=[record.dataset_id])
        yield Place(text, f"{path}?record={record.id}", "layers", datasets[record.dataset_id].name)


def _views(member: Membership, search: str) -> Iterator[Place]:
    """The searches that were kept under such a name."""
    named = SavedView.objects.visible_to(member).filter(name__icontains=search)
    for view in named.select_related("dataset").in_order()[:OTHERS]:
        path = reverse("labeling:explore", args=[view.dataset_id])
        yield Place(view.name, f"{path}?{view.query}", "search", view.dataset.name)


def _works() -> tuple[tuple[Action, str, str, str], ...]:
    return (
        (Action.ANSWER, "labeling:annotate", gettext("Annotate %(name)s"), "pencil"),
        (Action.ANSWER, "labeling:explore", gettext("Explore %(name)s"), "search"),
        (Action.REVIEW, "labeling:review", gettext("Review %(name)s"), "flag"),
        (Action.VIEW_DATASET, "console:team", gettext("Progress of %(name)s"), "gauge"),
        (Action.REVIEW, "console:quality", gettext("Quality of %(name)s"), "gauge"),
    )


def _ways(member: Membership, dataset: Dataset, words: Sequence[str]) -> Iterator[Place]:
    """What the member may do in the dataset."""
    detail = f"{dataset.workspace.name} / {dataset.name}"
    for action, name, text, icon in _works():
        said = text % {"name": dataset.name}
        if permissions.may(member, action, dataset.workspace_id) and _has(
            words, f"{said} {detail}"
        ):
            yield Place(said, reverse(name, args=[dataset.id]), icon, detail)


def _more(
    member: Membership, dataset: Dataset, words: Sequence[str], *, all_of_them: bool
) -> Iterator[Place]:
    """The dataset's other pages: those that a word names, or ``all_of_them``."""
    detail = f"{dataset.workspace.name} / {dataset.name}"
    for name, icon, text, action in MORE:
        title = str(text)
        is_meant = all_of_them or any(word in title.casefold() for word in words)
        if not words or not is_meant or not _has(words, f"{title} {detail}"):
            continue
        if permissions.may(member, action, dataset.workspace_id):
            yield Place(title, reverse(name, args=[dataset.id]), icon, detail)
