"""The request of the labelling pages: who asks, in which organization, and how errors leave."""

import logging
from collections.abc import Callable
from functools import wraps
from math import ceil
from typing import Concatenate, ParamSpec
from urllib.parse import urlencode
from uuid import UUID

from allauth.mfa.models import Authenticator
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, InternalError, transaction
from django.db.models import JSONField
from django.db.models.expressions import RawSQL
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django_htmx.middleware import HtmxDetails
from psycopg.errors import ForeignKeyViolation

from apps.core.addresses import client_address
from apps.core.errors import (
    ArchivedError,
    ConflictError,
    LimitReachedError,
    NotAllowedError,
    NotFoundError,
)
from apps.core.tenancy import enter
from apps.events.log import Origin, acting_as
from apps.labeling import support
from apps.organizations import directory
from apps.organizations.models import Membership, Role, SupportAccess
from apps.organizations.pace import wait_of
from apps.organizations.services import note_visit
from apps.users.models import User

logger = logging.getLogger(__name__)

ORGANIZATION_KEY = "organization_id"  # in the session

# What the operator tells the organization at the moment, worst first: read with the member.
ANNOUNCEMENTS = RawSQL(
    "(SELECT jsonb_agg(jsonb_build_object('level', a.level, 'text', a.text)"
    " ORDER BY array_position(ARRAY['bad', 'warn', 'note'], a.level::text), a.id)"
    " FROM announcement a WHERE now() BETWEEN a.starts_at AND a.ends_at"
    " AND (a.audience_id IS NULL OR a.audience_id = membership.organization_id))",
    [],
    output_field=JSONField(),
)

P = ParamSpec("P")


class LabelingRequest(HttpRequest):
    """A request of a logged-in member, inside their organization."""

    user: User
    member: Membership
    htmx: HtmxDetails
    support: SupportAccess
    support_id: UUID


def for_members(
    view: Callable[Concatenate[LabelingRequest, P], HttpResponseBase],
) -> Callable[Concatenate[LabelingRequest, P], HttpResponseBase]:
    """Run the view, its rendering included, inside the organization the member chose.

    Without a log-in it answers with the log-in page (401 to scripts), without an organization
    with the choice of one.
    """

    @wraps(view)
    def wrapper(request: LabelingRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not is_signed_in(request):
            return _ask_for_login(request)
        if support.is_on(request):
            return _look(request, view, *args, **kwargs)
        organization_id = chosen_organization(request)
        if organization_id is None:
            return redirect(f"{reverse('labeling:organizations')}?{_next(request)}")
        with enter(organization_id):
            member = _find_member(request.user)
            if member is not None and not _is_meant(request, member):
                return _refuse_page_of(request)
            shut = member is not None and member.organization.suspended_at is not None
            if member is not None and shut and not hasattr(view, "works_while_suspended"):
                return _refuse_suspended(request, member)
            if member is not None and _lacks_a_factor(member):
                return _ask_for_a_factor(request)
            if member is not None:
                request.member = member
                note_visit(member)
                return _translate(request, view, *args, **kwargs)
        leave_organization(request)
        return redirect("labeling:organizations")

    return wrapper


def _look(
    request: LabelingRequest,
    view: Callable[Concatenate[LabelingRequest, P], HttpResponseBase],
    *args: P.args,
    **kwargs: P.kwargs,
) -> HttpResponseBase:
    """The view as the operator's support access sees it: what wants to write is refused."""
    try:
        with support.looking(request) as access:
            if access is not None:
                request.support, request.support_id = access, access.id
                request.member = access.membership
                return _translate(request, view, *args, **kwargs)
    except InternalError as error:
        if not support.is_a_write(error):
            raise
        return support.refuse()
    support.forget(request)
    return redirect("operator:home")


def _refuse_suspended(request: LabelingRequest, member: Membership) -> HttpResponse:
    """Why nobody gets in; an owner may take back the wish to delete the organization."""
    context = {"organization": member.organization, "is_owner": member.role == Role.OWNER}
    page = render_to_string("errors/suspended.html", context, request=request)
    return HttpResponse(page, status=403)


def works_while_suspended(
    view: Callable[Concatenate[LabelingRequest, P], HttpResponseBase],
) -> Callable[Concatenate[LabelingRequest, P], HttpResponseBase]:
    """For what takes the deletion of an organization back; stands below ``for_members``."""
    view.works_while_suspended = True  # type: ignore[attr-defined]
    return view


def chosen_organization(request: LabelingRequest) -> UUID | None:
    """The host's, or the one in the session; the account's only one is chosen by itself."""
    host: UUID | None = getattr(request, "host_organization", None)
    if host is not None:
        enter_organization(request, host)
        return host
    chosen = request.session.get(ORGANIZATION_KEY)
    if chosen is not None:
        return UUID(chosen)
    places = directory.find_memberships(request.user.id)
    if len(places) != 1:
        return None
    enter_organization(request, places[0].organization_id)
    return places[0].organization_id


def enter_organization(request: HttpRequest, organization_id: UUID) -> None:
    """Remember where the member works."""
    if request.session.get(ORGANIZATION_KEY) != str(organization_id):
        request.session[ORGANIZATION_KEY] = str(organization_id)


def leave_organization(request: HttpRequest) -> None:
    """Forget the organization, e.g. when the person is no longer a member."""
    request.session.pop(ORGANIZATION_KEY, None)


def is_fragment(request: LabelingRequest) -> bool:
    """Whether a script asks, which swaps a fragment in, rather than a browser for a page."""
    return bool(request.htmx) and not request.htmx.boosted


def wants_receipt(request: LabelingRequest) -> bool:
    """Whether a script that has gone on already only asks what became of an answer."""
    return request.headers.get("X-Receipt") == "1"


def is_signed_in(request: HttpRequest) -> bool:
    return request.user.is_authenticated


def _translate(
    request: LabelingRequest,
    view: Callable[Concatenate[LabelingRequest, P], HttpResponseBase],
    *args: P.args,
    **kwargs: P.kwargs,
) -> HttpResponseBase:
    """The view's answer; events in it belong to the member."""
    if seconds := wait_of(request.member.organization.id):
        return _ask_to_wait(request, seconds)
    try:
        with acting_as(origin_of(request)):
            return view(request, *args, **kwargs)
    except (NotAllowedError, LimitReachedError) as error:
        raise PermissionDenied(error.message) from error
    except NotFoundError as error:
        raise Http404(error.message) from error
    except ConflictError as error:
        transaction.set_rollback(True)
        name = "409_archived" if isinstance(error, ArchivedError) else "409"
        return HttpResponse(render_to_string(f"errors/{name}.html"), status=409)
    except IntegrityError as error:
        # The rules are checked before; what reaches the constraint lost a race.
        logger.warning("A constraint refused a write", exc_info=error)
        if isinstance(error.__cause__, ForeignKeyViolation):
            raise Http404("What this belongs to was deleted meanwhile.") from error
        return HttpResponse(render_to_string("errors/409.html"), status=409)


def _ask_to_wait(request: LabelingRequest, seconds: float) -> HttpResponse:
    """The organization asks too often just now."""
    page = "" if is_fragment(request) else render_to_string("errors/busy.html")
    return HttpResponse(page, status=429, headers={"Retry-After": str(ceil(seconds))})


def origin_of(request: LabelingRequest) -> Origin:
    """Where the events of the request come from; a support access is named by ``support_id``."""
    support_id = getattr(request, "support_id", None)
    return Origin(request.member.id, None, client_address(request.META), support_id)


def _find_member(user: User) -> Membership | None:
    members = Membership.objects.active().select_related("organization__volume")
    members = members.annotate(announcements=ANNOUNCEMENTS)
    return members.filter(user_id=user.id).first()


def _lacks_a_factor(member: Membership) -> bool:
    """One query where the organization asks for a second factor, else none."""
    if not member.organization.requires_mfa:
        return False
    return not Authenticator.objects.filter(
        user_id=member.user_id, type__in=[Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]
    ).exists()


def _ask_for_a_factor(request: LabelingRequest) -> HttpResponse:
    """The page on which to set one up comes before any other."""
    if is_fragment(request):
        return HttpResponse(status=403)
    return redirect(f"{reverse('mfa_index')}?required=1")


def _is_meant(request: HttpRequest, member: Membership) -> bool:
    """False when the page belongs to somebody who was signed in before."""
    return request.headers.get("X-Member") in {None, "", str(member.id)}


def _refuse_page_of(request: LabelingRequest) -> HttpResponse:
    """401; ``X-Elsewhere`` says that it is the account's own page, of another organization."""
    places = directory.find_memberships(request.user.id)
    own = {str(place.membership_id) for place in places}
    headers = {"X-Elsewhere": "1"} if request.headers["X-Member"] in own else {}
    return HttpResponse(status=401, headers=headers)


def _ask_for_login(request: LabelingRequest) -> HttpResponse:
    if is_fragment(request):
        return HttpResponse(status=401)
    given = read_given(request)
    if given:
        page = render_to_string("errors/401.html", {"given": given})
        return HttpResponse(page, status=401)
    return redirect_to_login(request.get_full_path() if request.method == "GET" else "/")


def read_given(request: HttpRequest) -> dict[str, str]:
    """What a form answers, by the names of its questions, for it to be shown and copied."""
    return {
        name.removeprefix("q."): ", ".join(filter(None, texts))
        for name, texts in request.POST.lists()
        if name.startswith("q.") and any(texts)
    }


def _next(request: HttpRequest) -> str:
    return urlencode({"next": request.get_full_path() if request.method == "GET" else "/"})
