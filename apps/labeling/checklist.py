"""What a new owner has yet to do, shown on the home page until all is done."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, Q
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.annotation.models import Response, ResponseStatus
from apps.datasets.models import Dataset
from apps.organizations.models import Invitation, Membership, Organization, Role
from apps.workspaces.models import Workspace

ANSWERS = 10
_WORDS: tuple[tuple[str, Any], ...] = (
    ("organization", _("Name the organization")),
    ("workspace", _("Create a workspace")),
    ("dataset", _("Create a dataset")),
    ("answers", _("Answer ten records")),
    ("colleague", _("Invite a colleague")),
)


@dataclass(frozen=True, slots=True)
class Checklist:
    """``rows``: what is to do, in words, and whether it is done."""

    rows: list[tuple[str, str | Promise, bool]]

    @property
    def done(self) -> int:
        return sum(done for _, _, done in self.rows)

    @property
    def is_begun(self) -> bool:
        """Whether the steps of the welcome are behind: there is a dataset."""
        return all(done for name, _, done in self.rows if name in {"workspace", "dataset"})

    @property
    def is_complete(self) -> bool:
        return self.done == len(self.rows)


def find_checklist(member: Membership) -> Checklist | None:
    """Of an owner, while something is left; None for others. One query for an owner."""
    if member.role != Role.OWNER:
        return None
    others = Membership.objects.exclude(pk=member.pk)
    answers = Response.objects.filter(status=ResponseStatus.SUBMITTED).values("pk")
    found = (
        Organization.objects.filter(pk=member.organization.pk)
        .annotate(
            workspace=Exists(Workspace.objects.all()),
            dataset=Exists(Dataset.objects.all()),
            answers=Exists(answers.order_by()[ANSWERS - 1 : ANSWERS]),
            colleague=Q(Exists(others)) | Q(Exists(Invitation.objects.all())),
        )
        .values("workspace", "dataset", "answers", "colleague")
        .get()
    )
    checklist = Checklist([(name, text, bool(found.get(name, True))) for name, text in _WORDS])
    return None if checklist.is_complete else checklist


def nothing_done() -> Checklist:
    """Before there is an organization."""
    return Checklist([(name, text, False) for name, text in _WORDS])
