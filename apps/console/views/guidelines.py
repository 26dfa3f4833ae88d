"""A guideline before it is saved: what follows the old one, and what would change with the new."""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from apps.console.cards import changes_in
from apps.console.lookups import find_dataset
from apps.console.places import find_version, place, read_budget
from apps.console.studio_form import LinesField
from apps.console.views.studio import find_preview
from apps.core.errors import ConflictError, InvalidError
from apps.datasets.models import Dataset
from apps.datasets.schema import load_schema
from apps.datasets.services.datasets import update_dataset
from apps.labeling.http import LabelingRequest, for_members
from apps.labeling.review_values import word_diff
from apps.pipelines.dry_runs import dry_run_items, extrapolation
from apps.pipelines.reprompt import affected_prompts, reprompt, try_again
from apps.pipelines.runs import RunSpec
from apps.workspaces import permissions
from apps.workspaces.permissions import Action

MOST_COMPARED = 20_000  # characters whose words are set side by side


@never_cache
@require_http_methods(["GET", "POST"])
@for_members
def guidelines(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """What a guideline would change; ``do``: check, try, save, or save and ask again.

    ``trial`` in the address names the dry run that tried it, and with it the text.
    """
    dataset = find_dataset(request, dataset_id, Action.RUN_JOBS)
    if request.method == "GET":
        return _show(request, dataset, _text_of_trial(request, dataset))
    text = LinesField(max_length=200_000).clean(request.POST.get("guidelines", ""))
    try:
        return _act(request, dataset, text)
    except (InvalidError, ConflictError) as error:
        code = 409 if isinstance(error, ConflictError) else 422
        return _show(request, dataset, text, refused=error.message, code=code)


def _act(request: LabelingRequest, dataset: Dataset, text: str) -> HttpResponse:
    do = request.POST.get("do", "check")
    if do == "try":
        permissions.check(request.member, Action.USE_PROVIDERS, dataset.workspace_id)
        version = find_version(dataset, request.POST.get("version", ""))
        job = try_again(
            dataset=dataset, version=version, guidelines=text, created_by=request.member
        )
        return redirect(
            place("guidelines", dataset, trial=str(job.id), question=_question(request))
        )
    if do == "check" and affected_prompts(dataset, guidelines=text):
        return _show(request, dataset, text)
    permissions.check(request.member, Action.MANAGE_DATASET, dataset.workspace_id)
    if do == "again":
        return _save_and_ask(request, dataset, text)
    _save(request, dataset, text)
    return redirect(place("studio", dataset, question=_question(request)))


def _save_and_ask(request: LabelingRequest, dataset: Dataset, text: str) -> HttpResponse:
    """Both or neither."""
    permissions.check(request.member, Action.USE_PROVIDERS, dataset.workspace_id)
    version = find_version(dataset, request.POST.get("version", ""))
    with transaction.atomic():
        saved = _save(request, dataset, text)
        job = reprompt(
            dataset=saved,
            version=version,
            budget=read_budget(request.POST.get("max_usd", "")),
            created_by=request.member,
        )
    return redirect("console:job", dataset.id, job.id)


def _save(request: LabelingRequest, dataset: Dataset, text: str) -> Dataset:
    return update_dataset(
        dataset=dataset, changes={"guidelines": text or None}, author=request.member
    )


def _question(request: LabelingRequest) -> str:
    return request.POST.get("question", "") or request.GET.get("question", "")


def _text_of_trial(request: LabelingRequest, dataset: Dataset) -> str:
    """The text that was tried; the dataset's own where nothing was."""
    if not request.GET.get("trial"):
        return dataset.guidelines or ""
    return RunSpec.model_validate(
        find_preview(dataset, request.GET["trial"]).params
    ).prompt.guidelines


def _show(
    request: LabelingRequest, dataset: Dataset, text: str, *, refused: str = "", code: int = 200
) -> HttpResponse:
    known = dataset.guidelines or ""
    whole = max(len(known), len(text)) > MOST_COMPARED
    context: dict[str, Any] = {
        "dataset": dataset,
        "here": "studio",
        "question": _question(request),
        "text": text,
        "is_new": text != known,
        "diff": [("del", known), ("ins", text)] if whole else word_diff(known, text),
        "affected": affected_prompts(dataset, guidelines=text),
        "refused": refused,
        "may_ask": permissions.may(request.member, Action.USE_PROVIDERS, dataset.workspace_id),
        "may_save": permissions.may(request.member, Action.MANAGE_DATASET, dataset.workspace_id),
        **_trial(request, dataset),
    }
    return render(request, "console/guidelines.html", context, status=code)


def _trial(request: LabelingRequest, dataset: Dataset) -> dict[str, Any]:
    if request.method != "GET" or not request.GET.get("trial"):
        return {}
    job = find_preview(dataset, request.GET["trial"])
    preview = changes_in(job, load_schema(dataset))
    whole = extrapolation(job, dry_run_items(job)) if preview.done else None
    return {"preview": preview, "whole": whole, "against": "suggestion"}
