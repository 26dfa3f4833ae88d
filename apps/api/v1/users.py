"""Users, which are the members of the caller's organization.

A key is shown once, in the answer that creates its user; later answers carry its first letters.
A reviewer is reported as an annotator, the nearest role that clients know, and says so in the
extra key ``stoneware_role``.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

from django.urls import path
from pydantic import StringConstraints
from rest_framework.response import Response as ApiResponse

from apps.annotation.handover import let_go
from apps.api.auth import HEADER
from apps.api.lookup import find
from apps.api.views import LEFT_OUT, ApiRequest, ApiView, ApiViewSet, Schema
from apps.organizations.models import ApiKey, Membership, Role, Scope
from apps.organizations.services import create_api_key, create_member, update_member
from apps.workspaces.permissions import Action, check

FirstName: TypeAlias = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)
]
Name: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Password: TypeAlias = Annotated[str, StringConstraints(min_length=8, max_length=100)]
WireRole: TypeAlias = Literal["owner", "admin", "annotator"]


class UserCreate(Schema):
    id: UUID | None = None
    first_name: FirstName
    last_name: Name | None = None
    username: Name
    role: WireRole | None = None
    stoneware_role: Role | None = None
    password: Password

    def values(self) -> dict[str, Any]:
        """What ``create_member`` takes."""
        role = self.stoneware_role or self.role or Role.ANNOTATOR
        return {**self.model_dump(exclude={"role", "stoneware_role"}), "role": role}


class UserUpdate(Schema):
    first_name: FirstName = LEFT_OUT
    last_name: Name | None = None
    username: Name = LEFT_OUT
    role: WireRole = LEFT_OUT
    stoneware_role: Role = LEFT_OUT
    password: Password = LEFT_OUT

    def changes(self, member: Membership) -> dict[str, Any]:
        """The keys that were sent. A reviewer who is saved as read, an annotator, stays one."""
        changes = self.model_dump(exclude_unset=True)
        role = changes.pop("stoneware_role", None)
        if role:
            changes["role"] = role
        elif changes.get("role") == wire_role(member):
            del changes["role"]
        return changes


def wire_role(member: Membership) -> str:
    """The role in the client's closed list."""
    return Role.ANNOTATOR.value if member.role == Role.REVIEWER else member.role


def user_document(member: Membership, *, api_key: str) -> dict[str, Any]:
    """A User object; ``api_key`` is masked unless it was just issued.

    A nameless member is called by the username: clients send back what they read, and an empty
    name is refused.
    """
    return {
        "id": member.id,
        "first_name": member.first_name or member.username,
        "last_name": member.last_name or None,
        "username": member.username,
        "role": wire_role(member),
        "stoneware_role": member.role,
        "api_key": api_key,
        "inserted_at": member.inserted_at,
        "updated_at": member.updated_at,
    }


def user_documents(members: Iterable[Membership]) -> list[dict[str, Any]]:
    """User objects with their newest key masked, "" for none. One query for the keys."""
    members = list(members)
    keys = ApiKey.objects.filter(membership__in=members, revoked_at=None).order_by("id")
    prefixes = dict(keys.values_list("membership_id", "prefix"))
    return [
        user_document(member, api_key=masked(prefixes.get(member.id, ""))) for member in members
    ]


def masked(key: str) -> str:
    """Enough of a key to recognise it: ``sw_abcd…``."""
    return f"{key[:7]}…" if key else ""


class Me(ApiView):
    def get(self, request: ApiRequest) -> ApiResponse:
        """The caller, with the key that was used; with a bearer token the newest one."""
        if request.auth.key_id is None:
            return ApiResponse(user_documents([self.member])[0])
        return ApiResponse(user_document(self.member, api_key=masked(request.headers[HEADER])))


class Users(ApiViewSet):
    """Members; for owners only."""

    write_scope = Scope.MANAGE

    def list(self, request: ApiRequest) -> ApiResponse:
        check(self.member, Action.MANAGE_MEMBERS)
        members = Membership.objects.active().order_by("inserted_at", "id")
        return ApiResponse({"items": user_documents(members)})

    def create(self, request: ApiRequest) -> ApiResponse:
        """The new user with a key, which is never shown again."""
        body = self.read_body(UserCreate)
        check(self.member, Action.MANAGE_MEMBERS)
        member = create_member(**body.values())
        _, key = create_api_key(member=member)
        return ApiResponse(user_document(member, api_key=key), status=201)

    def retrieve(self, request: ApiRequest, user_id: UUID) -> ApiResponse:
        check(self.member, Action.MANAGE_MEMBERS)
        return self._answer(find(Membership.objects.active(), user_id))

    def update(self, request: ApiRequest, user_id: UUID) -> ApiResponse:
        body = self.read_body(UserUpdate)
        member = find(Membership.objects.active(), user_id)
        check(self.member, Action.MANAGE_MEMBERS)
        return self._answer(update_member(member=member, changes=body.changes(member)))

    def destroy(self, request: ApiRequest, user_id: UUID) -> ApiResponse:
        """The user as it was; the answers stay, under a pseudonym."""
        member = find(Membership.objects.active(), user_id)
        check(self.member, Action.MANAGE_MEMBERS)
        answer = self._answer(member)
        let_go(actor=self.member, member=member, heir=None)
        return answer

    def _answer(self, member: Membership) -> ApiResponse:
        return ApiResponse(user_documents([member])[0])


urlpatterns = [
    path("me", Me.as_view()),
    path("users", Users.as_view({"get": "list", "post": "create"})),
    path(
        "users/<user_id>",
        Users.as_view({"get": "retrieve", "patch": "update", "delete": "destroy"}),
    ),
]
