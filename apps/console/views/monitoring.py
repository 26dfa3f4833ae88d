"""A model at work: how it does over time, and which of its predictions people see."""

from typing import Literal
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from apps.console.lookups import find_dataset
from apps.console.monitor_page import SPANS, MonitorForm, figures_of, form_of
from apps.console.places import find_rule, place
from apps.core.errors import InvalidError
from apps.datasets.models import Dataset, Question
from apps.datasets.schema import QuestionRule, load_schema
from apps.labeling.http import LabelingRequest, for_members
from apps.monitoring.models import Monitor
from apps.monitoring.series import series
from apps.monitoring.services import configure_monitor
from apps.quality.answers import LEARNABLE, submitted_count
from apps.workspaces.permissions import Action


@never_cache
@require_http_methods(["GET", "POST"])
@for_members
def monitoring(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """A question's monitor; posted, its rules are set."""
    dataset = find_dataset(request, dataset_id, Action.RUN_JOBS)
    given = request.POST if request.method == "POST" else request.GET
    rule = find_rule(load_schema(dataset), given.get("question", ""))
    if rule is None:
        return render(request, "console/studio_empty.html", {"dataset": dataset, "here": "studio"})
    if request.method == "GET":
        return _show(request, dataset, rule)
    form = MonitorForm(request.POST)
    if form.is_valid():
        rows = Question.objects.select_related("dataset__workspace")
        try:
            configure_monitor(question=rows.get(id=rule.id), **form.cleaned_data)
            return redirect(place("monitoring", dataset, question=rule.name))
        except InvalidError as error:
            form.add_error(None, error.message)
    return _show(request, dataset, rule, form, code=422)


def _show(
    request: LabelingRequest,
    dataset: Dataset,
    rule: QuestionRule,
    form: MonitorForm | None = None,
    code: int = 200,
) -> HttpResponse:
    monitors = Monitor.objects.select_related("dataset", "question")
    found = monitors.filter(question=rule.id).first()
    monitor = found or Monitor(question=rule.question, dataset=dataset)
    days = _days(request.GET.get("days", ""))
    by: Literal["day", "week"] = "day" if days <= 30 else "week"
    watched = series(monitor, days=days, by=by)
    answers = submitted_count(dataset.id)
    context = {
        "dataset": dataset,
        "here": "monitoring",
        "rule": rule,
        "questions": list(load_schema(dataset).questions.values()),
        "monitor": found,
        "form": form or form_of(monitor),
        "learnable": rule.type in LEARNABLE,
        "days": days,
        "spans": SPANS,
        "total": watched["total"],
        "routed": sum(watched["total"]["routed"].values()),
        "figures": figures_of(watched) if watched["total"]["n"] else [],
        "new_answers": max(answers - monitor.answers, 0) if found else 0,
    }
    return render(request, "console/monitoring.html", context, status=code)


def _days(text: str) -> int:
    return int(text) if text in {str(days) for days in SPANS} else 30
