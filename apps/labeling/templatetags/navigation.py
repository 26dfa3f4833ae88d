"""Where one can go within a dataset."""

from typing import Any

from django import template
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from apps.datasets.models import Dataset
from apps.organizations.models import Membership
from apps.workspaces import permissions
from apps.workspaces.permissions import Action

register = template.Library()

TABS: tuple[tuple[str, Any, Action], ...] = (
    ("annotate", _("Annotate"), Action.ANSWER),
    ("review", _("Review"), Action.REVIEW),
    ("explore", _("Explore"), Action.ANSWER),
    ("console:team", _("Progress"), Action.VIEW_DATASET),
    ("console:quality", _("Quality"), Action.REVIEW),
    ("gaps", _("Guideline gaps"), Action.REVIEW),
    ("console:studio", _("Studio"), Action.RUN_JOBS),
    ("console:jobs", _("Models"), Action.RUN_JOBS),
    ("console:settings", _("Settings"), Action.MANAGE_DATASET),
)

# What one does with language models in a dataset: name of the URL, icon, text, action.
SECTIONS: tuple[tuple[str, str, Any, Action], ...] = (
    ("studio", "pencil", _("Prompt studio"), Action.RUN_JOBS),
    ("evaluations", "check", _("Evaluations"), Action.RUN_JOBS),
    ("monitoring", "similar", _("Monitoring"), Action.RUN_JOBS),
    ("jobs", "clock", _("Jobs"), Action.RUN_JOBS),
    ("new_run", "play", _("New run"), Action.RUN_JOBS),
    ("drafts", "table", _("Drafts"), Action.MANAGE_RECORDS),
)

# The organization's own pages: name of the URL, which ``here`` is too, icon, text, action.
ORGANIZATION: tuple[tuple[str, str, Any, Action], ...] = (
    ("general", "building", _("General"), Action.MANAGE_ORGANIZATION),
    ("security", "shield", _("Security"), Action.MANAGE_ORGANIZATION),
    ("members", "users", _("Members"), Action.MANAGE_PEOPLE),
    ("workspaces", "layers", _("Workspaces"), Action.MANAGE_PEOPLE),
    ("keys", "key", _("API keys"), Action.ANSWER),
    ("webhooks", "hook", _("Webhooks"), Action.MANAGE_WEBHOOKS),
    ("providers", "cloud", _("Model providers"), Action.USE_PROVIDERS),
    ("audit", "log", _("Audit log"), Action.VIEW_AUDIT),
    ("data", "dl", _("Data"), Action.MANAGE_ORGANIZATION),
    ("plan", "card", _("Plan and usage"), Action.MANAGE_PLAN),
    ("usage", "gauge", _("Usage"), Action.VIEW_USAGE),
    ("trash", "hist", _("Trash"), Action.MANAGE_DATASET),
)


@register.inclusion_tag("labeling/_tabs.html", takes_context=True)
def dataset_tabs(context: dict[str, Any], dataset: Dataset, here: str) -> dict[str, Any]:
    """The pages of a dataset that the member may open; ``here`` names the one that is shown.

    No query on pages that have asked what the member may do in the workspace.
    """
    member = context["request"].member
    return {
        "here": here,
        "tabs": [
            (name, text, _address(name, dataset))
            for name, text, action in TABS
            if permissions.may(member, action, dataset.workspace_id)
        ],
    }


@register.inclusion_tag("shared/_side.html", takes_context=True)
def side(
    context: dict[str, Any], here: str, dataset: Dataset | None = None, unread: int = 0
) -> dict[str, Any]:
    """The pages beyond one's work, those of a dataset's models among them where one is given.

    ``here`` names the one that is shown. No query on pages that have asked what the member may do.
    """
    member = context["request"].member
    return {
        "here": here,
        "unread": unread,
        "sections": _sections(member, dataset) if dataset else [],
        "organization": [
            (name, icon, text, reverse(f"console:{name}"))
            for name, icon, text, action in ORGANIZATION
            if permissions.may(member, action)
        ],
    }


@register.simple_tag(takes_context=True)
def may_run_models(context: dict[str, Any], dataset: Dataset) -> bool:
    """Whether the member may start runs of models in the dataset."""
    return permissions.may(context["request"].member, Action.RUN_JOBS, dataset.workspace_id)


def _sections(member: Membership, dataset: Dataset) -> list[tuple[str, str, Any, str]]:
    return [
        (name, icon, text, reverse(f"console:{name}", args=[dataset.id]))
        for name, icon, text, action in SECTIONS
        if permissions.may(member, action, dataset.workspace_id)
    ]


def _address(name: str, dataset: Dataset) -> str:
    return reverse(name if ":" in name else f"labeling:{name}", args=[dataset.id])
