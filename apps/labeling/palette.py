"""Where the palette leads: pages, and datasets with what can be done in them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.datasets.models import Dataset, DatasetStatus
from apps.organizations.models import Membership
from apps.workspaces import permissions
from apps.workspaces.permissions import Action

DATASETS = 8  # at most so many are offered

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
    """What has ``search`` in its name, datasets last. Two queries."""
    permissions.remember_roles(member)
    wanted = search.casefold()
    pages = [Place(str(text), reverse(name), icon) for name, text, icon in PAGES]
    found = [page for page in pages if wanted in page.text.casefold()]
    datasets = Dataset.objects.visible_to(member).filter(status=DatasetStatus.READY)
    named = datasets.filter(name__icontains=search).select_related("workspace")
    for dataset in named.order_by("-last_activity_at", "id")[:DATASETS]:
        found += _ways(member, dataset)
    return found


def _ways(member: Membership, dataset: Dataset) -> Iterator[Place]:
    """What the member may do in the dataset."""
    detail = f"{dataset.workspace.name} / {dataset.name}"
    if permissions.may(member, Action.ANSWER, dataset.workspace_id):
        url = reverse("labeling:annotate", args=[dataset.id])
        yield Place(gettext("Annotate %(name)s") % {"name": dataset.name}, url, "pencil", detail)
    ways = (
        (Action.LIST_RECORDS, "explore", gettext("Explore %(name)s"), "search"),
        (Action.REVIEW, "review", gettext("Review %(name)s"), "flag"),
        (Action.VIEW_DATASET, "team", gettext("Progress of %(name)s"), "gauge"),
    )
    for action, name, text, icon in ways:
        if permissions.may(member, action, dataset.workspace_id):
            url = reverse(f"labeling:{name}", args=[dataset.id])
            yield Place(text % {"name": dataset.name}, url, icon, detail)
