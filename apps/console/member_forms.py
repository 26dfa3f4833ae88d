"""Forms about people: whom to invite, which role and which workspaces they get."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parseaddr
from typing import Any, Final
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.organizations.models import Membership, Role
from apps.workspaces.invitations import invited_among, members_among
from apps.workspaces.models import Workspace
from apps.workspaces.people import RANK, grantable
from apps.workspaces.permissions import role_in

MOST: Final = 100  # addresses at once
INHERITED: Final = "inherited"


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """A workspace of a form: what is chosen in it, and what may be."""

    workspace: Workspace
    chosen: str
    choices: Sequence[tuple[str, Any]]

    @property
    def name(self) -> str:
        return f"place-{self.workspace.id}"


def place_rows(
    actor: Membership, workspaces: Sequence[Workspace], chosen: Mapping[UUID, str]
) -> list[PlaceRow]:
    """``chosen`` is a role or ``inherited`` by workspace; absent for no access."""
    return [
        PlaceRow(one, chosen.get(one.id, ""), place_choices(actor, one, chosen.get(one.id, "")))
        for one in workspaces
    ]


def place_choices(
    actor: Membership, workspace: Workspace, chosen: str = ""
) -> list[tuple[str, Any]]:
    """No access, the organization's role, or one of the workspace up to the actor's there."""
    most = RANK[role_in(actor, workspace.id) or Role.ANNOTATOR]
    roles = (Role.ADMIN, Role.REVIEWER, Role.ANNOTATOR)
    given = [(role.value, role.label) for role in roles if RANK[role] <= most or role == chosen]
    return [("", _("no access")), (INHERITED, _("with their role")), *given]


def read_places(data: Mapping[str, Any], workspaces: Sequence[Workspace]) -> dict[UUID, str]:
    """What was chosen, by workspace; nonsense stays, to be refused by the service."""
    found = {one.id: str(data.get(f"place-{one.id}", ""))[:20] for one in workspaces}
    return {id: text for id, text in found.items() if text}


def as_places(chosen: Mapping[UUID, str]) -> dict[UUID, str | None]:
    """As the services take them."""
    return {id: None if text == INHERITED else text for id, text in chosen.items()}


class InviteForm(forms.Form):
    """Whom, as what, and into which workspaces; each wrong line is told."""

    emails = forms.CharField(label=_("E-mail addresses"), max_length=20_000)
    role = forms.ChoiceField(label=_("Role"))
    former = forms.UUIDField(required=False)
    places = forms.Field(required=False)

    def __init__(
        self, *args: Any, actor: Membership, workspaces: Sequence[Workspace], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.actor, self.workspaces = actor, workspaces
        self.chosen = read_places(self.data, workspaces) if self.is_bound else {}
        roles = [(role, Role(role).label) for role in reversed(grantable(actor))]
        self.fields["role"].choices = roles  # type: ignore[attr-defined]

    @property
    def rows(self) -> list[PlaceRow]:
        return place_rows(self.actor, self.workspaces, self.chosen)

    def clean_emails(self) -> list[str]:
        lines = read_addresses(self.cleaned_data["emails"])
        emails = [email for _line, email in lines]
        wrong = [*_wrong_lines(lines)]
        if len(emails) > MOST:
            wrong = [gettext("At most %d people at once.") % MOST]
        if wrong or not emails:
            raise ValidationError(" ".join(wrong) or gettext("This is needed."))
        return emails

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.chosen and cleaned.get("role") not in {None, Role.OWNER}:
            self.add_error("places", _("This role needs at least one workspace."))
        return cleaned

    @property
    def wrong_fields(self) -> int:
        return len(self.errors)


def read_addresses(text: str) -> list[tuple[int, str]]:
    """Number of the line and address, in lower case; ``Ines <ines@example.com>`` will do."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        for part in re.split(r"[,;]", line):
            if part.strip():
                address = parseaddr(part)[1] if "<" in part else part.strip()
                found.append((number, (address or part.strip()).lower()))
    return found


def _wrong_lines(lines: Sequence[tuple[int, str]]) -> list[str]:
    emails = [email for _number, email in lines]
    members, invited = members_among(emails), invited_among(emails)
    told, seen = [], set()
    for number, email in lines:
        if not _is_address(email):
            told.append(gettext("Line %d is not an e-mail address.") % number)
        elif email in members:
            told.append(gettext("Line %d is a member already.") % number)
        elif email in invited:
            told.append(gettext("Line %d is invited already.") % number)
        elif email in seen:
            told.append(gettext("Line %d is there twice.") % number)
        seen.add(email)
    return told[:20]


def _is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return len(text) <= 254
