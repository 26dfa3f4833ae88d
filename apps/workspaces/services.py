"""Writes to workspaces and their members."""

import re
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.core.errors import ConflictError, InvalidError, NotFoundError
from apps.core.ids import uuid7
from apps.events.log import emit
from apps.organizations.models import Membership
from apps.workspaces.models import NAME_PATTERN, Workspace, WorkspaceMembership


@transaction.atomic
def create_workspace(*, name: str, id: UUID | None = None) -> Workspace:
    """Create a workspace in the entered organization.

    Raises ``ConflictError`` when name or id are taken, ``InvalidError`` when the name has
    characters that clients refuse.
    """
    _check_name(name)
    if id and Workspace.objects.filter(id=id).exists():
        raise ConflictError(f"Workspace with id `{id}` is not unique")
    try:
        with transaction.atomic():
            workspace = Workspace.objects.create(id=id or uuid7(), name=name)
    except IntegrityError as error:
        raise ConflictError(f"Workspace with name `{name}` is not unique") from error
    emit("workspace.created", object_id=workspace.id, payload={"name": name})
    return workspace


@transaction.atomic
def rename_workspace(*, workspace: Workspace, name: str) -> None:
    """Call it otherwise; its id stays. Raises as ``create_workspace`` does."""
    _check_name(name)
    try:
        with transaction.atomic():
            Workspace.objects.filter(pk=workspace.pk).update(name=name, updated_at=timezone.now())
    except IntegrityError as error:
        raise ConflictError(f"Workspace with name `{name}` is not unique") from error
    changes = {"name": [workspace.name, name]}
    emit("workspace.renamed", object_id=workspace.id, payload={"changes": changes})


def _check_name(name: str) -> None:
    if not re.fullmatch(NAME_PATTERN, name) or len(name) > 200:
        raise InvalidError(
            "A workspace name has up to 200 letters, digits, dashes and underscores."
        )


@transaction.atomic
def delete_workspace(*, workspace: Workspace) -> None:
    """Delete an empty workspace. Raises ``ConflictError`` while it holds datasets."""
    if workspace.datasets.exists():
        raise ConflictError(
            f"Cannot delete the workspace {workspace.id}. This workspace has some datasets linked"
        )
    Workspace.objects.filter(pk=workspace.pk).delete()
    emit("workspace.deleted", object_id=workspace.id, payload={"name": workspace.name})


@transaction.atomic
def add_workspace_member(
    *, workspace: Workspace, member: Membership, role: str | None = None
) -> WorkspaceMembership:
    """Let a member into a workspace; ``role`` overrides theirs. Raises ``ConflictError``."""
    try:
        with transaction.atomic():
            place = WorkspaceMembership.objects.create(
                workspace=workspace, membership=member, role=role
            )
    except IntegrityError as error:
        raise ConflictError(
            f"Workspace user with workspace_id `{workspace.id}` and user_id `{member.id}`"
            " is not unique"
        ) from error
    told = {"member": str(member.id), "username": member.username, "role": role}
    emit("workspace.member_added", object_id=workspace.id, payload=told)
    return place


@transaction.atomic
def remove_workspace_member(*, workspace: Workspace, member_id: UUID) -> Membership:
    """Take a member out of a workspace; their answers stay. Raises ``NotFoundError``."""
    place = (
        WorkspaceMembership.objects.select_related("membership")
        .filter(workspace=workspace, membership_id=member_id)
        .first()
    )
    if place is None:
        raise NotFoundError(
            f"WorkspaceUser not found filtering by workspace_id={workspace.id}, user_id={member_id}"
        )
    member = place.membership
    WorkspaceMembership.objects.filter(pk=place.pk).delete()
    emit("workspace.member_removed", object_id=workspace.id, payload={"member": str(member_id)})
    return member
