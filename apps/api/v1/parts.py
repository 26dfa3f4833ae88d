"""What fields, questions, metadata properties and vector settings share on the wire."""

from typing import Annotated, Any, TypeAlias, TypeVar
from uuid import UUID

from django.db.models import QuerySet
from pydantic import StringConstraints

from apps.api.lookup import find
from apps.datasets.models import Field, MetadataProperty, Question, VectorSettings
from apps.organizations.models import Membership
from apps.workspaces.permissions import Action, check

_Part = TypeVar("_Part", Field, Question, MetadataProperty, VectorSettings)

Name: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Title: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=500)]


def find_part(rows: QuerySet[_Part], member: Membership, id: UUID, action: Action) -> _Part:
    """The part with its dataset, if the member may do ``action`` there. Two queries."""
    part = find(rows.select_related("dataset"), id)
    check(member, action, part.dataset.workspace_id)
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
