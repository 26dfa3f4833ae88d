"""In and out, and how the instance is."""

from typing import Any, Final

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.core.rate_limits import Limit, UncountedError, refill, take
from apps.operator import access, reads
from apps.operator.access import OperatorRequest, for_operators, for_staff
from apps.operator.health import readiness

_PASSKEY: Final = Authenticator.Type.WEBAUTHN
TRIES = Limit(10 / 300, 10)  # of one account: ten at once, and then two a minute


@for_operators
@require_GET
def home(request: OperatorRequest) -> HttpResponse:
    """Health, queues and what nobody could do: the first look of the day."""
    parts = readiness()
    context = {
        "here": "home",
        "parts": parts,
        "is_ready": all(part["ok"] for part in parts.values()),
        "queues": reads.queues(),
        "totals": reads.totals(),
    }
    return render(request, "operator/home.html", context)


@for_staff
@never_cache
@sensitive_post_parameters("password", "code", "credential")
@require_http_methods(["GET", "POST"])
def sign_in(request: OperatorRequest) -> HttpResponse:
    """The step-up: password with a code where there is or must be a second factor, or a passkey."""
    factors = access.factors_of(request.user)
    if not factors and settings.OPERATOR_MFA_REQUIRED:
        missing = {"factor_url": _factor_url()}
        return render(request, "operator/no_factor.html", missing, status=403)
    problem, code = "", 200
    if request.method == "POST":
        problem, code = _refusal(request, factors)
        if not problem:
            access.keep_proof(request)
            return redirect(_wanted(request))
    context: dict[str, Any] = {
        "takes_codes": access.takes_codes(factors),
        "passkey": access.passkey_options(request.user) if _PASSKEY in factors else None,
        "problem": problem,
        "next": request.POST.get("next") or request.GET.get("next", ""),
        "minutes": settings.OPERATOR_SESSION_MINUTES,
    }
    return render(request, "operator/sign_in.html", context, status=code)


@for_staff
@require_POST
def leave(request: OperatorRequest) -> HttpResponse:
    """Forget the proof; the account stays signed in."""
    access.drop_proof(request)
    return redirect("labeling:home")


def _refusal(request: OperatorRequest, factors: set[str]) -> tuple[str, int]:
    """Why the proof is none, and the status; nothing when it is one."""
    bucket = f"operator:{request.user.pk}"
    try:
        wait = take(bucket, TRIES)
    except UncountedError:
        return _("Not possible right now. Try again in a minute."), 503
    if wait:
        return _("Too many tries. Wait five minutes, then try again."), 429
    if not _matches(request, factors):
        return _("That did not match."), 422
    refill(bucket)
    return "", 200


def _matches(request: OperatorRequest, factors: set[str]) -> bool:
    user, given = request.user, request.POST
    if _PASSKEY in factors and given.get("credential"):
        return access.is_right_passkey(user, given["credential"])
    password = given.get("password", "")
    if "\0" in password or not user.check_password(password):
        return False
    return not factors or access.is_right_code(user, given.get("code", ""))


def _wanted(request: OperatorRequest) -> str:
    """Where the operator wanted to go, if that is below ``/operator/`` here."""
    wanted = request.POST.get("next", "")
    here = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if here and wanted.startswith("/operator/") else "/operator/"


def _factor_url() -> str:
    """Where the account's owner sets up a second factor."""
    try:
        return reverse("mfa_index")
    except NoReverseMatch:
        return "/"
