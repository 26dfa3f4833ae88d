"""Writes to an account's preferences."""

from collections.abc import Mapping

from apps.users.models import User


def save_preferences(
    *, user: User, language: str, theme: str, density: str, single_keys: str
) -> None:
    """How the person's pages look and when single keys count; checked by the form and the table."""
    user.language, user.theme = language, theme
    user.density, user.single_keys = density, single_keys
    user.save(update_fields=["language", "theme", "density", "single_keys"])


def save_shortcuts(*, user: User, shortcuts: Mapping[str, str]) -> None:
    """The person's own keys by command; commands that are not named have their default keys."""
    user.shortcuts = dict(shortcuts)
    user.save(update_fields=["shortcuts"])
