"""Gold sets: frozen, and looked into."""

from typing import Any, Final
from uuid import UUID

from django import forms
from django.db.models import Count
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from apps.console.evaluations_page import Evaluations
from apps.console.lookups import find_dataset
from apps.console.measures import tell
from apps.console.places import find_gold, find_rule, place, rule_of
from apps.core.errors import ConflictError, InvalidError
from apps.datasets.models import Question
from apps.datasets.schema import load_schema
from apps.evaluation.gold import freeze_gold, is_intact
from apps.evaluation.models import GoldAnswer, GoldSource, Split
from apps.labeling.http import LabelingRequest, for_members
from apps.workspaces.permissions import Action

PAGE: Final = 50  # records of a gold set that are shown at once


class GoldForm(forms.Form):
    """``min_answers`` left out is as many as the dataset asks for."""

    test_percent = forms.IntegerField(label=_("Test share in %"), min_value=0, max_value=100)
    min_answers = forms.IntegerField(
        label=_("Answers at least"), min_value=1, max_value=100, required=False
    )
    note = forms.CharField(label=_("Note"), max_length=2_000, required=False)


@require_POST
@for_members
def freeze(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """Freeze what people are sure of as the question's next gold set."""
    dataset = find_dataset(request, dataset_id, Action.RUN_JOBS)
    schema = load_schema(dataset)
    rule = find_rule(schema, request.POST.get("question", ""))
    if rule is None:
        raise Http404
    form = GoldForm(request.POST)
    code = 422
    if form.is_valid():
        rows = Question.objects.select_related("dataset__workspace")
        try:
            gold = freeze_gold(
                question=rows.get(id=rule.id), created_by=request.member, **form.cleaned_data
            )
            return redirect(place("evaluations", dataset, question=rule.name, gold=str(gold.id)))
        except (InvalidError, ConflictError) as error:
            form.add_error(None, error.message)
            code = 409 if isinstance(error, ConflictError) else 422
    page = Evaluations(request.member, dataset, schema, rule)
    page.refused = " ".join(str(text) for texts in form.errors.values() for text in texts)
    context = {"page": page, "dataset": dataset, "here": "evaluations"}
    return render(request, "console/evaluations.html", context, status=code)


@never_cache
@require_GET
@for_members
def gold_set(request: LabelingRequest, dataset_id: UUID, gold_set_id: UUID) -> HttpResponse:
    """What is in a gold set: its sums, and the records of the split that may be looked at."""
    dataset = find_dataset(request, dataset_id, Action.RUN_JOBS)
    gold = find_gold(dataset, str(gold_set_id))
    schema = load_schema(dataset)
    rule = rule_of(schema, gold.question_id)
    answers = GoldAnswer.objects.filter(gold_set=gold)
    counted = answers.values_list("split", "source").annotate(n=Count("*")).order_by()
    offset = _offset(request.GET.get("from", ""))
    dev = answers.filter(split=Split.DEV).order_by("record")
    rows: list[dict[str, Any]] = [
        {"record_id": id, "gold": value}
        for id, value in dev.values_list("record_id", "value")[offset : offset + PAGE]
    ]
    sums = {(split, source): n for split, source, n in counted}
    context = {
        "dataset": dataset,
        "here": "evaluations",
        "gold": gold,
        "rule": rule,
        "sums": [
            (split.label, [sums.get((split, source), 0) for source in GoldSource])
            for split in Split
        ],
        "sources": [source.label for source in GoldSource],
        "is_intact": is_intact(gold),
        "answers": tell(schema, rule, rows),
        "next": offset + PAGE if len(rows) == PAGE else None,
        "before": max(offset - PAGE, 0) if offset else None,
    }
    return render(request, "console/gold_set.html", context)


def _offset(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0
