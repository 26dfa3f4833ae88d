"""How far a dataset and its people are, and what the answers are worth.

A page comes with its frame; each card is asked for by itself, and asked for again while a worker
counts (``figures.py``). ``?all=1`` has them all at once, for browsers without scripts; ``?card=…``
is one card, ``&format=csv`` its numbers as a file.
"""

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.text import slugify
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from apps.annotation import progress, quotas
from apps.console import people_cards
from apps.console.figures import PEOPLE, figures
from apps.console.lookups import find_dataset
from apps.console.standing_cards import WINDOWS, Card, Look, read_days, read_look, write_cell
from apps.datasets.models import Dataset, QuestionType
from apps.datasets.services import update_dataset
from apps.labeling.forms import QuotaForm
from apps.labeling.http import LabelingRequest, for_members
from apps.organizations.models import Membership
from apps.quality import pace
from apps.quality.causes import CLASSED
from apps.quality.measures.between import MEASURES
from apps.workspaces import permissions
from apps.workspaces.permissions import Action

PROGRESS: Final = ("burn-up", "daily", "redundancy", PEOPLE)
QUALITY: Final = ("burn-up", "agreement", "spread", "pairs", "confusion", "wins", PEOPLE)
COMPARED: Final = {kind for kind, measures in MEASURES.items() if measures}
FOR: Final[Mapping[str, Collection[str]]] = {  # the types of questions of which they say something
    "spread": COMPARED,
    "pairs": COMPARED,
    "confusion": CLASSED,
    "wins": {QuestionType.RANKING},
}
WAITS: Final = {"1": 2, "2": 4, "4": 8, "8": 16, "16": 16}  # s between looks for a worker's


@never_cache
@require_GET
@for_members
def quality(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """What the answers are worth; for reviewers."""
    look = read_look(find_dataset(request, dataset_id, Action.REVIEW), request.GET.dict())
    if "card" in request.GET:
        return _card(request, look, QUALITY)
    context = {
        **_frame(request, look, QUALITY),
        "has_answers": progress.has_answers(dataset=look.dataset),
    }
    return render(request, "console/quality.html", context)


@never_cache
@require_GET
@for_members
def team(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """The dataset's progress; everybody's for who may see all answers, else one's own."""
    look = read_look(find_dataset(request, dataset_id, Action.VIEW_DATASET), request.GET.dict())
    if "card" in request.GET:
        return _card(request, look, PROGRESS)
    return _show_team(request, look)


@require_POST
@for_members
def set_quotas(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """Set the dataset's quotas, or those of the one ``person`` that is named."""
    dataset = find_dataset(request, dataset_id, Action.MANAGE_DATASET)
    person = _find_person(dataset, request.POST.get("person", ""))
    form = QuotaForm(request.POST, least=0 if person else 1)
    if not form.is_valid():
        wrong = (person.id if person else None, form)
        return _show_team(request, read_look(dataset, {}), wrong=wrong, code=422)
    if person is None:
        update_dataset(dataset=dataset, changes=form.cleaned_data, author=request.member)
    else:
        quotas.set_quotas(dataset=dataset, annotator=person, **form.cleaned_data)
    return redirect("console:team", dataset.id)


def _find_person(dataset: Dataset, text: str) -> Membership | None:
    """None when the form is the dataset's; who may not answer it does not exist."""
    if not text:
        return None
    try:
        person = Membership.objects.active().filter(pk=UUID(text)).first()
    except ValueError:
        person = None
    if person is None or not permissions.may(person, Action.ANSWER, dataset.workspace_id):
        raise Http404
    return person


# --- A look --------------------------------------------------------------------------------------
def _sees_all(request: LabelingRequest, dataset: Dataset) -> bool:
    return permissions.may(request.member, Action.VIEW_ALL_RESPONSES, dataset.workspace_id)


def _made(
    request: LabelingRequest, look: Look, key: str, *, at_once: bool = False
) -> dict[str, Any]:
    """A card as its template takes it; ``card`` is None while a worker counts."""
    made: dict[str, Any] = {"key": key, "look": look, "card": None}
    found = figures(look, key, at_once=at_once)
    if found is None:
        return made
    made["counted_at"] = found.at
    if key != PEOPLE:
        return {**made, "card": found.value}
    only = None if _sees_all(request, look.dataset) else request.member.id
    card, rows = people_cards.people_card(look, found.value, only=only)
    manages = permissions.may(request.member, Action.MANAGE_DATASET, look.dataset.workspace_id)
    alerts = people_cards.alerts(rows)
    return {**made, "card": card, "people": rows, "alerts": alerts, "manages": manages}


def _card(request: LabelingRequest, look: Look, known: Sequence[str]) -> HttpResponse:
    key = request.GET["card"]
    if key not in known:
        raise Http404
    is_file = request.GET.get("format") == "csv"
    made = _made(request, look, key, at_once=is_file)
    if is_file:
        return csv_file(f"{look.dataset.name}-{key}", made["card"])
    if made["card"] is None:
        made["wait"] = WAITS.get(request.GET.get("wait", ""), 1)
        return render(request, "console/_standing_waiting.html", made)
    return render(request, "console/_standing_card.html", made)


def csv_file(name: str, card: Card) -> HttpResponse:
    """A card's numbers; cells that a spreadsheet would run are made harmless."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    for row in (card.columns, *card.rows):
        writer.writerow([write_cell(cell) for cell in row])
    answer = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{slugify(name) or "numbers"}.csv"'
    return answer


def _fitting(look: Look, keys: Sequence[str]) -> list[str]:
    """Without the cards that say nothing of such a question."""
    kind = look.rule.type if look.rule else ""
    return [key for key in keys if kind in FOR.get(key, {kind})]


def _frame(request: LabelingRequest, look: Look, keys: Sequence[str]) -> dict[str, Any]:
    """What all pages of cards show: the choice, and the cards themselves where all are asked."""
    whole, keys = request.GET.get("all") == "1", _fitting(look, keys)
    return {
        "dataset": look.dataset,
        "look": look,
        "windows": WINDOWS,
        "questions": list(look.schema.questions.values()),
        "counted": progress.dataset_progress(dataset=look.dataset),
        "keys": keys,
        "made": [_made(request, look, key) for key in keys] if whole else [],
    }


def _show_team(
    request: LabelingRequest,
    look: Look,
    wrong: tuple[Any, QuotaForm] | None = None,
    code: int = 200,
) -> HttpResponse:
    member, dataset = request.member, look.dataset
    people = quotas.places(dataset=dataset)
    context: Mapping[str, Any] = {
        **_frame(request, look, PROGRESS),
        "mine": progress.my_progress(dataset=dataset, annotator=member),
        "people": people,
        "today": sum(person.submitted_today for person in people),
        "seconds": quotas.median_seconds(dataset=dataset, annotator=member),
        "waiting": pace.queue_age(dataset),
        "manages": permissions.may(member, Action.MANAGE_DATASET, dataset.workspace_id),
        "wrong": wrong,
    }
    return render(request, "console/team.html", context, status=code)


# --- One person ----------------------------------------------------------------------------------
@never_cache
@require_GET
@for_members
def person_work(request: LabelingRequest, membership_id: UUID) -> HttpResponse:
    """What somebody does in all datasets that the member manages; nobody else is told of."""
    person = get_object_or_404(Membership.objects.all(), pk=membership_id)
    permissions.remember_roles(request.member)
    managed = [
        dataset
        for dataset in Dataset.objects.visible_to(request.member).select_related("workspace")
        if permissions.may(request.member, Action.MANAGE_DATASET, dataset.workspace_id)
    ]
    if not managed:
        permissions.check(request.member, Action.MANAGE_DATASET)
    rows = people_cards.work_rows(person, managed, days=read_days(request.GET.get("days", "")))
    if (
        not rows
        and person.id != request.member.id
        and not permissions.may(request.member, Action.MANAGE_MEMBERS)
    ):
        raise Http404
    context = {
        "person": person,
        "rows": rows,
        "days": read_days(request.GET.get("days", "")),
        "windows": WINDOWS,
    }
    if request.GET.get("format") == "csv":
        card = people_cards.work_card(rows)
        return csv_file(person.username, card)
    return render(request, "console/person_work.html", context)
