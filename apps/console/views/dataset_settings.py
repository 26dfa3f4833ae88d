"""A dataset's settings, a tab each; every card is saved by itself."""

from typing import Any, Final
from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.annotation.models import SchemaChange
from apps.console.creation_words import QUESTION_TYPES
from apps.console.edit_form import KINDS, PARTS, TYPES, forms_of
from apps.console.edit_words import describe
from apps.console.lookups import find_dataset
from apps.console.settings_forms import cards_of
from apps.core.errors import ConflictError, DomainError, NotAllowedError, NotFoundError
from apps.datasets.models import Dataset, GuidelinesVersion, Question
from apps.datasets.services import archive_dataset, trash_dataset, unarchive_dataset
from apps.labeling.http import LabelingRequest, for_members
from apps.labeling.markup import render_guidelines
from apps.labeling.review_values import word_diff
from apps.quality.schema_changes.services import covered, settle
from apps.workspaces.permissions import Action

TABS: Final = (
    ("general", _("General")),
    ("fields", _("Fields")),
    ("questions", _("Questions")),
    ("guidelines", _("Guidelines")),
    ("metadata", _("Metadata")),
    ("vectors", _("Vectors")),
    ("distribution", _("Distribution and quotas")),
    ("review", _("Review rules")),
    ("danger", _("Danger")),
)
SHOWN: Final = 30  # versions and changes
MOST_COMPARED: Final = 20_000  # characters whose words are set side by side


@require_GET
@for_members
def general(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    dataset = find_dataset(request, dataset_id, Action.MANAGE_DATASET)
    return redirect("console:settings_tab", dataset.id, "general")


@never_cache
@require_http_methods(["GET", "POST"])
@for_members
def settings(request: LabelingRequest, dataset_id: UUID, tab: str) -> HttpResponse:
    """A tab; what is sent is one card of it."""
    dataset = find_dataset(request, dataset_id, Action.MANAGE_DATASET)
    if tab not in dict(TABS):
        raise Http404
    if request.method == "GET":
        return show(request, dataset, tab)
    cards = cards_of(tab, dataset, request.POST)
    card = next((one for one in cards if one.form.is_bound), None)
    if card is None:
        raise Http404
    if request.POST.get("do") == "preview":
        return show(request, dataset, tab, cards=cards, text=_typed(card.form))
    code = 422
    if card.form.is_valid():
        try:
            card.form.save(dataset, request.member)
            return redirect(_saved(request, card.id))
        except (NotFoundError, NotAllowedError):
            raise
        except DomainError as error:
            card.form.add_error(None, error.message)
            code = 409 if isinstance(error, ConflictError) else 422
    return show(request, dataset, tab, cards=cards, text=_typed(card.form), code=code)


def _typed(form: Any) -> str:
    return form.data.get(form.add_prefix("guidelines"), "") if form.data else ""


def _saved(request: LabelingRequest, card: str) -> str:
    return f"{request.path}?saved={card}#{card}"


@require_POST
@for_members
def archive(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """Put the dataset away, or take it back."""
    dataset = find_dataset(request, dataset_id, Action.MANAGE_DATASET)
    change = unarchive_dataset if dataset.archived_at else archive_dataset
    change(dataset=dataset)
    return redirect("console:settings_tab", dataset.id, "danger")


@require_POST
@for_members
def throw_away(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """To the trash, once the name is typed."""
    dataset = find_dataset(request, dataset_id, Action.MANAGE_DATASET)
    if request.POST.get("name") != dataset.name:
        return show(request, dataset, "danger", misspelt=True, code=422)
    trash_dataset(dataset=dataset)
    return redirect("console:trash")


def show(
    request: LabelingRequest, dataset: Dataset, tab: str, *, code: int = 200, **more: Any
) -> HttpResponse:
    context = {
        "dataset": dataset,
        "here": "settings",
        "tab": tab,
        "tabs": TABS,
        "saved": request.GET.get("saved", ""),
        "cards": more.pop("cards", None) or cards_of(tab, dataset),
        **(_OF_TAB[tab](request, dataset, more) if tab in _OF_TAB else {}),
        **more,
    }
    return render(
        request, f"console/settings_{_TEMPLATES.get(tab, 'cards')}.html", context, None, code
    )


def _guidelines(request: LabelingRequest, dataset: Dataset, more: Any) -> dict[str, Any]:
    rows = GuidelinesVersion.objects.filter(dataset=dataset).select_related("author")
    versions = list(rows.order_by("-number")[:SHOWN])
    shown = next((v for v in versions if str(v.number) == request.GET.get("version")), None)
    before = ""
    if shown is not None:
        earlier = rows.filter(number=shown.number - 1).first()
        before = earlier.text if earlier else ""
    text = more.get("text") or dataset.guidelines or ""
    return {
        "versions": versions,
        "shown": shown,
        "diff": _diff(before, shown.text) if shown else [],
        "preview": render_guidelines(text) if text else "",
    }


def _diff(before: str, after: str) -> list[tuple[str, str]]:
    if max(len(before), len(after)) > MOST_COMPARED:
        return [("del", before), ("ins", after)]
    return word_diff(before, after)


def _questions(request: LabelingRequest, dataset: Dataset, more: Any) -> dict[str, Any]:
    running = settle(dataset)
    rows = SchemaChange.objects.of(dataset).select_related("created_by__user")
    changes = list(rows.order_by("-id")[:SHOWN])
    beneath = covered(changes)
    questions = list(Question.objects.filter(dataset=dataset).in_order())
    return {
        "questions": questions,
        "asked": [
            (one, QUESTION_TYPES[one.type], forms_of(one, alone=len(questions) == 1))
            for one in questions
        ],
        "running": running,
        "changes": [
            (
                change,
                KINDS[change.edit["kind"]],
                describe(change.edit),
                not (running or change.undoes or change.undone_at or change.id in beneath),
            )
            for change in changes
        ],
        "types": TYPES,
        "part_numbers": range(1, PARTS + 1),
    }


_OF_TAB: Final = {"guidelines": _guidelines, "questions": _questions}
_TEMPLATES: Final = {"guidelines": "guidelines", "questions": "questions", "danger": "danger"}
