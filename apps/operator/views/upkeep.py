"""What models cost, backups and drills, and what is announced."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.core.errors import InvalidError
from apps.core.ids import read_id
from apps.operator import acts, reads
from apps.operator.access import OperatorRequest, for_operators
from apps.operator.backups import read_reports
from apps.organizations import operating
from apps.organizations.models import Announcement, Level

MONTHS: Final = 12


@for_operators
@require_GET
def spend(request: OperatorRequest) -> HttpResponse:
    """Of a month by organization, and what providers refused lately."""
    months = _months()
    asked = request.GET.get("month", "")
    month = next((one for one in months if f"{one:%Y-%m}" == asked), months[0])
    rows = reads.spend(month)
    context = {
        "here": "spend",
        "rows": rows,
        "usd": sum((row["usd"] for row in rows), Decimal(0)),
        "calls": sum(row["calls"] for row in rows),
        "errors": reads.provider_errors(),
        "month": month,
        "months": months,
    }
    return render(request, "operator/spend.html", context)


@for_operators
@require_GET
def backups(request: OperatorRequest) -> HttpResponse:
    """Runs of backups and of drills that restored one."""
    reports = read_reports()
    context = {
        "here": "backups",
        "backups": [one for one in reports if one.kind == "backup"],
        "drills": [one for one in reports if one.kind == "drill"],
    }
    return render(request, "operator/backups.html", context)


@for_operators
@require_http_methods(["GET", "POST"])
def announcements(request: OperatorRequest) -> HttpResponse:
    """Those of now and later; a new one."""
    problem, code = "", 200
    if request.method == "POST":
        problem, code = acts.refusal(lambda: _announce(request))
        if not problem:
            return redirect("operator:announcements")
    context: dict[str, Any] = {
        "here": "announcements",
        "rows": reads.announcements(),
        "slugs": reads.slugs(),
        "levels": Level.choices,
        "problem": problem,
        "typed": request.POST,
        "tomorrow": timezone.now() + timedelta(days=1),
    }
    return render(request, "operator/announcements.html", context, status=code)


@for_operators
@require_POST
def end_announcement(request: OperatorRequest, announcement_id: UUID) -> HttpResponse:
    """Take it back."""
    found = get_object_or_404(Announcement, id=announcement_id)
    operating.end_announcement(announcement=found)
    return redirect("operator:announcements")


def _announce(request: OperatorRequest) -> None:
    given = request.POST
    text = given.get("text", "")
    audience = given.get("audience", "")
    audience_id = read_id(audience) if audience else None
    if "\0" in text:
        raise InvalidError(_("An announcement is plain text."))
    if audience and (audience_id is None or reads.organization(audience_id) is None):
        raise InvalidError(_("Choose one of the organizations."))
    ends_at = _moment(given.get("ends", ""))
    if ends_at is None:
        raise InvalidError(_("Say when it ends."))
    operating.announce(
        text=text,
        level=given.get("level", ""),
        audience_id=audience_id,
        starts_at=_moment(given.get("starts", "")),
        ends_at=ends_at,
    )


def _moment(text: str) -> datetime | None:
    """What a field for date and time sends, in UTC; None for nothing. Raises ``InvalidError``."""
    if not text:
        return None
    try:
        return timezone.make_aware(datetime.fromisoformat(text).replace(tzinfo=None))
    except (ValueError, OverflowError) as error:
        raise InvalidError(_("“%s” is no date with a time.") % text[:40]) from error


def _months() -> list[date]:
    """The first days of this month and those before it."""
    found = [timezone.now().date().replace(day=1)]
    while len(found) < MONTHS:
        found.append((found[-1] - timedelta(days=1)).replace(day=1))
    return found
