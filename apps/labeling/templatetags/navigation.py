"""Where one can go within a dataset."""

from typing import Any

from django import template
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from apps.datasets.models import Dataset
from apps.workspaces import permissions
from apps.workspaces.permissions import Action

register = template.Library()

TABS: tuple[tuple[str, Any, Action], ...] = (
    ("annotate", _("Annotate"), Action.ANSWER),
    ("review", _("Review"), Action.REVIEW),
    ("explore", _("Explore"), Action.ANSWER),
    ("team", _("Progress"), Action.VIEW_DATASET),
    ("gaps", _("Guideline gaps"), Action.REVIEW),
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
            (name, text, reverse(f"labeling:{name}", args=[dataset.id]))
            for name, text, action in TABS
            if permissions.may(member, action, dataset.workspace_id)
        ],
    }
