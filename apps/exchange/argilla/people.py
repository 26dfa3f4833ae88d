"""Users, workspaces and who belongs where. Used inside the organization."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final
from uuid import UUID

from django.db import transaction

from apps.exchange.argilla import wire
from apps.exchange.argilla.copies import find_copy, note_copy
from apps.exchange.argilla.report import Report
from apps.exchange.models import CopiedKind
from apps.organizations.management.operator import new_password
from apps.organizations.models import Membership, Role
from apps.organizations.services import create_member
from apps.workspaces.models import NAME_PATTERN, Workspace, WorkspaceMembership
from apps.workspaces.services import add_workspace_member, create_workspace

MAX_NAME: Final = 200


class People:
    """The other server's users as members here; made when first asked for.

    A username that is here already is that person, whose role and password stay.
    """

    def __init__(self, users: Iterable[wire.User], report: Report) -> None:
        self.users = {user.id: user for user in users}
        self.report = report
        self._members: dict[UUID, UUID] = {}

    def member_id(self, source_id: UUID) -> UUID | None:
        """The member's id, or None when the other server has no such user."""
        if source_id not in self._members:
            user = self.users.get(source_id)
            if user is None:
                return None
            self._members[source_id] = self._find(user) or self._create(user)
        return self._members[source_id]

    def _find(self, user: wire.User) -> UUID | None:
        copy = find_copy(CopiedKind.USER, user.id)
        members = Membership.objects.values_list("id", flat=True)
        found = copy and members.filter(id=copy).first()
        return found or members.filter(username=user.username).first()

    @transaction.atomic
    def _create(self, user: wire.User) -> UUID:
        username = _free_name(user.username.strip()[:MAX_NAME] or "user", self._is_taken)
        tell = self.report.listener.on_password
        password = new_password() if tell else None
        member = create_member(
            username=username,
            role=user.stoneware_role if user.stoneware_role in Role.values else user.role,
            first_name=(user.first_name or "")[:MAX_NAME],
            last_name=(user.last_name or "")[:MAX_NAME] or None,
            password=password,
        )
        note_copy(CopiedKind.USER, user.id, member.id)
        if username != user.username:
            self.report.renamed.append(f"user {user.username[:MAX_NAME]!r} is {username!r}")
        if tell and password:
            tell(username, password)
        else:
            self.report.without_password.append(username)
        self.report.count("users")
        return member.id

    def _is_taken(self, name: str) -> bool:
        return Membership.objects.filter(username=name).exists()


def copy_workspaces(
    workspaces: Sequence[wire.Workspace], report: Report
) -> dict[UUID, tuple[UUID, str]]:
    """Id and name here, by id there; a workspace of the same name is the same one.

    A name with other characters than letters, digits, dashes and underscores is changed.
    """
    copies = {}
    # The names that stay as they are come first: a changed name makes way for them.
    for workspace in sorted(workspaces, key=lambda one: not _is_allowed(one.name)):
        found = _find_workspace(workspace) or _create_workspace(workspace, report)
        copies[workspace.id] = (found.id, found.name)
    return copies


def _find_workspace(workspace: wire.Workspace) -> Workspace | None:
    copy = find_copy(CopiedKind.WORKSPACE, workspace.id)
    found = Workspace.objects.filter(id=copy).first() if copy else None
    return found or Workspace.objects.filter(name=workspace.name).first()


@transaction.atomic
def _create_workspace(workspace: wire.Workspace, report: Report) -> Workspace:
    name = workspace.name
    if not _is_allowed(name):
        plain = re.sub(r"[^a-zA-Z0-9_-]+", "-", name).strip("-")[:MAX_NAME] or "workspace"
        name = _free_name(plain, lambda one: Workspace.objects.filter(name=one).exists())
        report.renamed.append(f"workspace {workspace.name[:MAX_NAME]!r} is {name!r}")
    created = create_workspace(name=name)
    note_copy(CopiedKind.WORKSPACE, workspace.id, created.id)
    report.count("workspaces")
    return created


def _is_allowed(name: str) -> bool:
    return len(name) <= MAX_NAME and re.fullmatch(NAME_PATTERN, name) is not None


def copy_memberships(workspace_id: UUID, user_ids: Iterable[UUID], people: People) -> None:
    """Let the same people into the workspace; those who are in stay."""
    workspace = Workspace.objects.get(id=workspace_id)
    inside = WorkspaceMembership.objects.filter(workspace=workspace)
    known = set(inside.values_list("membership_id", flat=True))
    found = (people.member_id(user_id) for user_id in user_ids)
    new = {member_id for member_id in found if member_id and member_id not in known}
    for member in Membership.objects.filter(id__in=new).order_by("id"):
        add_workspace_member(workspace=workspace, member=member)
        people.report.count("memberships")


def _free_name(name: str, is_taken: Callable[[str], bool]) -> str:
    """The name, with a number behind it where somebody has it already."""
    free, number = name, 1
    while is_taken(free):
        number += 1
        ending = f"-{number}"
        free = name[: MAX_NAME - len(ending)] + ending
    return free
