"""What the member has to do, and the datasets they see."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from apps.labeling import work
from apps.labeling.checklist import find_checklist
from apps.labeling.dataset_list import DatasetList
from apps.labeling.feedback import feedback_of
from apps.labeling.http import LabelingRequest, for_members, is_fragment
from apps.quality.models import FeedbackKind
from apps.quality.talk import count_unread
from apps.workspaces.permissions import Action, may_somewhere

CHANGES = 2  # of reviewers, shown at once


@never_cache
@require_GET
@for_members
def home(request: LabelingRequest) -> HttpResponse:
    """The member's queues: what is pending, what was done today, where to go on.

    A script, which asks every minute, gets the queues alone.
    """
    rows = work.find_queues(request.member)
    going_on = next((row for row in rows if row.has_work), None)
    context: dict[str, Any] = {
        "rows": rows,
        "going_on": going_on,
        "today": sum(row.overview.mine.submitted_today for row in rows),
        "to_go": sum(row.to_go for row in rows if row.overview.mine.daily_quota),
    }
    if is_fragment(request):
        return render(request, "labeling/_queues.html", context)
    context["minutes"] = work.minutes_to_go(going_on, request.member)
    context["unread"] = sum(count_unread(request.member))
    context["changes"] = feedback_of(request.member, [FeedbackKind.CHANGED], CHANGES)
    context["week"] = work.find_week(request.member, rows)
    context["left"] = find_checklist(request.member)
    context["may_create"] = not rows and may_somewhere(request.member, Action.MANAGE_DATASET)
    context["attention"] = work.find_attention(request.member, rows)
    return render(request, "labeling/home.html", context)


@never_cache
@require_GET
@for_members
def datasets(request: LabelingRequest) -> HttpResponse:
    """The datasets the member sees, narrowed and sorted; a script gets the table alone."""
    datasets = DatasetList(request.member, request.GET)
    template = "labeling/_dataset_table.html" if is_fragment(request) else "labeling/datasets.html"
    return render(request, template, {"list": datasets, "page": datasets.page})
