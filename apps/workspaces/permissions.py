"""Who may do what: one table, deny by default.

``check(member, action, workspace_id)`` is the only question the interfaces ask. Whether the
object is visible at all is asked before, by ``visible_to``: a stranger's object is a 404.
"""

from typing import Final
from uuid import UUID

from django.db import models

from apps.core.errors import NotAllowedError
from apps.core.prepared import fetch_one
from apps.organizations.models import Membership, Role
from apps.workspaces.models import WorkspaceMembership


class Action(models.TextChoices):
    """What can be done; organization-wide first, then within a workspace."""

    MANAGE_ORGANIZATION = "manage_organization"
    VIEW_AUDIT = "view_audit"
    MANAGE_MEMBERS = "manage_members"
    MANAGE_PEOPLE = "manage_people"  # up to one's own role, as on the pages
    MANAGE_WORKSPACES = "manage_workspaces"
    MANAGE_WEBHOOKS = "manage_webhooks"
    MANAGE_PROVIDERS = "manage_providers"
    USE_PROVIDERS = "use_providers"
    MANAGE_PLAN = "manage_plan"
    VIEW_USAGE = "view_usage"
    MANAGE_BUDGETS = "manage_budgets"  # of a workspace; the organization's is its owners'
    ADD_WORKSPACE_MEMBERS = "add_workspace_members"
    REMOVE_WORKSPACE_MEMBERS = "remove_workspace_members"
    VIEW_WORKSPACE_MEMBERS = "view_workspace_members"
    VIEW_DATASET = "view_dataset"
    MANAGE_DATASET = "manage_dataset"
    MANAGE_RECORDS = "manage_records"
    LIST_RECORDS = "list_records"
    VIEW_ALL_RESPONSES = "view_all_responses"
    REVIEW = "review"
    ANSWER = "answer"
    RUN_JOBS = "run_jobs"
    EXPORT_RECORDS = "export_records"


_ANNOTATOR: Final = {Action.VIEW_DATASET, Action.ANSWER}
_REVIEWER: Final = _ANNOTATOR | {Action.VIEW_ALL_RESPONSES, Action.REVIEW, Action.LIST_RECORDS}
_ADMIN: Final = _REVIEWER | {
    Action.VIEW_AUDIT,
    Action.MANAGE_PEOPLE,
    Action.VIEW_WORKSPACE_MEMBERS,
    Action.REMOVE_WORKSPACE_MEMBERS,
    Action.MANAGE_DATASET,
    Action.MANAGE_RECORDS,
    Action.RUN_JOBS,
    Action.USE_PROVIDERS,
    Action.VIEW_USAGE,
    Action.MANAGE_BUDGETS,
    Action.EXPORT_RECORDS,
}
_OWNER: Final = set(Action)

ALLOWED: Final[dict[str, set[Action]]] = {
    Role.OWNER: _OWNER,
    Role.ADMIN: _ADMIN,
    Role.REVIEWER: _REVIEWER,
    Role.ANNOTATOR: _ANNOTATOR,
}


def role_in(member: Membership, workspace_id: UUID) -> str | None:
    """The member's role in the workspace; None for a stranger.

    One query, none for an owner; asked again of the same ``member`` object, which lives as long
    as a request, the answer is remembered.
    """
    if member.role == Role.OWNER:
        return Role.OWNER
    known = _known_roles(member)
    if workspace_id not in known:
        place = fetch_one(
            WorkspaceMembership,
            "workspace_id = %(workspace)s AND membership_id = %(member)s",
            workspace=workspace_id,
            member=member.id,
        )
        override = place.role if place else None
        remember_role(member, workspace_id, belongs=place is not None, role=override)
    return known[workspace_id]


def remember_role(
    member: Membership, workspace_id: UUID, *, belongs: bool, role: str | None
) -> None:
    """Spare ``role_in`` its query: a statement of the caller's has read the membership already.

    ``role`` is the workspace's override, if any.
    """
    _known_roles(member)[workspace_id] = (role or member.role) if belongs else None


def remember_roles(member: Membership) -> None:
    """Spare ``role_in`` its queries in a list: the member's roles in all their workspaces at once.

    One query, none for an owner.
    """
    if member.role == Role.OWNER:
        return
    for place in WorkspaceMembership.objects.filter(membership=member):
        remember_role(member, place.workspace_id, belongs=True, role=place.role)


def _known_roles(member: Membership) -> dict[UUID, str | None]:
    roles: dict[UUID, str | None] = member.__dict__.setdefault("_roles", {})
    return roles


def may(member: Membership, action: Action, workspace_id: UUID | None = None) -> bool:
    """Whether the member may do this, in the workspace where one is named."""
    role = member.role if workspace_id is None else role_in(member, workspace_id)
    return role is not None and action in ALLOWED[role]


def may_somewhere(member: Membership, action: Action) -> bool:
    """Whether the member may do this in the organization, or in a workspace of theirs.

    One query, none for whom the role of the membership is enough.
    """
    if may(member, action):
        return True
    roles = [role for role, allowed in ALLOWED.items() if action in allowed]
    return WorkspaceMembership.objects.filter(membership=member, role__in=roles).exists()


def check(member: Membership, action: Action, workspace_id: UUID | None = None) -> None:
    """Raise ``NotAllowedError`` unless the member may do this."""
    if not may(member, action, workspace_id):
        raise NotAllowedError
