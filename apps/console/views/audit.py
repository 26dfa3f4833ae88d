"""The audit log: who did what, when, to what, from where; and whether the log is whole."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from apps.console import audit
from apps.console.audit import Asked, Names
from apps.core.errors import InvalidError
from apps.core.ids import read_id
from apps.core.tenancy import current, enter
from apps.events import reading, retention, seals
from apps.events.log import emit
from apps.labeling.http import LabelingRequest, for_members
from apps.organizations.models import Membership
from apps.workspaces import permissions
from apps.workspaces.permissions import Action

PAGE = 50  # events
TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}


@never_cache
@require_GET
@for_members
def audit_log(request: LabelingRequest) -> HttpResponse:
    """A page of events, newest first."""
    permissions.check(request.member, Action.VIEW_AUDIT)
    return _show(request)


@never_cache
@require_POST
@for_members
def keep(request: LabelingRequest) -> HttpResponse:
    """For how many days events are kept; empty is for ever."""
    permissions.check(request.member, Action.MANAGE_ORGANIZATION)
    text = request.POST.get("days", "").strip()
    try:
        if text and not text.isdecimal():
            raise InvalidError("")
        retention.set_retention(days=int(text[:9]) if text else None)
    except InvalidError:
        return _show(request, wrong=text[:20], code=422)
    return redirect("console:audit")


@never_cache
@require_GET
@for_members
def download(request: LabelingRequest, format: str) -> HttpResponseBase:
    """What the filters find as a file, made while it is sent."""
    permissions.check(request.member, Action.VIEW_AUDIT)
    if format not in TYPES:
        return HttpResponse(status=404)
    asked = Asked.read(request.GET)
    wanted = asked.wanted(reading.kinds())
    emit("audit.exported", payload={"format": format, "filters": asked.query})
    pages = _pages(current(), wanted)
    lines = audit.csv_lines(pages) if format == "csv" else audit.json_lines(pages)
    name = f"audit-{request.member.organization.slug}.{format}"
    return StreamingHttpResponse(
        lines,
        content_type=TYPES[format],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _pages(organization_id: UUID, wanted: reading.Wanted) -> Iterator[list[dict[str, Any]]]:
    """Runs while the answer is sent, outside the organization."""
    for events in reading.everything(organization_id, wanted):
        with enter(organization_id):
            names = Names(events)
        yield [audit.facts(event, names) for event in events]


def _show(request: LabelingRequest, *, wrong: str | None = None, code: int = 200) -> HttpResponse:
    asked, known = Asked.read(request.GET), reading.kinds()
    before, after = (read_id(request.GET.get(name, "")) for name in ("before", "after"))
    events = reading.page(asked.wanted(known), before=before, after=after, limit=PAGE + 1)
    more = len(events) > PAGE
    events = (events[1:] if after else events[:PAGE]) if more else events
    context = {
        "here": "audit",
        "asked": asked,
        "rows": audit.rows(events),
        "older": events[-1].id if events and (more or after) else None,
        "newer": events[0].id if events and (before or (after and more)) else None,
        "groups": audit.choices(known),
        "people": Membership.objects.active().order_by("first_name", "username")[:500],
        "check": audit.last_check(),
        "days": seals.retention(),
        "wrong": wrong,
        "may_set": permissions.may(request.member, Action.MANAGE_ORGANIZATION),
    }
    return render(request, "console/audit.html", context, status=code)
