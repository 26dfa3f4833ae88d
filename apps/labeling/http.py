"""The request of the labelling pages: who asks, in which organization, and how errors leave."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django_htmx.middleware import HtmxDetails
from psycopg.errors import ForeignKeyViolation

from apps.core.errors import NotAllowedError, NotFoundError
from apps.core.tenancy import enter
from apps.events.log import act_as
from apps.organizations import directory
from apps.organizations.models import Membership
from apps.users.models import User

logger = logging.getLogger(__name__)

ORGANIZATION_KEY = "organization_id"  # in the session

P = ParamSpec("P")


class LabelingRequest(HttpRequest):
    """A request of a logged-in member, inside their organization."""

    user: User
    member: Membership
    htmx: HtmxDetails


def for_members(
    view: Callable[Concatenate[LabelingRequest, P], HttpResponse],
) -> Callable[Concatenate[LabelingRequest, P], HttpResponse]:
    """Run the view, its rendering included, inside the organization the member chose.

    Without a log-in it answers with the log-in page (401 to scripts), without an organization
    with the choice of one.
    """

    @wraps(view)
    def wrapper(request: LabelingRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not _is_signed_in(request):
            return _ask_for_login(request)
        organization_id = chosen_organization(request)
        if organization_id is None:
            return redirect(f"{reverse('labeling:organizations')}?{_next(request)}")
        with enter(organization_id):
            member = _find_member(request.user)
            if member is not None and not _is_meant(request, member):
                return HttpResponse(status=401)
            if member is not None:
                request.member = member
                return _translate(request, view, *args, **kwargs)
        leave_organization(request)
        return redirect("labeling:organizations")

    return wrapper


def chosen_organization(request: LabelingRequest) -> UUID | None:
    """The organization in the session; the account's only one is chosen by itself."""
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


def _is_signed_in(request: HttpRequest) -> bool:
    return request.user.is_authenticated


def _translate(
    request: LabelingRequest,
    view: Callable[Concatenate[LabelingRequest, P], HttpResponse],
    *args: P.args,
    **kwargs: P.kwargs,
) -> HttpResponse:
    """The view's answer; events in it belong to the member."""
    act_as(request.member.id)
    try:
        return view(request, *args, **kwargs)
    except NotAllowedError as error:
        raise PermissionDenied(error.message) from error
    except NotFoundError as error:
        raise Http404(error.message) from error
    except IntegrityError as error:
        # The rules are checked before; what reaches the constraint lost a race.
        logger.warning("A constraint refused a write", exc_info=error)
        if isinstance(error.__cause__, ForeignKeyViolation):
            raise Http404("What this belongs to was deleted meanwhile.") from error
        return HttpResponse(render_to_string("errors/409.html"), status=409)
    finally:
        act_as(None)


def _find_member(user: User) -> Membership | None:
    members = Membership.objects.active().select_related("organization")
    return members.filter(user_id=user.id).first()


def _is_meant(request: HttpRequest, member: Membership) -> bool:
    """False when the page belongs to somebody who was signed in before."""
    return request.headers.get("X-Member") in {None, "", str(member.id)}


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
