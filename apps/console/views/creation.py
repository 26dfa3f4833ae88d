"""A new dataset, step by step; each step is kept, so that nothing is lost and back works."""

from functools import wraps
from typing import Any, Final
from uuid import UUID, uuid4

from django.contrib.auth.views import redirect_to_login
from django.http import HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods, require_POST

from apps.console import creation_form
from apps.console.creation_page import ColumnsPage, QuestionsPage, may_create, workspaces_of
from apps.console.creation_preview import preview_of
from apps.console.dataset_templates import TEMPLATES, begin_with, plain
from apps.console.upload_handler import StoringHandler, is_encoded, is_too_long
from apps.core.errors import DomainError, InvalidError
from apps.core.ids import read_id
from apps.datasets.models import Dataset, DatasetStatus
from apps.exchange.creation import uploads
from apps.exchange.creation.content import SketchContent
from apps.exchange.creation.services import (
    MOST_PASTED,
    content_like,
    content_of,
    create_dataset_of,
    discard_sketch,
    save_sketch,
    start_sketch,
)
from apps.exchange.formats import FileFormat, format_of
from apps.exchange.models import DatasetSketch, SketchSource
from apps.labeling.http import LabelingRequest, for_members, is_fragment, is_signed_in
from apps.workspaces import permissions
from apps.workspaces.models import Workspace
from apps.workspaces.permissions import Action

SHOWN: Final = 5  # sketches to go on with


# --- The first step: where the records are ------------------------------------------------------
def storing(view: Any) -> Any:
    """A POST's file goes to the data directory, once it is known that its sender may send one.

    The token is checked afterwards: it comes with the body, which is read outside any transaction.
    """

    @csrf_exempt
    @wraps(view)
    def wrapper(request: LabelingRequest) -> HttpResponseBase:
        if request.method != "POST":
            return csrf_protect(view)(request)  # type: ignore[no-any-return]
        if not is_signed_in(request):
            return redirect_to_login(request.get_full_path())
        refusal = _admit(request)
        if refusal.status_code != 204:
            return refusal
        handler = StoringHandler(request)
        request.upload_handlers = [handler]
        try:
            return csrf_protect(view)(request)  # type: ignore[no-any-return]
        except MultiPartParserError:
            return HttpResponse(status=400)
        finally:
            handler.clean_up()

    return wrapper


@for_members
def _admit(request: LabelingRequest) -> HttpResponse:
    """204 for whom a body is read."""
    may_create(request.member)
    if is_encoded(request):
        text = _("Compressed uploads are not taken; send the file as it is.")
        return _show_source(request, text, code=415)
    if is_too_long(request):
        return _show_source(request, _too_large(), code=413)
    return HttpResponse(status=204)


@never_cache
@storing
@require_http_methods(["GET", "POST"])
@for_members
def create_dataset(request: LabelingRequest) -> HttpResponse:
    """Choose a template, and a file, pasted rows, another dataset or nothing."""
    may_create(request.member)
    if request.method == "GET":
        return _show_source(request)
    try:
        sketch = _begin(request)
    except DomainError as error:
        too_large = getattr(request.upload_handlers[0], "is_too_large", False)
        text = _too_large() if too_large else error.message
        return _show_source(request, text, code=413 if too_large else 422)
    step = "sketch_columns" if sketch.format else "sketch_questions"
    return redirect(f"console:{step}", sketch.id)


def _begin(request: LabelingRequest) -> DatasetSketch:
    """Raises ``InvalidError`` for what no dataset can be made of."""
    source = request.POST.get("source", "")
    template = request.POST.get("template", "")
    if source == SketchSource.DATASET:
        return _begin_with_dataset(request)
    if source == SketchSource.EMPTY:
        content = begin_with(template) if template else plain()
        return start_sketch(author=request.member, source=SketchSource.EMPTY, content=content)
    if source == SketchSource.PASTE:
        return _begin_with_rows(request, begin_with(template))
    return _begin_with_file(request, begin_with(template))


def _begin_with_file(request: LabelingRequest, content: SketchContent) -> DatasetSketch:
    handler: Any = request.upload_handlers[0]
    if handler.part is None:
        raise InvalidError(_("Choose a file first."))
    content.name = handler.name.rpartition(".")[0][:100]
    return start_sketch(
        author=request.member,
        source=SketchSource.UPLOAD,
        content=content,
        file=handler.part,
        file_name=handler.name,
        format=format_of(handler.name),
    )


def _begin_with_rows(request: LabelingRequest, content: SketchContent) -> DatasetSketch:
    text = request.POST.get("rows", "").strip()
    if not text:
        raise InvalidError(_("Paste some rows first."))
    if len(text) > MOST_PASTED:
        raise InvalidError(_("That is too much to paste; upload it as a file."))
    formats = {"[": FileFormat.JSON, "{": FileFormat.JSONL}
    part = uploads.part_path(uuid4())
    part.write_bytes(text.replace("\r\n", "\n").encode(errors="replace"))
    try:
        return start_sketch(
            author=request.member,
            source=SketchSource.PASTE,
            content=content,
            file=part,
            format=formats.get(text[0], FileFormat.CSV),
        )
    finally:
        part.unlink(missing_ok=True)


def _begin_with_dataset(request: LabelingRequest) -> DatasetSketch:
    id = read_id(request.POST.get("dataset", ""))
    found = Dataset.objects.visible_to(request.member).filter(id=id).first() if id else None
    if found is None:
        raise InvalidError(_("Choose a dataset first."))
    permissions.check(request.member, Action.MANAGE_DATASET, found.workspace_id)
    content = content_like(found, with_records="with_records" in request.POST)
    content.name = f"{found.name} 2"[:200]
    return start_sketch(author=request.member, source=SketchSource.DATASET, content=content)


def _too_large() -> str:
    return _("The file has more than 2 GB; split it and import the rest later.")


def _show_source(request: LabelingRequest, problem: str = "", code: int = 200) -> HttpResponse:
    is_read = request.method == "GET" or code == 422
    sent = request.POST if request.method == "POST" and is_read else {}
    template = sent.get("template", request.GET.get("template", ""))
    managed = [place.id for place in workspaces_of(request.member)]
    datasets = Dataset.objects.visible_to(request.member).filter(status=DatasetStatus.READY)
    context = {
        "here": "datasets",
        "step": "source",
        "problem": problem,
        "sent": sent,
        "template": template if template in {one.name for one in TEMPLATES} else "",
        "templates": TEMPLATES,
        "datasets": datasets.filter(workspace__in=managed).order_by("name")[:500],
        "sketches": DatasetSketch.objects.visible_to(request.member).unfinished()[:SHOWN],
    }
    return render(request, "console/creation_source.html", context, status=code)


# --- The other steps ------------------------------------------------------------------------------
@never_cache
@require_http_methods(["GET", "POST"])
@for_members
def columns(request: LabelingRequest, dataset_sketch_id: UUID) -> HttpResponse:
    """Where each column goes; a script that tells a change gets the preview alone."""
    sketch = _find(request, dataset_sketch_id)
    if sketch.is_finished:
        return _finished(sketch)
    content, problem = content_of(sketch), ""
    if request.method == "POST":
        try:
            creation_form.read_columns(content, request.POST)
            sketch = save_sketch(sketch=sketch, content=content)
        except InvalidError as error:
            problem = error.message
    preview = preview_of(sketch, content, is_asked=False)
    if request.method == "POST" and is_fragment(request):
        return render(request, "console/_creation_preview.html", {"preview": preview})
    if request.POST.get("do") == "next" and not (problem or preview.problem):
        return redirect("console:sketch_questions", sketch.id)
    refused = request.POST.get("do") == "next"
    page = ColumnsPage(sketch, content)
    context = {
        **_context(sketch, "columns"),
        "page": page,
        "preview": preview,
        "problem": problem or (preview.problem if refused else ""),
    }
    return render(request, "console/creation_columns.html", context, status=422 if refused else 200)


@never_cache
@require_http_methods(["GET", "POST"])
@for_members
def questions(request: LabelingRequest, dataset_sketch_id: UUID) -> HttpResponse:
    """What is asked: order, words, labels."""
    sketch = _find(request, dataset_sketch_id)
    if sketch.is_finished:
        return _finished(sketch)
    content, problem = content_of(sketch), ""
    faults: dict[int, str] = {}
    if request.method == "POST":
        act = request.POST.get("do", "next")
        try:
            creation_form.read_questions(content, request.POST)
            place = "" if act == "next" else creation_form.steer_questions(content, act)
            sketch = save_sketch(sketch=sketch, content=content)
        except InvalidError as error:
            problem, place = error.message, ""
        if act == "next" and not problem:
            faults = creation_form.faults_of(content)
            problem = "" if faults else preview_of(sketch, content).problem
            if not faults and not problem:
                return redirect("console:sketch_finish", sketch.id)
        if not faults and not problem:
            address = redirect("console:sketch_questions", sketch.id)
            address["Location"] += f"#{place}" if place else ""
            return address
    context = {
        **_context(sketch, "questions"),
        "page": QuestionsPage(sketch, content, faults),
        "problem": problem,
        "has_faults": bool(faults),
    }
    code = 422 if faults or problem else 200
    return render(request, "console/creation_questions.html", context, status=code)


@never_cache
@require_http_methods(["GET", "POST"])
@for_members
def finish(request: LabelingRequest, dataset_sketch_id: UUID) -> HttpResponse:
    """Name, place, guidelines; then the dataset is made, and its import begins."""
    sketch = _find(request, dataset_sketch_id)
    if sketch.is_finished:
        return _finished(sketch)
    content, problem = content_of(sketch), ""
    if request.method == "POST":
        try:
            creation_form.read_finish(content, request.POST)
            workspace = _workspace(request, content)
            sketch = save_sketch(sketch=sketch, content=content)
            if request.POST.get("do") != "keep":
                return _finished(create_dataset_of(sketch=sketch, workspace=workspace))
        except DomainError as error:
            problem = error.message
    context = {
        **_context(sketch, "finish"),
        "page": QuestionsPage(sketch, content, {}),
        "preview": preview_of(sketch, content),
        "workspaces": workspaces_of(request.member),
        "problem": problem,
    }
    code = 422 if problem else 200
    return render(request, "console/creation_finish.html", context, status=code)


@require_POST
@for_members
def discard(request: LabelingRequest, dataset_sketch_id: UUID) -> HttpResponse:
    """Forget what was begun."""
    discard_sketch(sketch=_find(request, dataset_sketch_id))
    return redirect("console:create_dataset")


def _workspace(request: LabelingRequest, content: SketchContent) -> Workspace:
    id = read_id(request.POST.get("workspace", ""))
    found = next((one for one in workspaces_of(request.member) if one.id == id), None)
    if found is None:
        raise InvalidError(_("Choose a workspace."))
    content.workspace_id = found.id
    if not content.name:
        raise InvalidError(_("The dataset needs a name."))
    taken = Dataset.objects.filter(workspace=found, name=content.name)
    if taken.exists():
        raise InvalidError(
            _("The workspace %(workspace)s has a dataset called “%(name)s” already.")
            % {"workspace": found.name, "name": content.name}
        )
    return found


def _find(request: LabelingRequest, dataset_sketch_id: UUID) -> DatasetSketch:
    rows = DatasetSketch.objects.visible_to(request.member).select_related("author", "job")
    found: DatasetSketch = get_object_or_404(rows, pk=dataset_sketch_id)
    may_create(request.member)
    return found


def _finished(sketch: DatasetSketch) -> HttpResponse:
    """To what became of it."""
    if sketch.dataset_id is None:
        return redirect("console:create_dataset")
    if sketch.job_id is not None:
        return redirect("console:job", sketch.dataset_id, sketch.job_id)
    return redirect("labeling:annotate", sketch.dataset_id)


def _context(sketch: DatasetSketch, step: str) -> dict[str, Any]:
    return {"here": "datasets", "sketch": sketch, "step": step}
