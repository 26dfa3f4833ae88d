"""Where the person is signed in, and signing out there."""

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from apps.labeling.http import LabelingRequest

# What a browser calls itself → what people call it; the first that is found counts.
BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def sessions(request: LabelingRequest) -> HttpResponse:
    """The sessions of the account. ``end`` names one to be ended, or "others"."""
    found = list(UserSession.objects.purge_and_list(request.user))
    if request.method == "GET":
        rows = [(one, device(one.user_agent)) for one in reversed(found)]
        return render(request, "usersessions/usersession_list.html", {"rows": rows})
    for session in _meant(found, request.POST.get("end", "")):
        session.end()
    get_adapter().add_message(request, messages.SUCCESS, message=_("Signed out there."))
    return redirect("usersessions_list")


def _meant(found: list[Any], end: str) -> list[Any]:
    """Never the one that asks: that is what signing out is for."""
    elsewhere = [session for session in found if not session.is_current()]
    chosen = [session for session in elsewhere if end in {"others", str(session.pk)}]
    if not chosen and end != "others":
        raise Http404
    return chosen


def device(user_agent: str) -> str:
    """The browser and its system, in a few words."""
    browser = next((name for mark, name in BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in SYSTEMS if mark in user_agent), "")
    if browser and system:
        return _("%(browser)s on %(system)s") % {"browser": browser, "system": system}
    return browser or system or _("A browser")
