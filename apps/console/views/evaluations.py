"""What prompts are worth against gold: measured, compared, promoted."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from apps.console.evaluations_page import Evaluations
from apps.console.lookups import find_dataset
from apps.console.measures import heat_map, in_order, name_of, tell
from apps.console.places import (
    find_evaluation,
    find_gold,
    find_rule,
    find_version,
    place,
    read_budget,
    rule_of,
)
from apps.core.errors import ConflictError, InvalidError
from apps.datasets.models import Dataset
from apps.datasets.schema import load_schema
from apps.evaluation.models import Evaluation, Split
from apps.evaluation.reading import cell_records, compare, disagreements
from apps.evaluation.services import (
    delete_evaluation,
    evaluate,
    evaluate_agent,
    finish,
    finish_all,
    promote,
    send_to_review,
)
from apps.labeling.http import LabelingRequest, for_members
from apps.pipelines.selection import Selection
from apps.workspaces import permissions
from apps.workspaces.permissions import Action

MOST_OPENED = 80  # records that an address can name


@never_cache
@require_GET
@for_members
def evaluations(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """A question's gold sets, and what was measured against the one that is chosen."""
    dataset = find_dataset(request, dataset_id, Action.RUN_JOBS)
    finish_all(dataset=dataset)
    return _list(request, dataset)


def _list(
    request: LabelingRequest, dataset: Dataset, *, refused: str = "", code: int = 200
) -> HttpResponse:
    schema = load_schema(dataset)
    given = request.POST if request.method == "POST" else request.GET
    rule = find_rule(schema, given.get("question", ""))
    if rule is None:
        return render(request, "console/studio_empty.html", {"dataset": dataset, "here": "studio"})
    gold = find_gold(dataset, given["gold"]) if given.get("gold") else None
    page = Evaluations(request.member, dataset, schema, rule, gold)
    page.refused = refused
    if page.gold is not None and given.get("version"):
        page.choose(find_version(dataset, given["version"]), with_test=bool(given.get("test")))
    context = {"page": page, "dataset": dataset, "here": "evaluations"}
    return render(request, "console/evaluations.html", context, status=code)


@require_POST
@for_members
def start(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """Measure a ``version``, by a job, or what an ``agent`` has suggested, at once."""
    dataset = find_dataset(request, dataset_id, Action.RUN_JOBS)
    gold = find_gold(dataset, request.POST.get("gold", ""))
    with_test, agent = bool(request.POST.get("test")), request.POST.get("agent", "")
    try:
        if agent:
            evaluate_agent(agent=agent, gold=gold, with_test=with_test, created_by=request.member)
        else:
            permissions.check(request.member, Action.USE_PROVIDERS, dataset.workspace_id)
            evaluate(
                version=find_version(dataset, request.POST.get("version", "")),
                gold=gold,
                with_test=with_test,
                budget=read_budget(request.POST.get("max_usd", "")),
                created_by=request.member,
            )
    except InvalidError as error:
        return _list(request, dataset, refused=error.message, code=422)
    return redirect(place("evaluations", dataset, question=gold.question.name, gold=str(gold.id)))


@never_cache
@require_GET
@for_members
def evaluation(
    request: LabelingRequest, dataset_id: UUID, prompt_evaluation_id: UUID
) -> HttpResponse:
    """One evaluation: its figures, where it errs, and on which records."""
    dataset = find_dataset(request, dataset_id, Action.RUN_JOBS)
    return _one(request, dataset, _measured(dataset, prompt_evaluation_id))


def _one(
    request: LabelingRequest,
    dataset: Dataset,
    found: Evaluation,
    *,
    told: str = "",
    refused: str = "",
    code: int = 200,
) -> HttpResponse:
    schema = load_schema(dataset)
    rule = rule_of(schema, found.gold_set.question_id)
    dev = found.reports.get("dev")
    rows = disagreements(found) if found.measured_at else []
    context = {
        "dataset": dataset,
        "here": "evaluations",
        "evaluation": found,
        "name": name_of(found),
        "rule": rule,
        "reports": [(Split(split).label, report) for split, report in found.reports.items()],
        "dev": dev,
        "heat": heat_map(rule, dev["confusion"]) if dev else None,
        "differing": tell(schema, rule, rows, "answer"),
        "may_ask": permissions.may(request.member, Action.USE_PROVIDERS, dataset.workspace_id),
        "told": told,
        "refused": refused,
    }
    return render(request, "console/evaluation.html", context, status=code)


def _measured(dataset: Dataset, evaluation_id: UUID | str) -> Evaluation:
    found = find_evaluation(dataset, str(evaluation_id))
    if not found.is_current:
        finish(evaluation=found)
        found = find_evaluation(dataset, str(evaluation_id))
    return found


@never_cache
@require_GET
@for_members
def comparison(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """``b`` against ``a`` on the same gold: a verdict first, then the figures."""
    dataset = find_dataset(request, dataset_id, Action.RUN_JOBS)
    a, b = (_measured(dataset, request.GET.get(name, "")) for name in ("a", "b"))
    split = Split.TEST if request.GET.get("split") == Split.TEST else Split.DEV
    schema = load_schema(dataset)
    rule = rule_of(schema, a.gold_set.question_id)
    context: dict[str, Any] = {
        "dataset": dataset,
        "here": "evaluations",
        "a": a,
        "b": b,
        "names": (name_of(a), name_of(b)),
        "split": split,
        "rule": rule,
        "may_ask": permissions.may(request.member, Action.USE_PROVIDERS, dataset.workspace_id),
    }
    try:
        found = compare(a, b, split=split)
    except (InvalidError, ConflictError) as error:
        context["refused"] = error.message
        code = 409 if isinstance(error, ConflictError) else 422
        return render(request, "console/comparison.html", context, status=code)
    reports = found["reports"]
    context |= {
        "found": found,
        "metrics": [
            (name, reports["a"]["metrics"].get(name), reports["b"]["metrics"].get(name))
            for name in in_order(reports["b"])
        ],
        "heats": [
            (one, name_of(one), heat_map(rule, reports[side]["confusion"]))
            for one, side in ((a, "a"), (b, "b"))
        ],
        "differing": tell(schema, rule, found["disagreements"], "a", "b"),
    }
    return render(request, "console/comparison.html", context)


@require_GET
@for_members
def cell(request: LabelingRequest, dataset_id: UUID, prompt_evaluation_id: UUID) -> HttpResponse:
    """The records in a cell of the confusion, in explore."""
    dataset = find_dataset(request, dataset_id, Action.RUN_JOBS)
    found = _measured(dataset, prompt_evaluation_id)
    options = {str(one["value"]): one["value"] for one in found.gold_set.question.options}
    true, answered = (options.get(request.GET.get(name, "")) for name in ("true", "answered"))
    try:
        ids = cell_records(found, true=true, answered=answered)
    except InvalidError:
        ids = []
    query = "&".join(f"record={id}" for id in ids[:MOST_OPENED])
    address = reverse("labeling:explore", args=[dataset.id])
    return redirect(f"{address}?{query}" if query else place("evaluations", dataset))


@require_POST
@for_members
def review(request: LabelingRequest, dataset_id: UUID, prompt_evaluation_id: UUID) -> HttpResponse:
    """Put what it differs about into the review queue."""
    dataset = find_dataset(request, dataset_id, Action.RUN_JOBS)
    found = _measured(dataset, prompt_evaluation_id)
    try:
        send_to_review(evaluation=found)
    except ConflictError as error:
        return _one(request, dataset, found, refused=error.message, code=409)
    return redirect(f"{reverse('labeling:review', args=[dataset.id])}?reason=evaluation")


@require_POST
@for_members
def promotion(
    request: LabelingRequest, dataset_id: UUID, prompt_evaluation_id: UUID
) -> HttpResponse:
    """Let the version suggest from now on: for the records of the ``filter``."""
    dataset = find_dataset(request, dataset_id, Action.RUN_JOBS)
    permissions.check(request.member, Action.USE_PROVIDERS, dataset.workspace_id)
    found = _measured(dataset, prompt_evaluation_id)
    try:
        if found.prompt_version is None:
            raise InvalidError(f"{found.agent} is no prompt version.")
        job = promote(
            version=find_version(dataset, str(found.prompt_version_id)),
            selection=Selection(filter=request.POST.get("filter", "")[:8_000]),
            budget=read_budget(request.POST.get("max_usd", "")),
            created_by=request.member,
        )
    except InvalidError as error:
        return _one(request, dataset, found, refused=error.message, code=422)
    return redirect("console:job", dataset.id, job.id)


@require_POST
@for_members
def delete(request: LabelingRequest, dataset_id: UUID, prompt_evaluation_id: UUID) -> HttpResponse:
    """Forget an evaluation; looks at the test split stay counted."""
    dataset = find_dataset(request, dataset_id, Action.RUN_JOBS)
    found = find_evaluation(dataset, str(prompt_evaluation_id))
    delete_evaluation(evaluation=found)
    gold = found.gold_set
    return redirect(place("evaluations", dataset, question=gold.question.name, gold=str(gold.id)))
