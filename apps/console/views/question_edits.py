"""An edit of the questions: what it would do, doing it, and taking it back."""

import json
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from apps.annotation.models import SchemaChange
from apps.console.edit_form import read_form
from apps.console.edit_words import ACTS, describe
from apps.console.lookups import find_dataset
from apps.console.views.dataset_settings import TABS, show
from apps.core.errors import ConflictError, InvalidError
from apps.datasets.edits import AnyEdit, read_edit
from apps.datasets.models import Dataset
from apps.evaluation.models import GoldSet
from apps.labeling.http import LabelingRequest, for_members
from apps.quality.schema_changes import services
from apps.workspaces.permissions import Action


@never_cache
@require_POST
@for_members
def preview(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """What the edit would do; nothing is done."""
    dataset = find_dataset(request, dataset_id, Action.MANAGE_DATASET)
    try:
        edit = read_form(request.POST)
        told = services.preview(dataset=dataset, edit=edit)
    except InvalidError as error:
        return _refuse(request, dataset, error.message)
    context = {
        "dataset": dataset,
        "here": "settings",
        "tab": "questions",
        "tabs": TABS,
        "edit": edit.model_dump_json(),
        "title": ACTS[edit.model_dump()["kind"]],
        "words": describe(edit.model_dump()),
        "told": told,
        "gold_sets": _gold_sets(dataset, told, edit),
        "rows": [_example(one) for one in told.examples],
    }
    return render(request, "console/settings_preview.html", context)


@require_POST
@for_members
def apply(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """Make the edit that the preview showed."""
    dataset = find_dataset(request, dataset_id, Action.MANAGE_DATASET)
    try:
        edit = read_edit(json.loads(request.POST.get("edit", "")))
        change = services.apply_edit(dataset=dataset, edit=edit, created_by=request.member)
    except ValueError:
        return _refuse(request, dataset, "")
    except (InvalidError, ConflictError) as error:
        return _refuse(request, dataset, error.message, isinstance(error, ConflictError))
    return _go(dataset, change)


@require_POST
@for_members
def undo(request: LabelingRequest, dataset_id: UUID, schema_change_id: UUID) -> HttpResponse:
    dataset = find_dataset(request, dataset_id, Action.MANAGE_DATASET)
    rows = SchemaChange.objects.of(dataset).select_related("dataset__workspace")
    change = get_object_or_404(rows, pk=schema_change_id)
    try:
        undone = services.undo_change(change=change, created_by=request.member)
    except (InvalidError, ConflictError) as error:
        return _refuse(request, dataset, error.message, isinstance(error, ConflictError))
    return _go(dataset, undone)


def _go(dataset: Dataset, change: SchemaChange) -> HttpResponse:
    if change.job_id:
        return redirect("console:job", dataset.id, change.job_id)
    path = reverse("console:settings_tab", args=[dataset.id, "questions"])
    return redirect(f"{path}?saved={change.id}#changes")


def _refuse(
    request: LabelingRequest, dataset: Dataset, reason: str, conflict: bool = False
) -> HttpResponse:
    code = 409 if conflict else 422
    return show(request, dataset, "questions", refused=reason or "?", code=code)


def _gold_sets(dataset: Dataset, told: services.Preview, edit: AnyEdit) -> int:
    """Frozen gold sets of the questions that change: they keep the old labels."""
    changed = [s["id"] for n, s in told.shapes.items() if told.reshaped.get(n) != s]
    return GoldSet.objects.filter(dataset=dataset, question__in=changed).count()


def _example(one: services.Example) -> dict[str, Any]:
    return {
        "record": one.response.record,
        "text": next((v for v in one.response.record.fields.values() if isinstance(v, str)), ""),
        "person": one.response.user,
        "before": _words(one.before),
        "after": _words(one.after),
        "returns": one.returns,
    }


def _words(values: Any) -> list[tuple[str, str]]:
    """Question and answer, in a few words."""
    return [(name, _short(one["value"])) for name, one in values.items()]


def _short(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_short(one) for one in value)[:200]
    if isinstance(value, dict):
        return str(value.get("label") or value.get("value") or value)
    return str(value)[:200]
