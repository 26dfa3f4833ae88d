"""Where the palette leads: pages, records, kept searches, and datasets with what can be done."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, Q
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.annotation.models import Response
from apps.datasets.models import Dataset, DatasetStatus
from apps.organizations.models import Membership
from apps.records.models import Record
from apps.search.models import SavedView
from apps.workspaces import permissions
from apps.workspaces.permissions import Action

DATASETS = 8  # at most so many are offered
OTHERS = 5  # records, and views

PAGES: tuple[tuple[str, Any, str], ...] = (
    ("labeling:home", _("My work"), "home"),
    ("labeling:datasets", _("Datasets"), "data"),
    ("labeling:feedback", _("My feedback"), "msg"),
    ("labeling:preferences", _("Preferences"), "gear"),
    ("labeling:organizations", _("Switch organization"), "building"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """A line of the palette."""

    text: str
    url: str
    icon: str
    detail: str = ""


def find_places(member: Membership, search: str) -> list[Place]:
    """What has ``search`` in its name, and the record that has it as its id; datasets last.

    At most five queries.
    """
    permissions.remember_roles(member)
    wanted = search.casefold()
    pages = [Place(str(text), reverse(name), icon) for name, text, icon in PAGES]
    found = [page for page in pages if wanted in page.text.casefold()]
    datasets = Dataset.objects.visible_to(member).in_use().filter(status=DatasetStatus.READY)
    if search:
        found += [*_records(member, search), *_views(member, search)]
    named = datasets.filter(name__icontains=search).select_related("workspace")
    for dataset in named.order_by("-last_activity_at", "id")[:DATASETS]:
        found += _ways(member, dataset)
    return found


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


def _ways(member: Membership, dataset: Dataset) -> Iterator[Place]:
    """What the member may do in the dataset."""
    detail = f"{dataset.workspace.name} / {dataset.name}"
    if permissions.may(member, Action.ANSWER, dataset.workspace_id):
        url = reverse("labeling:annotate", args=[dataset.id])
        yield Place(gettext("Annotate %(name)s") % {"name": dataset.name}, url, "pencil", detail)
    ways = (
        (Action.ANSWER, "labeling:explore", gettext("Explore %(name)s"), "search"),
        (Action.REVIEW, "labeling:review", gettext("Review %(name)s"), "flag"),
        (Action.VIEW_DATASET, "console:team", gettext("Progress of %(name)s"), "gauge"),
        (Action.REVIEW, "console:quality", gettext("Quality of %(name)s"), "gauge"),
    )
    for action, name, text, icon in ways:
        if permissions.may(member, action, dataset.workspace_id):
            url = reverse(name, args=[dataset.id])
            yield Place(text % {"name": dataset.name}, url, icon, detail)
