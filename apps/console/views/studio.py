"""The prompt studio: a guideline and a prompt on the left, what they do on the right.

The address carries the draft: ``version`` fills the form with a saved version, ``preview`` with
the words of a dry run, whose cards stand beside them.
"""

from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from apps.console.cards import changes_in, preview_of
from apps.console.lookups import find_dataset, find_job
from apps.console.places import find_rule, find_version, place
from apps.console.studio_form import SEEDS, StudioForm, blank, of_preview, of_version
from apps.console.studio_page import Studio
from apps.core.errors import ConflictError, InvalidError
from apps.core.ids import read_id
from apps.datasets.models import Dataset
from apps.datasets.schema import DatasetSchema, QuestionRule, load_schema
from apps.jobs.models import Job
from apps.labeling.http import LabelingRequest, for_members
from apps.pipelines.models import PromptVersion
from apps.pipelines.orders import split_params, start_run
from apps.pipelines.previews import preview_prompts
from apps.pipelines.recipes.registry import load
from apps.pipelines.versions import (
    delete_prompt,
    prompt_now,
    rebase_prompt,
    save_prompt,
    update_prompt,
)
from apps.workspaces import permissions
from apps.workspaces.permissions import Action

KEPT: Final = ("filter", "max_usd", "note")
MOST_KEPT: Final = 1_000  # characters of one of them


@never_cache
@require_GET
@for_members
def studio(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """The studio for a question; the first one that there is, unless one is named."""
    dataset = find_dataset(request, dataset_id, Action.RUN_JOBS)
    schema = load_schema(dataset)
    rule = find_rule(schema, request.GET.get("question", ""))
    if rule is None:
        return render(request, "console/studio_empty.html", {"dataset": dataset, "here": "studio"})
    page = Studio(request.member, dataset, schema, rule)
    begun: dict[str, Any] = blank(dataset, page.models)
    if request.GET.get("version"):
        page.version = find_version(dataset, request.GET["version"])
        begun |= of_version(page.version)
    if request.GET.get("preview"):
        job = find_preview(dataset, request.GET["preview"])
        page.preview = preview_of(job, schema)
        begun |= of_preview(job)
    begun |= _kept(request.GET)
    page.form = StudioForm(begun, rule=rule, models=page.models)
    return _show(request, page)


def find_preview(dataset: Dataset, text: str) -> Job:
    """The dry run that an address names."""
    rows = Job.objects.of_dataset(dataset.id).filter(params__dry_run__isnull=False)
    return get_object_or_404(rows, pk=read_id(text))


@never_cache
@require_GET
@for_members
def preview_cards(request: LabelingRequest, dataset_id: UUID, job_id: UUID) -> HttpResponse:
    """The cards of a dry run, asked for until it has ended."""
    dataset = find_dataset(request, dataset_id, Action.RUN_JOBS)
    job = find_preview(dataset, str(find_job(dataset, job_id).id))
    against = request.GET.get("against", "")
    read = changes_in if against == "suggestion" else preview_of
    preview = read(job, load_schema(dataset))
    context = {"dataset": dataset, "preview": preview, "against": against}
    return render(request, "console/_cards.html", context)


@require_POST
@for_members
def studio_try(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """Ask the model about a few records; ``other`` takes others than last time."""
    page = _read(request, dataset_id, asks=True)
    if not page.is_valid:
        return _show(request, page, code=422)
    order = page.form.trial()
    if request.POST.get("other") and order.selection.sample is not None:
        sample = order.selection.sample
        drawn = sample.model_copy(update={"seed": (sample.seed + 1) % SEEDS})
        chosen = order.selection.model_copy(update={"sample": drawn})
        order = order.model_copy(update={"selection": chosen})
    try:
        job = start_run(dataset=page.dataset, order=order, created_by=request.member)
    except InvalidError as error:
        return _refuse(request, page, error)
    more = {"preview": str(job.id), "version": request.POST.get("parent", "")}
    address = place("studio", page.dataset, question=page.rule.name, **more)
    return redirect(f"{address}&{urlencode(_kept(request.POST))}")


def _kept(given: QueryDict) -> dict[str, str]:
    """What a dry run does not remember of the form, as far as an address can carry it."""
    typed = {name: str(given[name]) for name in KEPT if name in given}
    return {name: text for name, text in typed.items() if len(text) < MOST_KEPT}


@require_POST
@for_members
def studio_prompts(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """The prompts of the same records and the price of the run; nothing is asked of a model."""
    page = _read(request, dataset_id)
    if not page.is_valid:
        return _show(request, page, code=422)
    try:
        page.prompts = preview_prompts(
            dataset=page.dataset, order=page.form.trial(), member=request.member
        )
    except InvalidError as error:
        return _refuse(request, page, error)
    return _show(request, page)


@require_POST
@for_members
def studio_save(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """Save the prompt as a version, with the dataset's guideline as it is."""
    page = _read(request, dataset_id)
    if not page.is_valid:
        return _show(request, page, code=422)
    if page.has_other_guideline:
        return _refuse(request, page, InvalidError(_("Save the guideline first.")))
    form = page.form
    recipe_params, asking = split_params(load("suggest"), form.params)
    kept = page.version.params if page.version else {}
    provider_id, model = form.provider
    try:
        version = save_prompt(
            schema=page.schema,
            question=page.rule.question,
            prompt=prompt_now(
                page.dataset,
                page.rule.question,
                template=form.own_template,
                shots=form.cleaned_data["shots"],
                strategy=form.cleaned_data["strategy"],
            ),
            provider_id=provider_id,
            model=model,
            params={**kept, **recipe_params},
            asking=asking,
            parent=page.version,
            note=form.cleaned_data["note"],
            author=request.member,
        )
    except InvalidError as error:
        return _refuse(request, page, error)
    return redirect(place("studio", page.dataset, question=page.rule.name, version=str(version.id)))


@require_POST
@for_members
def studio_run(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """Ask about all records of the filter, up to the budget."""
    page = _read(request, dataset_id, asks=True)
    if not page.is_valid:
        return _show(request, page, code=422)
    if page.has_other_guideline:
        return _refuse(request, page, InvalidError(_("Save the guideline first.")))
    try:
        job = start_run(dataset=page.dataset, order=page.form.run(), created_by=request.member)
    except InvalidError as error:
        return _refuse(request, page, error)
    return redirect("console:job", page.dataset.id, job.id)


@require_POST
@for_members
def prompt_version(
    request: LabelingRequest, dataset_id: UUID, prompt_version_id: UUID
) -> HttpResponse:
    """``do``: bring the version up to date, delete it, or change its note."""
    dataset = find_dataset(request, dataset_id, Action.RUN_JOBS)
    version = find_version(dataset, str(prompt_version_id))
    schema, name = load_schema(dataset), version.question.name if version.question else ""
    try:
        shown = _change(request, version, schema)
    except (InvalidError, ConflictError) as error:
        rule = find_rule(schema, name)
        if rule is None:
            return redirect(place("studio", dataset))
        page = Studio(request.member, dataset, schema, rule, version=version)
        begun = blank(dataset, page.models) | of_version(version)
        page.form = StudioForm(begun, rule=rule, models=page.models)
        return _refuse(request, page, error)
    return redirect(place("studio", dataset, question=name, version=shown))


def _change(request: LabelingRequest, version: PromptVersion, schema: DatasetSchema) -> str:
    """The id of the version to show afterwards; empty for none."""
    do = request.POST.get("do", "")
    if do == "delete":
        delete_prompt(version=version)
        return ""
    if do == "rebase":
        return str(rebase_prompt(version=version, schema=schema, author=request.member).id)
    note = {"note": request.POST.get("note", "")}
    return str(update_prompt(version=version, schema=schema, changes=note).id)


# --- Shared by all of them -----------------------------------------------------------------------
def _read(request: LabelingRequest, dataset_id: UUID, *, asks: bool = False) -> Studio:
    """The studio with the posted form. ``asks``: what comes of it asks a model."""
    dataset = find_dataset(request, dataset_id, Action.RUN_JOBS)
    if asks:
        permissions.check(request.member, Action.USE_PROVIDERS, dataset.workspace_id)
    schema = load_schema(dataset)
    rule: QuestionRule | None = find_rule(schema, request.POST.get("question", ""))
    if rule is None:
        raise Http404
    page = Studio(request.member, dataset, schema, rule)
    page.form = StudioForm(request.POST, rule=rule, models=page.models)
    if request.POST.get("parent"):
        page.version = find_version(dataset, request.POST["parent"])
    return page


def _refuse(request: LabelingRequest, page: Studio, error: Exception) -> HttpResponse:
    page.refused = str(error)
    return _show(request, page, code=409 if isinstance(error, ConflictError) else 422)


def _show(request: LabelingRequest, page: Studio, code: int = 200) -> HttpResponse:
    context = {"page": page, "dataset": page.dataset, "here": "studio"}
    return render(request, "console/studio.html", context, status=code)
