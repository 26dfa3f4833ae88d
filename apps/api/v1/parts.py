"""What fields, questions, metadata properties and vector settings share on the wire."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeAlias, TypeVar
from uuid import UUID

from django.db.models import QuerySet
from pydantic import StringConstraints

from apps.api.etags import IF_MATCH, check_match
from apps.api.lookup import find
from apps.api.views import ApiRequest
from apps.datasets.models import Field, MetadataProperty, Question, VectorSettings
from apps.datasets.services import lock_dataset
from apps.organizations.models import Membership
from apps.workspaces.permissions import Action, check

_Part = TypeVar("_Part", Field, Question, MetadataProperty, VectorSettings)

Name: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Title: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=500)]


def find_part(rows: QuerySet[_Part], member: Membership, id: UUID, action: Action) -> _Part:
    """The part with its dataset, if the member may do ``action`` there. Two queries.

    Nothing is found in the trash.
    """
    part = find(rows.filter(dataset__trashed_at=None).select_related("dataset"), id)
    check(member, action, part.dataset.workspace_id)
    return part


def find_part_to_change(
    request: ApiRequest,
    rows: QuerySet[_Part],
    id: UUID,
    document: Callable[[_Part], Mapping[str, Any]],
) -> _Part:
    """The part, if the caller may change it and ``If-Match`` still names it. Two queries.

    With that header the part is held from here on, which costs two more. Raises
    ``PreconditionFailedError``.
    """
    part = find_part(rows, request.user, id, Action.MANAGE_DATASET)
    if IF_MATCH in request.headers:
        lock_dataset(part.dataset)
        part = find(rows.select_related("dataset"), id)
        check_match(request, document(part))
    return part


def part_document(
    part: Field | Question | MetadataProperty | VectorSettings, **own: object
) -> dict[str, Any]:
    """The keys that every part has, and its ``own``."""
    return {
        "id": part.id,
        "name": part.name,
        "title": part.title,
        **own,
        "dataset_id": part.dataset_id,
        "inserted_at": part.inserted_at,
        "updated_at": part.updated_at,
    }
