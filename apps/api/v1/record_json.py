"""Records as JSON, with the relations that were asked for and no others."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.annotation.models import Response
from apps.core.errors import InvalidError
from apps.core.prepared import fetch
from apps.datasets.models import Dataset
from apps.datasets.schema import DatasetSchema, load_schema
from apps.datasets.values import Vector
from apps.organizations.models import Membership, Role
from apps.records.bulk import UpsertedRecord
from apps.records.models import Record, RecordStatus, RecordVector, Suggestion
from apps.workspaces.permissions import role_in


@dataclass(frozen=True, slots=True)
class Include:
    """Which relations to load; ``vectors`` None means none, an empty set all of them."""

    responses: bool = False
    suggestions: bool = False
    vectors: frozenset[str] | None = None


EVERYTHING = Include(responses=True, suggestions=True, vectors=frozenset())


def parse_include(given: Iterable[str]) -> Include:
    """``responses``, ``suggestions``, ``vectors``, ``vectors:a,b``; repeated or comma-joined."""
    responses = suggestions = every_vector = False
    names: set[str] = set()
    for text in given:
        if text.startswith("vectors:"):
            names |= {name for name in text.removeprefix("vectors:").split(",") if name}
            continue
        for key in filter(None, text.split(",")):
            if key.startswith("vectors:"):
                names.add(key.removeprefix("vectors:"))
            elif key == "responses":
                responses = True
            elif key == "suggestions":
                suggestions = True
            elif key == "vectors":
                every_vector = True
            else:
                raise InvalidError(f"Invalid include param: {key!r} is not a relation of records")
    if every_vector and names:
        raise InvalidError("`include` query param cannot have both 'vectors' and 'vectors:names'")
    vectors = frozenset(names) if names or every_vector else None
    return Include(responses, suggestions, vectors)


@dataclass(frozen=True, slots=True)
class Viewer:
    """What the caller may see of records: an annotator only their own answers and the metadata
    that is shown to annotators. ``own_responses``: others may, but ask for their own ones only."""

    member: Membership
    dataset: Dataset
    sees_everything: bool
    shown_metadata: frozenset[str] = frozenset()
    own_responses: bool = True

    @classmethod
    def of(cls, member: Membership, dataset: Dataset, *, own_responses: bool = False) -> "Viewer":
        if role_in(member, dataset.workspace_id) != Role.ANNOTATOR:
            return cls(member, dataset, sees_everything=True, own_responses=own_responses)
        properties = load_schema(dataset).properties.values()
        shown = frozenset(p.name for p in properties if p.visible_for_annotators)
        return cls(member, dataset, sees_everything=False, shown_metadata=shown)

    def metadata(self, metadata: Any) -> Any:
        if self.sees_everything or not isinstance(metadata, dict):
            return metadata
        return {name: value for name, value in metadata.items() if name in self.shown_metadata}


def record_json(record: Record, viewer: Viewer | None = None) -> dict[str, Any]:
    """A record without its relations."""
    return {
        "id": record.id,
        "status": record.status,
        "fields": record.fields,
        "metadata": viewer.metadata(record.metadata) if viewer else record.metadata,
        "external_id": record.external_id,
        "dataset_id": record.dataset_id,
        "inserted_at": record.inserted_at,
        "updated_at": record.updated_at,
    }


def records_json(
    records: Sequence[Record], include: Include, viewer: Viewer
) -> list[dict[str, Any]]:
    """Records with relations: one query a relation, however many records."""
    ids = [record.id for record in records]
    result = [record_json(record, viewer) for record in records]
    if not ids:
        return result
    if include.responses:
        _attach(result, "responses", _responses(ids, viewer))
    if include.suggestions:
        _attach(result, "suggestions", _suggestions(ids))
    if include.vectors is not None:
        vectors = _vectors(ids, include.vectors, load_schema(viewer.dataset))
        for item in result:
            item["vectors"] = vectors.get(item["id"], {})
    return result


def _attach(result: list[dict[str, Any]], key: str, rows: Mapping[UUID, list[Any]]) -> None:
    for item in result:
        item[key] = rows.get(item["id"], [])


def response_json(response: Response) -> dict[str, Any]:
    return {
        "id": response.id,
        "values": response.values,
        "status": response.status,
        "record_id": response.record_id,
        "user_id": response.user_id,
        "inserted_at": response.inserted_at,
        "updated_at": response.updated_at,
    }


def _responses(ids: list[UUID], viewer: Viewer) -> Mapping[UUID, list[Any]]:
    rows = Response.objects.filter(record_id__in=ids).order_by("id")
    if viewer.own_responses:
        rows = rows.filter(user=viewer.member)
    grouped = defaultdict(list)
    for response in rows:
        grouped[response.record_id].append(response_json(response))
    return grouped


def suggestion_json(suggestion: Suggestion) -> dict[str, Any]:
    return {
        "id": suggestion.id,
        "question_id": suggestion.question_id,
        "type": suggestion.type,
        "value": suggestion.value,
        "agent": suggestion.agent,
        "score": suggestion.score,
        "inserted_at": suggestion.inserted_at,
        "updated_at": suggestion.updated_at,
    }


def _suggestions(ids: list[UUID]) -> Mapping[UUID, list[Any]]:
    grouped = defaultdict(list)
    for suggestion in fetch(Suggestion, "record_id = ANY(%(ids)s) ORDER BY id", ids=ids):
        grouped[suggestion.record_id].append(suggestion_json(suggestion))
    return grouped


def _vectors(
    ids: list[UUID], names: frozenset[str], schema: DatasetSchema
) -> dict[UUID, dict[str, Vector]]:
    wanted = {v.id: name for name, v in schema.vectors.items() if not names or name in names}
    grouped: dict[UUID, dict[str, Vector]] = defaultdict(dict)
    rows = RecordVector.objects.filter(settings_id__in=wanted, record_id__in=ids)
    for record_id, settings_id, embedding in rows.values_list(
        "record_id", "settings_id", "embedding"
    ):
        grouped[record_id][wanted[settings_id]] = embedding
    return grouped


def inserted_json(row: UpsertedRecord, dataset_id: str, now: str) -> dict[str, Any]:
    """A record that was just inserted, built from what came in; it has no responses.

    Times are written as text here: hundreds share them, and the encoder need not ask.
    """
    return {
        "id": row.id,
        "status": RecordStatus.PENDING.value,
        "fields": row.fields,
        "metadata": row.metadata,
        "external_id": row.external_id,
        "dataset_id": dataset_id,
        "inserted_at": now,
        "updated_at": now,
        "responses": [],
        "suggestions": [
            {
                "id": id,
                "question_id": given.question_id,
                "type": given.type,
                "value": given.value,
                "agent": given.agent,
                "score": given.score,
                "inserted_at": now,
                "updated_at": now,
            }
            for id, given in row.suggestions
        ],
        "vectors": row.vectors,
    }
