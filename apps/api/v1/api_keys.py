"""One's own API keys. The key itself is shown once, in the answer that makes it."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.urls import path
from pydantic import Field, StringConstraints
from rest_framework.response import Response as ApiResponse

from apps.api.lookup import find
from apps.api.v1.users import masked
from apps.api.views import ApiRequest, ApiViewSet, Moment, Schema
from apps.core.errors import NotAllowedError
from apps.organizations.directory import KeyHolder
from apps.organizations.models import ApiKey, Scope
from apps.organizations.services import create_api_key, revoke_api_key


class ApiKeyCreate(Schema):
    """Without ``scopes`` those of the key in use; a time without an offset is UTC."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=100)] = "default"
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(Scope))] | None = None
    expires_at: Moment | None = None


def api_key_document(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "api_key": masked(key.prefix),
        "scopes": key.scopes,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
        "inserted_at": key.inserted_at,
        "updated_at": key.updated_at,
    }


class MyApiKeys(ApiViewSet):
    """Keys that work or have expired; revoked ones are gone."""

    write_scope = Scope.MANAGE

    def list(self, request: ApiRequest) -> ApiResponse:
        keys = ApiKey.objects.filter(membership=self.member, revoked_at=None).order_by("id")
        return ApiResponse({"items": [api_key_document(key) for key in keys]})

    def create(self, request: ApiRequest) -> ApiResponse:
        """A key that may do no more, and works no longer, than the one it is asked for with."""
        body = self.read_body(ApiKeyCreate)
        scopes, expires_at = _within(request.auth, body)
        row, key = create_api_key(
            member=self.member, name=body.name, scopes=scopes, expires_at=expires_at
        )
        return ApiResponse({**api_key_document(row), "api_key": key}, status=201)

    def destroy(self, request: ApiRequest, api_key_id: UUID) -> ApiResponse:
        """The key as it was; it stops working at once."""
        mine = ApiKey.objects.filter(membership=self.member, revoked_at=None)
        row = find(mine, api_key_id)
        revoke_api_key(key_id=row.id)
        return ApiResponse(api_key_document(row))


def _within(holder: KeyHolder, body: ApiKeyCreate) -> tuple[frozenset[str], datetime | None]:
    """Scopes and end of the new key. Raises ``NotAllowedError`` beyond those of the holder's."""
    scopes = frozenset(scope.value for scope in body.scopes) if body.scopes else holder.scopes
    if not scopes <= holder.scopes:
        raise NotAllowedError("A key cannot be given scopes that the key in use lacks")
    end = body.expires_at
    if holder.expires_at is not None and (end is None or end > holder.expires_at):
        if body.expires_at is not None:
            raise NotAllowedError("A key cannot outlive the key in use")
        end = holder.expires_at
    return scopes, end


urlpatterns = [
    path("me/api-keys", MyApiKeys.as_view({"get": "list", "post": "create"})),
    path("me/api-keys/<api_key_id>", MyApiKeys.as_view({"delete": "destroy"})),
]
