"""Signing in through a provider: OpenID Connect, Google, GitHub, Microsoft.

allauth talks to them. Leaving takes a page of ours that leads on, since the content security
policy lets no form be sent to another site.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import requests
from allauth.account.decorators import reauthentication_required
from allauth.socialaccount import views as social
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.github.views import oauth2_callback as github_callback
from allauth.socialaccount.providers.google.views import oauth2_callback as google_callback
from allauth.socialaccount.providers.microsoft.views import oauth2_callback as microsoft_callback
from allauth.socialaccount.providers.openid_connect.views import callback as openid_callback
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse, reverse_lazy
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from apps.labeling.views.accounts import InvalidIs422

View = Callable[..., HttpResponse]
# What a provider that does not answer as it should may come to.
_NONSENSE = (requests.RequestException, KeyError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Offer:
    """A provider on the sign-in page."""

    id: str
    name: str
    url: str


def offered(request: HttpRequest) -> list[Offer]:
    """The configured providers. No query but that for those in the database."""
    if not _are_configured():
        return []
    return [
        Offer(provider.sub_id, _name(provider), reverse("provider_begin", args=[provider.sub_id]))
        for provider in get_adapter().list_providers(request)
    ]


def _are_configured() -> bool:
    return any(provider.get("APPS") for provider in settings.SOCIALACCOUNT_PROVIDERS.values())


def _name(provider: Any) -> str:
    known = {"google": "Google", "github": "GitHub", "microsoft": "Microsoft"}
    return known.get(provider.id) or str(provider.app.name)


@never_cache
@require_POST
def begin(request: HttpRequest, provider: str) -> HttpResponse:
    """Lead to the provider: to sign in, or signed in already, to add it to the account."""
    if provider not in {one.id for one in offered(request)}:
        raise Http404
    if request.user.is_authenticated:
        connecting: HttpResponse = _connect(request, provider)
        return connecting
    return _leave(request, provider, "login")


@reauthentication_required(app="allauth.socialaccount")  # type: ignore[untyped-decorator]
def _connect(request: HttpRequest, provider: str) -> HttpResponse:
    return _leave(request, provider, "connect")


def _leave(request: HttpRequest, name: str, process: str) -> HttpResponse:
    found = next(one for one in get_adapter().list_providers(request) if one.sub_id == name)
    try:
        response: HttpResponse = found.redirect(request, process, next_url=_next(request))
    except _NONSENSE:
        return render(request, "socialaccount/authentication_error.html", status=502)
    if response.status_code != 302:
        return response
    context = {"url": response["Location"], "name": _name(found)}
    return render(request, "socialaccount/leave.html", context)


def _next(request: HttpRequest) -> str | None:
    wanted = request.POST.get("next", "")
    here = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if here else None


def _configured(view: View) -> View:
    """A provider that is not configured is not found, and nonsense from one is said to be so."""

    @wraps(view)
    def wrapper(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, **kwargs)
        except SocialApp.DoesNotExist as error:
            raise Http404 from error
        except _NONSENSE:
            return render(request, "socialaccount/authentication_error.html", status=502)

    return wrapper


openid = _configured(openid_callback)
google = _configured(google_callback)
github = _configured(github_callback)
microsoft = _configured(microsoft_callback)


class ConnectionsView(InvalidIs422, social.ConnectionsView):  # type: ignore[misc]
    """The providers through which the account signs in, each to be taken away again."""

    success_url = reverse_lazy("socialaccount_connections")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs)
        accounts = context["form"].accounts
        taken = {account.provider for account in accounts}
        context["accounts"] = accounts
        context["others"] = [one for one in offered(self.request) if one.id not in taken]
        return context
