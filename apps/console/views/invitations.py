"""What somebody sees who was invited: where to, as what, by whom; and how they come in."""

from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib.auth import login
from django.contrib.auth.password_validation import validate_password
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from apps.core.addresses import client_address
from apps.core.errors import ConflictError, NotAllowedError, NotFoundError
from apps.core.tenancy import enter
from apps.events.log import Origin, acting_as
from apps.labeling.http import enter_organization
from apps.organizations import directory
from apps.organizations.models import Invitation
from apps.users.models import User
from apps.workspaces import invitations

BACKEND: Final = "allauth.account.auth_backends.AuthenticationBackend"


class NewcomerForm(forms.Form):
    """A name and a password; the e-mail is the invitation's."""

    first_name = forms.CharField(label=_("First name"), max_length=150)
    last_name = forms.CharField(label=_("Last name"), max_length=150, required=False)
    password = forms.CharField(label=_("Password"), max_length=500, strip=False)

    def __init__(self, *args: Any, email: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.email = email

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        validate_password(password, User(email=self.email))
        return password


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Accept with the account that has the e-mail, or make one."""
    found = directory.find_invitation(token[:100])
    if found is None:
        return _over(request)
    organization_id, invitation_id = found
    origin = Origin(address=client_address(request.META) or None)
    with enter(organization_id), acting_as(origin):
        rows = Invitation.objects.select_related("organization", "invited_by")
        invited = rows.get(pk=invitation_id)
        try:
            return _answer(request, invited, token)
        except NotFoundError:
            return _over(request)
        except NotAllowedError:
            return _show(request, invited, code=403)
        except ConflictError as error:
            return _show(request, invited, problem=error.message, code=409)


def _answer(request: HttpRequest, invited: Invitation, token: str) -> HttpResponse:
    user = request.user if request.user.is_authenticated else None
    known = user is not None or User.objects.filter(email__iexact=invited.email).exists()
    if request.method == "GET":
        form = None if known else NewcomerForm(email=invited.email)
        return _show(request, invited, form)
    if user is not None:
        invitations.accept(invitation_id=invited.id, token=token, user=user)
    elif known:
        return _show(request, invited, code=403)
    else:
        form = NewcomerForm(request.POST, email=invited.email)
        if not form.is_valid():
            return _show(request, invited, form, code=422)
        _sign_up(request, invited.id, token, form)
    enter_organization(request, invited.organization.id)
    return redirect("labeling:home")


def _sign_up(request: HttpRequest, invitation_id: UUID, token: str, form: NewcomerForm) -> None:
    data = form.cleaned_data
    member = invitations.sign_up(
        invitation_id=invitation_id,
        token=token,
        first_name=data["first_name"],
        last_name=data["last_name"],
        password=data["password"],
    )
    login(request, member.user, backend=BACKEND)


def _show(
    request: HttpRequest,
    invited: Invitation,
    form: NewcomerForm | None = None,
    *,
    problem: str = "",
    code: int = 200,
) -> HttpResponse:
    user = request.user
    mine = user.is_authenticated and (user.email or "").lower() == invited.email
    context = {
        "invited": invited,
        "workspaces": invitations.workspaces_of(invited),
        "form": form,
        "problem": problem,
        "is_mine": mine,
        "is_known": form is None,
    }
    return render(request, "account/invitation.html", context, status=code)


def _over(request: HttpRequest) -> HttpResponse:
    return render(request, "account/invitation_over.html", status=404)
