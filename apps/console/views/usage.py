"""What the organization uses, by month and workspace."""

import csv
import io

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from apps.console.plan_page import usage_context, usage_rows
from apps.exchange.cells import protect
from apps.labeling.http import LabelingRequest, for_members
from apps.workspaces import permissions
from apps.workspaces.permissions import Action

HEAD = ("month", "workspace", "records", "answers", "model_usd", "bytes", "seats", "api_calls")


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
    """The same as a file of CSV, in plain numbers; without a workspace, what belongs to none."""
    permissions.check(request.member, Action.VIEW_USAGE)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(HEAD)
    for row in usage_rows():
        month, counts = f"{row.month:%Y-%m}", (row.bytes, row.seats, row.api_calls)
        writer.writerow(
            [month, protect(row.name), row.records, row.answers, f"{row.usd:f}", *counts]
        )
    response = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="usage.csv"'
    return response
