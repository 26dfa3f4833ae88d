"""Workspaces, who is in them, and what models may cost there."""

from collections.abc import Iterable
from typing import Annotated, Any
from uuid import UUID

from django.urls import path
from pydantic import StringConstraints
from rest_framework.response import Response as ApiResponse

from apps.api.lookup import find
from apps.api.v1.users import user_documents
from apps.api.views import ApiRequest, ApiView, ApiViewSet, Schema
from apps.core.errors import InvalidError, NotFoundError
from apps.organizations.models import Membership, Scope
from apps.workspaces.models import Workspace, WorkspaceMembership
from apps.workspaces.permissions import Action, check
from apps.workspaces.services import (
    add_workspace_member,
    create_workspace,
    delete_workspace,
    remove_workspace_member,
)


class WorkspaceCreate(Schema):
    id: UUID | None = None
    name: Annotated[str, StringConstraints(min_length=1)]


class WorkspaceUserCreate(Schema):
    user_id: UUID


def workspace_document(workspace: Workspace) -> dict[str, Any]:
    return {
        "id": workspace.id,
        "name": workspace.name,
        "inserted_at": workspace.inserted_at,
        "updated_at": workspace.updated_at,
    }


def workspace_list(workspaces: Iterable[Workspace]) -> ApiResponse:
    return ApiResponse({"items": [workspace_document(workspace) for workspace in workspaces]})


class MyWorkspaces(ApiView):
    def get(self, request: ApiRequest) -> ApiResponse:
        """All of them for an owner, else the caller's."""
        visible = Workspace.objects.visible_to(self.member)
        return workspace_list(visible.order_by("inserted_at", "id"))


class UserWorkspaces(ApiView):
    def get(self, request: ApiRequest, user_id: UUID) -> ApiResponse:
        """What the named user would get at ``/me/workspaces``."""
        check(self.member, Action.MANAGE_MEMBERS)
        visible = Workspace.objects.visible_to(find(Membership.objects.active(), user_id))
        return workspace_list(visible.order_by("inserted_at", "id"))


class Workspaces(ApiViewSet):
    """Asks for the permission before it looks the workspace up."""

    write_scope = Scope.MANAGE

    def create(self, request: ApiRequest) -> ApiResponse:
        body = self.read_body(WorkspaceCreate)
        check(self.member, Action.MANAGE_WORKSPACES)
        workspace = create_workspace(name=body.name, id=body.id)
        return ApiResponse(workspace_document(workspace), status=201)

    def retrieve(self, request: ApiRequest, workspace_id: UUID) -> ApiResponse:
        check(self.member, Action.VIEW_DATASET, workspace_id)
        return ApiResponse(workspace_document(find(Workspace.objects.all(), workspace_id)))

    def destroy(self, request: ApiRequest, workspace_id: UUID) -> ApiResponse:
        check(self.member, Action.MANAGE_WORKSPACES)
        workspace = find(Workspace.objects.all(), workspace_id)
        delete_workspace(workspace=workspace)
        return ApiResponse(workspace_document(workspace))


class WorkspaceUsers(ApiViewSet):
    """Who is in a workspace, by the time they came."""

    write_scope = Scope.MANAGE

    def list(self, request: ApiRequest, workspace_id: UUID) -> ApiResponse:
        check(self.member, Action.VIEW_WORKSPACE_MEMBERS, workspace_id)
        workspace = find(Workspace.objects.all(), workspace_id)
        places = WorkspaceMembership.objects.select_related("membership").filter(
            workspace=workspace, membership__is_active=True
        )
        members = [place.membership for place in places.order_by("inserted_at", "id")]
        return ApiResponse({"items": user_documents(members)})

    def create(self, request: ApiRequest, workspace_id: UUID) -> ApiResponse:
        """Lets a user in. An unknown user is a broken rule (422), not a missing page."""
        body = self.read_body(WorkspaceUserCreate)
        check(self.member, Action.ADD_WORKSPACE_MEMBERS, workspace_id)
        workspace = find(Workspace.objects.all(), workspace_id)
        member = Membership.objects.active().filter(pk=body.user_id).first()
        if member is None:
            raise InvalidError(f"User with id `{body.user_id}` not found")
        add_workspace_member(workspace=workspace, member=member)
        return ApiResponse(user_documents([member])[0], status=201)

    def destroy(self, request: ApiRequest, workspace_id: UUID, user_id: UUID) -> ApiResponse:
        """Takes a user out; here the look-up comes first."""
        place = (
            WorkspaceMembership.objects.select_related("workspace")
            .filter(workspace=workspace_id, membership=user_id, membership__is_active=True)
            .first()
        )
        if place is None:
            raise NotFoundError(
                f"WorkspaceUser not found filtering by workspace_id={workspace_id},"
                f" user_id={user_id}"
            )
        check(self.member, Action.REMOVE_WORKSPACE_MEMBERS, workspace_id)
        member = remove_workspace_member(workspace=place.workspace, member_id=user_id)
        return ApiResponse(user_documents([member])[0])


urlpatterns = [
    path("me/workspaces", MyWorkspaces.as_view()),
    path("users/<user_id>/workspaces", UserWorkspaces.as_view()),
    path("workspaces", Workspaces.as_view({"post": "create"})),
    path(
        "workspaces/<workspace_id>",
        Workspaces.as_view({"get": "retrieve", "delete": "destroy"}),
    ),
    path(
        "workspaces/<workspace_id>/users",
        WorkspaceUsers.as_view({"get": "list", "post": "create"}),
    ),
    path(
        "workspaces/<workspace_id>/users/<user_id>",
        WorkspaceUsers.as_view({"delete": "destroy"}),
    ),
]
