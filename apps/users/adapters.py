"""Where allauth asks us: sign-up is closed unless the host opens it."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    def is_open_for_signup(self, request: Any) -> bool:
        """Accounts are made by an organization's owner or by the operator."""
        return False
