"""Who gets an account of their own, by e-mail or through a provider of log-ins."""

from typing import Any, NoReturn
from urllib.parse import urlsplit

from allauth.account.adapter import get_adapter
from allauth.account.forms import SignupForm as AllauthSignupForm
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.http import HttpRequest
from django.shortcuts import render
from django.utils.translation import gettext as _

from apps.core.errors import NotAllowedError
from apps.labeling.hosts import own_address
from apps.organizations import invitations
from apps.users import adapters
from apps.users.models import User
from apps.workspaces.admission import Identity, admit


class AccountAdapter(adapters.AccountAdapter):
    def is_invited(self, email: str) -> bool:
        """Whether an organization has invited this address."""
        return invitations.is_invited(email)

    def get_reset_password_from_key_url(self, key: str) -> str:
        """At a host of ours, whatever name the request came under."""
        path: str = urlsplit(super().get_reset_password_from_key_url(key)).path
        return own_address(self.request) + path


class SignupForm(AllauthSignupForm):  # type: ignore[misc]
    """E-mail and password. What becomes of it is told by e-mail only, to its owner.

    An address that has an account, or that is not invited where that is needed, gets the same
    page after the same work as one that gets an account.
    """

    def validate_unique_email(self, value: str) -> str:
        email: str = super().validate_unique_email(value)
        if not get_adapter().is_welcome(email):
            self.account_already_exists = True
        return email

    def try_save(self, request: HttpRequest) -> Any:
        if self.account_already_exists:
            make_password(self.cleaned_data.get("password1"))
        return super().try_save(request)


class SocialAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """Log-in through a provider: only e-mails that it has verified, and no account is taken over.

    A newcomer gets an account where sign-up admits their address, or becomes a member of the
    organization that the host has named for newcomers.
    """

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        if sociallogin.is_existing or request.user.is_authenticated:
            return
        verified = [one for one in sociallogin.email_addresses if one.verified]
        sociallogin.email_addresses = verified[:1]
        email = verified[0].email if verified else None
        sociallogin.user.email = email
        if settings.OAUTH_ORGANIZATION and not get_adapter().is_welcome(email or ""):
            self._admit(request, sociallogin, email)
        else:
            self._check(request, email)

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        """Asked after ``pre_social_login``, which has refused whom we do not want."""
        return True

    def _admit(self, request: HttpRequest, sociallogin: Any, email: str | None) -> None:
        user, account = sociallogin.user, sociallogin.account
        identity = Identity(
            provider=account.provider,
            uid=account.uid,
            email=email,
            username=str(account.extra_data.get("preferred_username") or ""),
            first_name=user.first_name,
            last_name=user.last_name or None,
        )
        try:
            admit(identity)
        except NotAllowedError as error:
            _refuse(request, str(error.message))
        sociallogin.lookup()

    def _check(self, request: HttpRequest, email: str | None) -> None:
        if not email:
            _refuse(request, _("The provider has not verified an e-mail address of yours."))
        if User.objects.filter(email__iexact=email).exists():
            _refuse(
                request,
                _(
                    "An account with this e-mail exists. Sign in with its password, then add the"
                    " provider under “Sign-in and security”."
                ),
            )
        if not get_adapter().is_welcome(email):
            _refuse(request, _("Accounts are made by invitation, and none waits for you."))


def _refuse(request: HttpRequest, why: str) -> NoReturn:
    page = render(request, "socialaccount/refused.html", {"why": why}, status=403)
    raise ImmediateHttpResponse(page)
