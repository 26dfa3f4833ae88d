"""Datasets, records and responses as webhooks tell of them: each with what it belongs to.

Receivers are an owner's, who sees everything. A page costs a fixed number of queries.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from apps.annotation.models import Response
from apps.api import wire
from apps.api.v1.datasets import dataset_document
from apps.api.v1.fields import field_document
from apps.api.v1.metadata_properties import property_document
from apps.api.v1.questions import question_document
from apps.api.v1.record_json import record_json, response_json
from apps.api.v1.users import user_document
from apps.api.v1.vectors_settings import vector_settings_document
from apps.api.v1.workspaces import workspace_document
from apps.datasets.models import Dataset, Field, MetadataProperty, Question, VectorSettings
from apps.monitoring.models import Monitor
from apps.organizations.models import Membership
from apps.records.models import Record

Document = dict[str, Any]


def dataset_documents(ids: Sequence[UUID]) -> Mapping[UUID, bytes]:
    """Datasets with their workspace and parts, as JSON."""
    return _written(_datasets(ids))


def record_documents(ids: Sequence[UUID]) -> Mapping[UUID, bytes]:
    """Records with their dataset, as JSON."""
    return _written(_records(Record.objects.filter(id__in=ids)))


def response_documents(ids: Sequence[UUID]) -> Mapping[UUID, bytes]:
    """Responses with their author and record, as JSON."""
    responses = list(Response.objects.filter(id__in=ids).select_related("record", "user"))
    records = _records(response.record for response in responses)
    return _written(
        {
            response.id: {
                **_without(response_json(response), "record_id", "user_id"),
                "record": records[response.record_id],
                "user": _user(response.user),
            }
            for response in responses
        }
    )


def monitor_documents(ids: Sequence[UUID]) -> Mapping[UUID, bytes]:
    """Monitors, by their question's id, with that question and its dataset, as JSON."""
    monitors = list(Monitor.objects.filter(question__in=ids).select_related("question"))
    datasets = _datasets({monitor.dataset_id for monitor in monitors})
    return _written(
        {
            monitor.question_id: {
                "answers": monitor.answers,
                "retrain_every": monitor.retrain_every,
                "question": _without(question_document(monitor.question), "dataset_id"),
                "dataset": datasets[monitor.dataset_id],
            }
            for monitor in monitors
        }
    )


def _written(documents: Mapping[UUID, Document]) -> Mapping[UUID, bytes]:
    return {id: wire.write(document) for id, document in documents.items()}


def _records(records: Iterable[Record]) -> dict[UUID, Document]:
    found = list(records)
    datasets = _datasets({record.dataset_id for record in found})
    return {
        record.id: {
            **_without(record_json(record), "dataset_id"),
            "dataset": datasets[record.dataset_id],
        }
        for record in found
    }


def _datasets(ids: Iterable[UUID]) -> dict[UUID, Document]:
    found = Dataset.objects.filter(id__in=list(ids)).with_last_answer()
    datasets = list(found.select_related("workspace"))
    fields = _parts(Field.objects.filter(dataset__in=datasets), field_document)
    questions = _parts(Question.objects.filter(dataset__in=datasets), question_document)
    properties = _parts(MetadataProperty.objects.filter(dataset__in=datasets), property_document)
    vectors = _parts(VectorSettings.objects.filter(dataset__in=datasets), vector_settings_document)
    return {
        dataset.id: {
            **_without(dataset_document(dataset), "workspace_id"),
            "workspace": workspace_document(dataset.workspace),
            "fields": fields[dataset.id],
            "questions": questions[dataset.id],
            "metadata_properties": properties[dataset.id],
            "vectors_settings": vectors[dataset.id],
        }
        for dataset in datasets
    }


def _parts(
    rows: "QuerySet[Any]", document: Callable[[Any], Document]
) -> Mapping[UUID, list[Document]]:
    """The parts' documents by dataset, in the order in which they are shown."""
    grouped: Mapping[UUID, list[Document]] = defaultdict(list)
    for part in rows.order_by("inserted_at", "id"):
        grouped[part.dataset_id].append(_without(document(part), "dataset_id"))
    return grouped


def _user(member: Membership) -> Document:
    return _without(user_document(member, api_key=""), "api_key")


def _without(document: Document, *keys: str) -> Document:
    return {key: value for key, value in document.items() if key not in keys}
