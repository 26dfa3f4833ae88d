"""Taking a measured model's sure answers without a look, and taking that back."""

from contextlib import suppress
from typing import Final
from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from apps.console.lookups import find_dataset
from apps.console.measures import name_of
from apps.console.places import find_evaluation, place
from apps.core.errors import ConflictError, InvalidError
from apps.datasets.models import Dataset
from apps.evaluation.automation import Plan, automate, plan_automation
from apps.evaluation.models import Evaluation
from apps.evaluation.services import finish
from apps.labeling.http import LabelingRequest, for_members
from apps.quality.acceptance import undo_acceptance
from apps.quality.models import Acceptance
from apps.workspaces.permissions import Action

TARGETS: Final = (0.9, 0.95, 0.97, 0.99)


@never_cache
@require_http_methods(["GET", "POST"])
@for_members
def automation(
    request: LabelingRequest, dataset_id: UUID, prompt_evaluation_id: UUID
) -> HttpResponse:
    """What a target precision comes to; posted, it is done, as a job."""
    dataset = find_dataset(request, dataset_id, Action.RUN_JOBS)
    found = find_evaluation(dataset, str(prompt_evaluation_id))
    if not found.is_current:
        finish(evaluation=found)
        found = find_evaluation(dataset, str(prompt_evaluation_id))
    given = request.POST if request.method == "POST" else request.GET
    try:
        target = _target(given.get("target", "97"))
        if request.method == "POST":
            _acceptance, job = automate(evaluation=found, target=target, created_by=request.member)
            return redirect("console:job", dataset.id, job.id)
        plans = [plan_automation(found, target=one) for one in sorted({*TARGETS, target})]
    except (InvalidError, ConflictError) as error:
        code = 409 if isinstance(error, ConflictError) else 422
        return _show(request, dataset, found, [], refused=error.message, code=code)
    return _show(request, dataset, found, plans, target=target)


def _target(text: str) -> float:
    """A share, typed in percent."""
    try:
        target = float(text.replace(",", ".")) / 100
    except ValueError as error:
        raise InvalidError(_("“%s” is not a number.") % text[:40]) from error
    if not 0 < target < 1:
        raise InvalidError(_("A precision lies between 0 and 100 %."))
    return round(target, 6)


def _show(
    request: LabelingRequest,
    dataset: Dataset,
    evaluation: Evaluation,
    plans: list[Plan],
    *,
    target: float = 0.97,
    refused: str = "",
    code: int = 200,
) -> HttpResponse:
    question = evaluation.gold_set.question
    acceptances = Acceptance.objects.filter(question=question).order_by("-id")
    context = {
        "dataset": dataset,
        "here": "evaluations",
        "evaluation": evaluation,
        "name": name_of(evaluation),
        "question": question,
        "plans": plans,
        "target": target,
        "percent_typed": f"{100 * target:g}",
        "chosen": next((plan for plan in plans if plan.target == target), None),
        "acceptances": acceptances[:20],
        "refused": refused,
    }
    return render(request, "console/automation.html", context, status=code)


@require_POST
@for_members
def undo(request: LabelingRequest, dataset_id: UUID, acceptance_id: UUID) -> HttpResponse:
    """Take back what was accepted; the records go to people."""
    dataset = find_dataset(request, dataset_id, Action.RUN_JOBS)
    rows = Acceptance.objects.filter(dataset=dataset).select_related("question")
    found = rows.filter(id=acceptance_id).first()
    if found is None:
        raise Http404
    name = found.question.name
    with suppress(ConflictError):  # what was wanted is so already
        undo_acceptance(acceptance=found)
    return redirect(place("evaluations", dataset, question=name) + "#acceptances")
