"""Where allauth asks us: sign-up is closed unless the host opens it."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.utils.translation import gettext_lazy as _


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": _("E-mail and password don’t match."),
        "too_many_login_attempts": _("Too many tries. Wait five minutes, then try again."),
    }

    def is_open_for_signup(self, request: Any) -> bool:
        """Accounts are made by an organization's owner or by the operator."""
        return False

    def _get_login_attempts_cache_key(self, request: Any, **credentials: Any) -> str:
        """Failed log-ins count by whom they try, under whatever host name they arrive."""
        login = credentials.get("email") or credentials.get("username") or ""
        return f"{credentials.get('organization', '')}/{login.lower()}"
