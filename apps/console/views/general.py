"""The organization's own settings: how it is called and reached, and who gets in."""

from typing import Any

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from apps.core.errors import ConflictError, DomainError
from apps.labeling.http import LabelingRequest, for_members
from apps.organizations import domains
from apps.organizations.models import Membership
from apps.workspaces import permissions
from apps.workspaces.permissions import Action


@never_cache
@require_http_methods(["GET", "POST"])
@for_members
def general(request: LabelingRequest) -> HttpResponse:
    """Name and slug, and the domain with what is to be done for it."""
    permissions.check(request.member, Action.MANAGE_ORGANIZATION)
    organization = request.member.organization
    if request.method == "GET":
        return _show_general(request, name=organization.name, slug=organization.slug)
    name, slug = _text(request, "name"), _text(request, "slug").lower()
    try:
        domains.rename_organization(organization=organization, name=name, slug=slug)
    except ConflictError:
        return _show_general(request, name=name, slug=slug, wrong=_("This short name is taken."))
    except DomainError:
        wrong = _("A name is needed, and a short name of lower-case letters, digits and dashes.")
        return _show_general(request, name=name, slug=slug, wrong=wrong)
    return redirect("/settings/general/?saved=1")


@require_POST
@for_members
def domain(request: LabelingRequest) -> HttpResponse:
    """Name the domain; ``do`` is "claim", "verify" or "drop"."""
    permissions.check(request.member, Action.MANAGE_ORGANIZATION)
    organization, do = request.member.organization, request.POST.get("do", "")
    try:
        if do == "verify":
            domains.verify_domain(organization=organization)
        else:
            named = "" if do == "drop" else _text(request, "domain")
            domains.claim_domain(organization=organization, domain=named)
    except DomainError as error:
        return _show_general(
            request,
            name=organization.name,
            slug=organization.slug,
            unproven=error.message,
            domain=_text(request, "domain") or organization.domain,
        )
    return redirect("/settings/general/?saved=1#domain")


@never_cache
@require_http_methods(["GET", "POST"])
@for_members
def security(request: LabelingRequest) -> HttpResponse:
    """Whether pages ask for a second factor, and newcomers need an invitation."""
    permissions.check(request.member, Action.MANAGE_ORGANIZATION)
    organization = request.member.organization
    if request.method == "POST":
        domains.set_access(
            organization=organization,
            requires_mfa=request.POST.get("requires_mfa") == "1",
            invitation_only=request.POST.get("invitation_only") == "1",
        )
        return redirect("/settings/security/?saved=1")
    context = {
        "here": "security",
        "organization": organization,
        "saved": request.GET.get("saved") == "1",
        "people": _factors(request.member),
    }
    return render(request, "console/security.html", context)


def _factors(member: Membership) -> dict[str, Any]:
    """How many members have a second factor, and whether the one who asks has. Two queries."""
    users = set(Membership.objects.active().exclude(user=None).values_list("user_id", flat=True))
    kinds = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]
    found = Authenticator.objects.filter(user_id__in=users, type__in=kinds)
    protected = set(found.values_list("user_id", flat=True))
    return {
        "all": len(users),
        "protected": len(protected),
        "oneself": member.user_id in protected,
    }


def _text(request: LabelingRequest, name: str) -> str:
    return request.POST.get(name, "").replace("\0", "").strip()


def _show_general(request: LabelingRequest, **context: Any) -> HttpResponse:
    organization = request.member.organization
    context.setdefault("domain", organization.domain)
    context |= {
        "here": "general",
        "organization": organization,
        "base": settings.BASE_DOMAIN,
        "saved": request.GET.get("saved") == "1",
    }
    if organization.domain:
        context["record"] = domains.record_name(organization.domain)
        context["proof"] = domains.record_text(organization)
    if organization.domain_missing_since:
        context["ends_at"] = organization.domain_missing_since + domains.GRACE
    code = 422 if context.get("wrong") or context.get("unproven") else 200
    return render(request, "console/general.html", context, status=code)
