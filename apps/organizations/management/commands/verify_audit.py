"""``manage.py verify_audit``: whether the event log is whole."""

from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser

from apps.core.errors import DomainError
from apps.core.rounds import find
from apps.events import seals
from apps.organizations.management.operator import OperatorCommand, find_organization


class BrokenLogError(DomainError):
    """The command's exit code says it too."""


class Command(OperatorCommand):
    """Seals what waits, then recomputes the seals over the events of one organization, or of all.

    The answer: valid, events, sealed, seals, and for one organization head, the last hash, to be
    kept elsewhere. Of the first broken log organization (its slug), seal and problem follow, and
    the exit code is 1.
    """

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--organization", metavar="SLUG", help="default: all of them")

    def handle(self, *args: Any, **options: Any) -> None:
        slug = options["organization"]
        found = [(slug, find_organization(slug))] if slug else _organizations()
        result: dict[str, Any] = {"valid": True, "events": 0, "sealed": 0, "seals": 0}
        for name, organization_id in found:
            seals.seal(organization_id=organization_id)
            verdict = seals.check(organization_id=organization_id)
            for count in ("events", "sealed", "seals"):
                result[count] += getattr(verdict, count)
            if slug:
                result["head"] = verdict.head
            if result["valid"] and not verdict.is_valid:
                result |= {"valid": False, "organization": name}
                result |= {"seal": verdict.bad_seal, "problem": verdict.problem}
        self.tell(result, as_json=options["json"])
        if not result["valid"]:
            raise BrokenLogError(f"{result['organization']}: {result['problem']}")


def _organizations() -> list[tuple[str, UUID]]:
    rows = find("SELECT slug, id FROM organization ORDER BY slug")
    return [(row["slug"], row["id"]) for row in rows]
