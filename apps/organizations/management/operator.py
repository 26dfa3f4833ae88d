"""What the operators' commands share: their output, their errors, finding an organization."""

import json
import secrets
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError

from apps.core.errors import DomainError, NotFoundError
from apps.organizations import directory

PASSWORD_BYTES = 12  # 16 characters
NO_DATABASE = "(An embedded database runs while `manage.py up` does.)"


class OperatorCommand(BaseCommand):
    """A command whose result is one object and whose errors are one line.

    With ``--json`` the object is all that standard output gets. The exit code is 1 for an error.
    """

    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except DomainError as error:
            raise CommandError(one_line(error.message)) from error
        except OperationalError as error:
            raise CommandError(f"{one_line(error)} {NO_DATABASE}") from error
        except OSError as error:
            raise CommandError(one_line(error)) from error

    def tell(self, result: Mapping[str, Any], *, as_json: bool) -> None:
        """Print the result: as one JSON object, or a line for each value."""
        if as_json:
            self.stdout.write(json.dumps(result, ensure_ascii=False))
            return
        for name, value in flattened(result):
            self.stdout.write(f"{name}: {value}")


def flattened(result: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """``("owner email", "a@b.example")`` for ``{"owner": {"email": "a@b.example"}}``."""
    lines: list[tuple[str, Any]] = []
    for name, value in result.items():
        if isinstance(value, Mapping):
            lines += flattened(value, f"{prefix}{name} ")
        elif value is not None:
            lines.append((f"{prefix}{name}", value))
    return lines


def find_organization(slug: str) -> UUID:
    """The organization's id. Raises ``NotFoundError``."""
    organization_id = directory.find_organization(slug)
    if organization_id is None:
        raise NotFoundError(f"There is no organization with the slug {slug!r}.")
    return organization_id


def new_password() -> str:
    """16 random characters."""
    return secrets.token_urlsafe(PASSWORD_BYTES)


def one_line(message: object) -> str:
    """The message with its line ends taken out."""
    return " ".join(str(message).split())
