"""Where allauth asks us: who may sign up, what is sent by e-mail, how second factors are kept."""

import base64
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from allauth.account.stages import EmailVerificationStage
from allauth.core import context as allauth_context
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core.sealing import seal, unseal
from apps.users import mail
from apps.users.models import User

OPEN, INVITE = "open", "invite"

# What allauth tells by e-mail → our template. What stands in neither list is not sent.
_MAILS = {
    "email_confirmation_signup": "email_code",
    "email_confirmation": "email_code",
    "password_reset_key": "password_reset",
    "unknown_account": "no_account",
    "account_already_exists": "account_exists",
}
_NOTICES = {
    "password_changed": _("Your password was changed"),
    "password_reset": _("Your password was changed"),
    "password_set": _("A password was set for your account"),
    "totp_activated": _("An authenticator app was added to your account"),
    "totp_deactivated": _("The authenticator app was removed from your account"),
    "recovery_codes_generated": _("New recovery codes were made for your account"),
    "webauthn_added": _("A passkey was added to your account"),
    "webauthn_removed": _("A passkey was removed from your account"),
    "account_connected": _("Another way to sign in was added to your account"),
    "account_disconnected": _("A way to sign in was removed from your account"),
}


class ConfirmedEmail(EmailVerificationStage):  # type: ignore[misc]
    """Whoever signed up by themselves proves their e-mail by a code before the first log-in.

    Accounts that an organization made have no address to prove: its owner answers for them.
    """

    def handle(self) -> Any:
        user = self.login.user
        if user is not None and not EmailAddress.objects.filter(user_id=user.pk).exists():
            return None, True
        return super().handle()


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": _("E-mail and password don’t match."),
        "too_many_login_attempts": _("Too many tries. Wait five minutes, then try again."),
        "incorrect_code": _("That is not the code."),
        "incorrect_password": _("That is not the password."),
    }

    def is_open_for_signup(self, request: Any) -> bool:
        """Whether people may sign up; in "invite" only those with an invitation get an account."""
        return settings.SIGNUP in {OPEN, INVITE}

    def is_welcome(self, email: str) -> bool:
        """Whether this address may have an account of its own."""
        return settings.SIGNUP == OPEN or (settings.SIGNUP == INVITE and self.is_invited(email))

    def is_invited(self, email: str) -> bool:
        """Whether an invitation to this address waits. Organizations know; here nobody is."""
        return False

    def get_login_stages(self) -> list[str]:
        ours = f"{ConfirmedEmail.__module__}.{ConfirmedEmail.__name__}"
        theirs = "allauth.account.stages.EmailVerificationStage"
        return [ours if stage == theirs else stage for stage in super().get_login_stages()]

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        name = template_prefix.rpartition("/")[2]
        user = context.get("user")
        language = user.language if isinstance(user, User) else ""
        if name in _MAILS:
            told = {
                "code": context.get("code", ""),
                "minutes": settings.ACCOUNT_EMAIL_VERIFICATION_BY_CODE_TIMEOUT // 60,
                "url": context.get("password_reset_url", ""),
            }
            mail.send(_MAILS[name], email, told, language)
        elif name in _NOTICES:
            told = {"what": _NOTICES[name], "account": email, "address": context.get("ip", "")}
            mail.send("security_notice", email, told, language)

    def send_account_already_exists_mail(self, email: str) -> None:
        """For whoever signs up with an address that gets no account: the page tells no difference.

        The address has an account, or none and no invitation either.
        """
        if User.objects.filter(email__iexact=email).exists():
            super().send_account_already_exists_mail(email)
        else:
            mail.send("not_invited", email, {})

    def send_notification_mail(
        self, template_prefix: str, user: Any, context: Any = None, email: str | None = None
    ) -> None:
        """Also to accounts whose address is not one of allauth's."""
        super().send_notification_mail(template_prefix, user, context, email or user.email)

    def add_message(
        self,
        request: Any,
        level: int,
        message_template: str | None = None,
        *args: Any,
        message: str | None = None,
        **kwargs: Any,
    ) -> None:
        """What a page does not show by itself; allauth's own words stay unsaid."""
        name = (message_template or "").rpartition("/")[2].removesuffix(".txt")
        told = message or _NOTICES.get(name)
        if told:
            super().add_message(request, level, message=str(told))

    def reauthenticate(self, user: Any, password: str) -> bool:
        """Members without an e-mail have a password too."""
        return bool(user.check_password(password))

    def _get_login_attempts_cache_key(self, request: Any, **credentials: Any) -> str:
        """Failed log-ins count by whom they try, under whatever host name they arrive."""
        login = credentials.get("email") or credentials.get("username") or ""
        return f"{credentials.get('organization', '')}/{login.lower()}"


class MfaAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Second factors: secrets are sealed, passkeys are good for all hosts of the base domain."""

    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": _("That is not the code."),
    }

    def encrypt(self, text: str) -> str:
        return base64.b64encode(seal(text, context="second factor")).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return unseal(base64.b64decode(encrypted_text), context="second factor")

    def get_totp_issuer(self) -> str:
        return settings.SITE_NAME

    def generate_authenticator_name(self, user: Any, type: Any) -> str:
        return gettext("Passkey")

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        host = allauth_context.request.get_host().partition(":")[0]
        base = settings.BASE_DOMAIN.partition(":")[0]
        ours = base and (host == base or host.endswith(f".{base}"))
        return {"id": base if ours else host, "name": settings.SITE_NAME}
