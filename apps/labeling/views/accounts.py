"""Log in, log out, choose an organization; what allauth does not answer as we want."""

from typing import Any

from allauth.account import views as allauth
from allauth.account.internal.flows.email_verification_by_code import (
    EMAIL_VERIFICATION_CODE_SESSION_KEY,
)
from allauth.account.internal.flows.login import perform_login, record_authentication
from allauth.account.internal.stagekit import clear_login, get_pending_stage
from allauth.account.models import Login
from allauth.account.stages import EmailVerificationStage
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from apps.labeling import http
from apps.labeling.forms import MemberLoginForm
from apps.labeling.http import LabelingRequest
from apps.organizations import directory


class InvalidIs422:
    """A form that is not valid comes back with status 422, as on every other page."""

    def form_invalid(self, form: Any) -> HttpResponse:
        response: HttpResponse = super().form_invalid(form)  # type: ignore[misc]
        response.status_code = 422
        return response


class BeginsAnew:
    """Who comes to a first page has given up the code they were asked for.

    allauth would lead them back to it, but only those with an account to prove: strangers could
    tell which addresses have one.
    """

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            request.session.pop(EMAIL_VERIFICATION_CODE_SESSION_KEY, None)
            stage = get_pending_stage(request)
            if stage is not None and stage.key == EmailVerificationStage.key:
                clear_login(request)
        response: HttpResponse = super().dispatch(request, *args, **kwargs)  # type: ignore[misc]
        return response


class LoginView(BeginsAnew, InvalidIs422, allauth.LoginView):  # type: ignore[misc]
    """E-mail and password."""


class LogoutView(allauth.LogoutView):  # type: ignore[misc]
    """Whoever signs out leaves no answer behind in the browser."""

    def post(self, *args: Any, **kwargs: Any) -> HttpResponse:
        response: HttpResponse = super().post(*args, **kwargs)
        response["Clear-Site-Data"] = '"storage"'
        return response


class SignupView(BeginsAnew, InvalidIs422, allauth.SignupView):  # type: ignore[misc]
    """E-mail and password, where people may sign up."""


class ConfirmEmailView(InvalidIs422, allauth.ConfirmEmailVerificationCodeView):  # type: ignore[misc]
    """The code from the e-mail."""

    def form_invalid(self, form: Any) -> HttpResponse:
        response: HttpResponse = allauth.ConfirmEmailVerificationCodeView.form_invalid(self, form)
        if response.status_code == 200:  # after too many tries it leads to the start
            response.status_code = 422
        return response


class PasswordChangeView(InvalidIs422, allauth.PasswordChangeView):  # type: ignore[misc]
    """The old password, and a new one."""

    success_url = reverse_lazy("mfa_index")


class PasswordSetView(InvalidIs422, allauth.PasswordSetView):  # type: ignore[misc]
    """A first password, for accounts that came in through a provider."""

    success_url = reverse_lazy("mfa_index")


class PasswordResetView(InvalidIs422, allauth.PasswordResetView):  # type: ignore[misc]
    """Ask for a link by e-mail; the answer is the same for unknown addresses."""


class PasswordResetFromKeyView(InvalidIs422, allauth.PasswordResetFromKeyView):  # type: ignore[misc]
    """Choose a new password."""


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def member_login(request: HttpRequest) -> HttpResponse:
    """For members without e-mail, who belong to one organization."""
    if request.user.is_authenticated:
        return redirect("labeling:home")
    template = "account/member_login.html"
    if request.method == "GET":
        form = MemberLoginForm(request=request, initial=request.GET.dict())
        return render(request, template, {"form": form, "next": request.GET.get("next", "")})
    form = MemberLoginForm(request.POST, request=request)
    if not form.is_valid() or form.user is None:
        context = {"form": form, "next": request.POST.get("next", "")}
        return render(request, template, context, status=422)
    for place in directory.find_memberships(form.user.id):
        if place.slug == form.cleaned_data["organization"].lower():
            http.enter_organization(request, place.organization_id)
    record_authentication(request, form.user, method="password")
    response: HttpResponse = perform_login(
        request, Login(user=form.user, redirect_url=_safe_next(request))
    )
    return response


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def organizations(request: LabelingRequest) -> HttpResponse:
    """Which of the account's organizations to work in."""
    places = directory.find_memberships(request.user.id)
    if request.method == "POST":
        for place in places:
            if str(place.organization_id) == request.POST.get("organization"):
                http.enter_organization(request, place.organization_id)
                return redirect(_safe_next(request))
    host = getattr(request, "host_organization", None)
    if host is not None:
        places = [place for place in places if place.organization_id == host]
    if not places and settings.SIGNUP == "open" and host is None:
        return redirect("labeling:welcome")
    if not places:
        return render(request, "account/no_organization.html", status=403)
    context = {"places": places, "next": request.GET.get("next", "")}
    return render(request, "account/organizations.html", context)


def _safe_next(request: HttpRequest) -> str:
    """Where the person wanted to go, if that is here."""
    wanted = request.POST.get("next", "")
    here = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if here and wanted.startswith("/") else "/"
