"""How results are stored: as metadata and suggestions of records, or as drafts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from apps.annotation.ingest import log_records
from apps.core.errors import InvalidError
from apps.datasets import content
from apps.drafts.inputs import Origin
from apps.pipelines.history import keep_suggestions
from apps.pipelines.parsers import Answer
from apps.pipelines.recipes.base import Context, Usage
from apps.records.inputs import RecordInput
from apps.records.models import Record


@dataclass(frozen=True, slots=True)
class Mark:
    """What is noted on a record: metadata, and answers by question name.

    Answers are kept as ``history.keep_suggestions`` does, which asks the recipe's parameters
    whether to ``overwrite``.
    """

    record_id: UUID
    usage: Usage
    metadata: Mapping[str, Any] = field(default_factory=dict)
    answers: Mapping[str, Answer] = field(default_factory=dict)


def origin_of(context: Context, recipe: str) -> Origin:
    """Who writes the run's drafts."""
    version = context.prompt.version_id
    return Origin(context.job_id, recipe, context.agent, version)


def mark_records(context: Context, marks: Sequence[Mark]) -> None:
    """Add to the records' metadata and suggestions; other keys and questions stay as they are.

    Records that are gone are passed over. Doing it again changes nothing.
    """
    for name in sorted({name for mark in marks for name in mark.answers}):
        answers = {m.record_id: (m.answers[name], m.usage) for m in marks if name in m.answers}
        keep_suggestions(context=context, rule=context.schema.questions[name], answers=answers)
    noted = {mark.record_id: mark for mark in marks}
    rows = Record.objects.select_for_update(of=("self",)).filter(
        dataset=context.dataset, id__in=noted
    )
    items = [
        RecordInput(
            id=record.id,
            external_id=record.external_id,
            metadata={**(record.metadata or {}), **noted[record.id].metadata},
        )
        for record in rows.in_order()
        if noted[record.id].metadata
    ]
    if items:
        log_records(dataset=context.dataset, items=items, schema=context.schema)


def check_metadata(context: Context, samples: Mapping[str, Any]) -> None:
    """Raise ``InvalidError`` where the dataset would not take such metadata; samples by name."""
    for name, value in samples.items():
        property = context.schema.properties.get(name)
        if property is None and not context.dataset.allow_extra_metadata:
            raise InvalidError(
                f"The dataset takes no undeclared metadata: declare {name!r}, or allow it."
            )
        if property is not None and not content.suits(property, value):
            raise InvalidError(f"The metadata property {name!r} cannot hold what this writes.")
