"""The hosts of organizations: which one a request is for, and whose sessions are good there.

Cookies have no ``Domain``, so a browser sends a host's to that host alone. Addresses that are told
in mails are made of settings and of what is stored: who asks under a name of their own choice must
not lead others there.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import split_domain_port
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string

from apps.labeling.http import ORGANIZATION_KEY
from apps.organizations.directory import Host, find_host
from apps.organizations.models import Organization
from apps.organizations.services import RESERVED_SLUGS

ANYWHERE = ("/healthz", "/readyz", settings.STATIC_URL)  # the same under whatever name
SITE_ONLY = ("/operator/", "/admin/")
SITE_LABELS = {"", "www", "app"}  # below the base domain, of no organization


class HostMiddleware:
    """Whose host it is, where each organization has its own; a host of nobody is not found.

    Sets ``host_organization``, the id or None for a host of the site, and ``host_name``. Without
    ``BASE_DOMAIN`` every host is the site's.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> HttpResponseBase:
        request.host_organization, request.host_name = None, ""
        if not settings.BASE_DOMAIN or request.path_info.startswith(ANYWHERE):
            return self.get_response(request)
        domain, _ = split_domain_port(request.get_host())
        domain = domain.lower().rstrip(".")
        if _is_of_the_site(domain):
            return self.get_response(request)
        host = _find_host(domain)
        if host is None or request.path_info.startswith(SITE_ONLY):
            return _nowhere(request)
        request.host_organization, request.host_name = host.organization_id, host.name
        return self.get_response(request)


def _is_of_the_site(domain: str) -> bool:
    base = settings.BASE_DOMAIN
    known = {f"{label}.{base}".lstrip(".") for label in SITE_LABELS}
    return domain in known or domain in settings.SITE_HOSTS


def _find_host(domain: str) -> Host | None:
    """One query."""
    if domain.endswith(f".{settings.BASE_DOMAIN}"):
        slug = domain.removesuffix(f".{settings.BASE_DOMAIN}")
        return None if slug in RESERVED_SLUGS else find_host(slug=slug)
    return find_host(domain=domain)


def site_address(request: HttpRequest) -> str:
    """Scheme and host of the site, with no slash at the end.

    Without ``SITE_URL`` and ``BASE_DOMAIN`` it is what the request names, which is in
    ``ALLOWED_HOSTS``.
    """
    named: str = settings.SITE_URL
    return named or f"{request.scheme}://{settings.BASE_DOMAIN or request.get_host()}"


def address_of(request: HttpRequest, organization: Organization) -> str:
    """Scheme and host where the organization's people work: the domain, as long as it is proven."""
    if not settings.BASE_DOMAIN:
        return site_address(request)
    is_proven = organization.domain_verified_at and not organization.domain_missing_since
    below = f"{organization.slug}.{settings.BASE_DOMAIN}"
    return _at(request, (is_proven and organization.domain) or below)


def own_address(request: HttpRequest) -> str:
    """Scheme and host for links that are as good as a password.

    They lead to the host that was asked if it is one below the base domain, else to the site's:
    where an organization's own domain leads is up to the organization.
    """
    domain, _ = split_domain_port(request.get_host())
    if settings.BASE_DOMAIN and domain.lower().endswith(f".{settings.BASE_DOMAIN}"):
        return _at(request, domain.lower())
    return site_address(request)


def _at(request: HttpRequest, domain: str) -> str:
    """The scheme and port are the site's."""
    site = urlsplit(site_address(request))
    return f"{site.scheme}://{domain}" + (f":{site.port}" if site.port else "")


def _nowhere(request: HttpRequest) -> HttpResponse:
    if request.path_info.startswith("/api/"):
        return JsonResponse({"detail": "Not Found"}, status=404)
    context = {"site": site_address(request)}
    return HttpResponse(render_to_string("errors/nowhere.html", context), status=404)


class HostSessionMiddleware:
    """A session of one organization is none at the host of another: nobody is signed in there."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> HttpResponseBase:
        host = request.host_organization
        if host is not None and request.session.get(ORGANIZATION_KEY, str(host)) != str(host):
            request.session = type(request.session)(None)
            request.user = AnonymousUser()
        return self.get_response(request)
