"""The members of the organization, and who is invited."""

from uuid import UUID

from django.conf import settings
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.console.member_forms import InviteForm, as_places
from apps.console.members import (
    PAGE,
    find_members,
    former_members,
    invitation_rows,
    member_rows,
)
from apps.core.errors import InvalidError, NotAllowedError
from apps.labeling.hosts import address_of
from apps.labeling.http import LabelingRequest, for_members, is_fragment
from apps.organizations.models import Invitation, Membership, Role
from apps.users import mail
from apps.users.models import User
from apps.workspaces import invitations, people, permissions
from apps.workspaces.models import Workspace
from apps.workspaces.permissions import Action


@never_cache
@require_GET
@for_members
def members(request: LabelingRequest) -> HttpResponse:
    """Who is here, who was invited, who has left."""
    permissions.check(request.member, Action.MANAGE_PEOPLE)
    return _show(request)


@never_cache
@require_http_methods(["GET", "POST"])
@for_members
def invite(request: LabelingRequest) -> HttpResponse:
    """Invite many at once; one who has left (``former``) is asked back to their place."""
    permissions.check(request.member, Action.MANAGE_PEOPLE)
    data = request.POST if request.method == "POST" else None
    workspaces = list(Workspace.objects.visible_to(request.member).order_by("name"))
    form = InviteForm(
        data, actor=request.member, workspaces=workspaces, initial={"role": "annotator"}
    )
    former = _find_former(request)
    if data is None or not form.is_valid():
        return _show(request, form, former=former, code=200 if data is None else 422)
    try:
        made = invitations.invite(
            actor=request.member,
            emails=form.cleaned_data["emails"],
            role=form.cleaned_data["role"],
            places=as_places(form.chosen),
            former=former,
        )
    except InvalidError as error:
        form.add_error("emails", error.message)
        return _show(request, form, former=former, code=422)
    for one in made:
        _send(request, one)
    return redirect(f"{reverse('console:members')}?invited={len(made)}")


@require_POST
@for_members
def set_role(request: LabelingRequest, membership_id: UUID) -> HttpResponse:
    """Give a member a role; a script gets the row."""
    member = find_active(request, membership_id)
    problem, code = "", 200
    try:
        member = people.change_role(
            actor=request.member, member=member, role=request.POST.get("role", "")[:20]
        )
    except (InvalidError, NotAllowedError) as error:
        problem, code = error.message, 403 if isinstance(error, NotAllowedError) else 422
    if not is_fragment(request):
        back = f"{reverse('console:members')}?saved=1"
        return _show(request, problem=problem, code=code) if problem else redirect(back)
    (row,) = member_rows(_again(request.member), [_again(member)])
    context = {"row": row, "problem": problem, "is_saved": not problem}
    return render(request, "console/_member.html", context, status=code)


@require_POST
@for_members
def send_again(request: LabelingRequest, invitation_id: UUID) -> HttpResponse:
    """Mail a new link; the old one is good for nothing."""
    found = _find_invitation(request, invitation_id)
    try:
        _send(request, invitations.send_again(actor=request.member, invitation_id=found.id))
    except InvalidError as error:
        return _show(request, problem=error.message, code=422)
    return redirect(f"{reverse('console:members')}?invited=1")


@require_POST
@for_members
def revoke(request: LabelingRequest, invitation_id: UUID) -> HttpResponse:
    """Take an invitation back."""
    found = _find_invitation(request, invitation_id)
    invitations.revoke(actor=request.member, invitation_id=found.id)
    return redirect(f"{reverse('console:members')}?saved=1")


def find_active(request: LabelingRequest, membership_id: UUID) -> Membership:
    """A member whom those who manage people may look at."""
    active = Membership.objects.active().select_related("user")
    found: Membership = get_object_or_404(active, pk=membership_id)
    permissions.check(request.member, Action.MANAGE_PEOPLE)
    return found


def _find_former(request: LabelingRequest) -> Membership | None:
    given = request.POST.get("former") or request.GET.get("former") or ""
    try:
        id = UUID(given) if given else None
    except ValueError:
        id = None
    return Membership.objects.filter(is_active=False, pk=id).first() if id else None


def _find_invitation(request: LabelingRequest, invitation_id: UUID) -> Invitation:
    found: Invitation = get_object_or_404(Invitation.objects.waiting(), pk=invitation_id)
    permissions.check(request.member, Action.MANAGE_PEOPLE)
    return found


def _again(member: Membership) -> Membership:
    return Membership.objects.select_related("user").get(pk=member.pk)


def _send(request: HttpRequest, sent: invitations.Sent) -> None:
    """The link, to the one mailbox it is for, in the language of whoever has it."""
    invitation, organization = sent.invitation, request.member.organization  # type: ignore[attr-defined]
    path = reverse("console:invitation", args=[sent.token])
    known = User.objects.filter(email__iexact=invitation.email).first()
    context = {
        "organization": organization,
        "inviter": invitation.invited_by,
        "role": Role(invitation.role).label,
        "workspaces": invitations.workspaces_of(invitation),
        "url": f"{address_of(request, organization)}{path}",
        "expires_at": invitation.expires_at,
    }
    mail.send("invitation", invitation.email, context, known.language if known else "")


def _show(
    request: LabelingRequest,
    form: InviteForm | None = None,
    *,
    former: Membership | None = None,
    problem: str = "",
    code: int = 200,
) -> HttpResponse:
    search = request.GET.get("q", "").replace("\0", "").strip()[:100]
    pages = Paginator(find_members(search), PAGE)
    page = pages.get_page(request.GET.get("page"))
    context = {
        "here": "members",
        "rows": member_rows(request.member, list(page.object_list)),
        "page": page,
        "total": Membership.objects.active().count(),
        "search": search,
        "invitations": invitation_rows(request.member),
        "left": former_members(),
        "form": form,
        "former": former,
        "problem": problem,
        "is_saved": "saved" in request.GET,
        "invited": request.GET.get("invited", "")[:3],
        "is_mute": settings.EMAIL_BACKEND.endswith(".console.EmailBackend"),
    }
    return render(request, "console/members.html", context, status=code)
