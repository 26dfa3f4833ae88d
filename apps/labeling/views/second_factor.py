"""How a person signs in: authenticator app, passkeys, recovery codes, and asking again for proof.

allauth knows how; these views only answer as the other pages do.
"""

from typing import Any

from allauth.account import views as account
from allauth.mfa.base import views as base
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes import views as recovery
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as webauthn
from django.http import HttpResponse
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache

from apps.labeling.views.accounts import InvalidIs422


class AuthenticateView(base.AuthenticateView):  # type: ignore[misc]
    """The second step of signing in."""

    def form_invalid(self, form: Any) -> HttpResponse:
        response: HttpResponse = super().form_invalid(form)
        response.status_code = 422
        return response


@method_decorator(never_cache, name="dispatch")
class IndexView(base.IndexView):  # type: ignore[misc]
    """Everything with which the person signs in."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs)
        kinds = context["authenticators"]
        context["passkeys"] = kinds.get(Authenticator.Type.WEBAUTHN, [])
        context["protected"] = bool(context["passkeys"]) or Authenticator.Type.TOTP in kinds
        context["is_required"] = self.request.GET.get("required") == "1"
        return context


class ReauthenticateView(InvalidIs422, account.ReauthenticateView):  # type: ignore[misc]
    """By password."""


class ReauthenticateByCodeView(InvalidIs422, base.ReauthenticateView):  # type: ignore[misc]
    """By a code of the authenticator app, or a recovery code."""


class ReauthenticateByPasskeyView(InvalidIs422, webauthn.ReauthenticateWebAuthnView):  # type: ignore[misc]
    """By a passkey."""


class AddAppView(InvalidIs422, totp.ActivateTOTPView):  # type: ignore[misc]
    """Show the secret, and take the first code as proof that the app has it."""


class RemoveAppView(InvalidIs422, totp.DeactivateTOTPView):  # type: ignore[misc]
    """Without the app, passkeys remain, or the password alone."""


@method_decorator(never_cache, name="dispatch")
class RecoveryCodesView(recovery.ViewRecoveryCodesView):  # type: ignore[misc]
    """The codes that are left."""


class NewRecoveryCodesView(InvalidIs422, recovery.GenerateRecoveryCodesView):  # type: ignore[misc]
    """Ten new codes instead of the old ones."""


class AddPasskeyView(InvalidIs422, webauthn.AddWebAuthnView):  # type: ignore[misc]
    """The browser makes the key; what it answers is checked here."""


class RemovePasskeyView(InvalidIs422, webauthn.RemoveWebAuthnView):  # type: ignore[misc]
    success_url = reverse_lazy("mfa_index")


class RenamePasskeyView(InvalidIs422, webauthn.EditWebAuthnView):  # type: ignore[misc]
    success_url = reverse_lazy("mfa_index")
