"""Workspaces and their members."""

from django.db import models
from django.db.models import Q

from apps.core.fields import TenantLink
from apps.core.models import TenantManager, TenantModel, TenantRow
from apps.organizations.models import Invitation, Membership, Role

NAME_PATTERN = r"^[a-zA-Z0-9_-]+$"


class WorkspaceQuerySet(models.QuerySet["Workspace"]):
    def visible_to(self, member: Membership) -> "WorkspaceQuerySet":
        """Every workspace for an owner, else those the member belongs to."""
        if member.role == Role.OWNER:
            return self.all()
        return self.filter(memberships__membership=member)

    def reviewed_by(self, member: Membership) -> "WorkspaceQuerySet":
        """Where the member's role, the workspace's own word first, is more than annotator."""
        if member.role == Role.OWNER:
            return self.all()
        reviews = Q(memberships__role__in=[Role.ADMIN, Role.REVIEWER])
        if member.role != Role.ANNOTATOR:
            reviews |= Q(memberships__role__isnull=True)
        return self.filter(reviews, memberships__membership=member)


class Workspace(TenantModel):
    """A group of datasets with its people."""

    name = models.CharField(max_length=200)

    objects = TenantManager.from_queryset(WorkspaceQuerySet)()

    class Meta:
        db_table = "workspace"
        base_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="workspace_name_unique"),
            # The client refuses to list workspaces when one name breaks this pattern.
            models.CheckConstraint(
                condition=Q(name__regex=NAME_PATTERN), name="workspace_name_has_wire_form"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class WorkspaceMembership(TenantModel):
    """A member's place in a workspace; ``role`` overrides the organization's."""

    workspace = TenantLink(Workspace, related_name="memberships")
    membership = TenantLink(Membership, related_name="workspace_memberships")
    role = models.CharField(max_length=20, choices=Role, null=True, blank=True)

    objects = TenantManager()

    class Meta:
        db_table = "workspace_membership"
        base_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "workspace", "membership"],
                name="workspace_membership_unique",
            ),
            models.CheckConstraint(
                condition=Q(role__isnull=True) | Q(role__in=["admin", "reviewer", "annotator"]),
                name="workspace_membership_role_known",
            ),
        ]


class InvitedPlace(TenantRow):
    """A workspace that an invitation lets into; ``role`` overrides the invitation's."""

    pk = models.CompositePrimaryKey("organization_id", "invitation_id", "workspace_id")
    invitation = TenantLink(Invitation, related_name="places")
    workspace = TenantLink(Workspace, related_name="+")
    role = models.CharField(max_length=20, choices=Role, null=True, blank=True)

    objects = TenantManager()

    class Meta:
        db_table = "invited_place"
        base_manager_name = "objects"
        constraints = [
            models.CheckConstraint(
                condition=Q(role__isnull=True) | Q(role__in=["admin", "reviewer", "annotator"]),
                name="invited_place_role_known",
            ),
        ]
