"""What the organization uses, by month and workspace."""

import csv
import io

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from apps.console.plan_page import usage_context
from apps.labeling.http import LabelingRequest, for_members
from apps.workspaces import permissions
from apps.workspaces.permissions import Action

HEAD = ("month", "workspace", "records", "answers", "model_usd")


@never_cache
@require_GET
@for_members
def usage(request: LabelingRequest) -> HttpResponse:
    """Twelve months as charts, each with its table."""
    permissions.check(request.member, Action.VIEW_USAGE)
    return render(request, "console/usage.html", usage_context(request.member))


@never_cache
@require_GET
@for_members
def table(request: LabelingRequest) -> HttpResponse:
    """The same as a file of CSV, in plain numbers."""
    permissions.check(request.member, Action.VIEW_USAGE)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(HEAD)
    for row in usage_context(request.member)["rows"]:
        month = f"{row.month:%Y-%m}"
        writer.writerow([month, _inert(row.name), row.records, row.answers, f"{row.usd:f}"])
    response = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="usage.csv"'
    return response


def _inert(text: str) -> str:
    """A name that a spreadsheet would take for a formula gets an apostrophe."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
