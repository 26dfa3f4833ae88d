"""How results are stored: as metadata and suggestions of records, or as drafts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from apps.annotation.ingest import log_records
from apps.core.errors import InvalidError
from apps.datasets import content
from apps.drafts.inputs import Origin
from apps.pipelines.history import Said, keep_suggestions
from apps.pipelines.parsers import Answer
from apps.pipelines.recipes.base import Context, Usage
from apps.quality.head import Proposal
from apps.records.inputs import RecordInput
from apps.records.models import Record


@dataclass(frozen=True, slots=True)
class Mark:
    """What is noted on a record: metadata, and suggestions by question name."""

    record_id: UUID
    usage: Usage
    metadata: Mapping[str, Any] = field(default_factory=dict)
    answers: Mapping[str, Answer] = field(default_factory=dict)


def origin_of(context: Context, recipe: str) -> Origin:
    """Who writes the run's drafts."""
    if context.job_id is None:
        raise InvalidError("Only a job writes drafts.")
    return Origin(context.job_id, recipe, context.agent, context.prompt.version_id)


def mark_records(context: Context, marks: Sequence[Mark]) -> None:
    """Add to the records' metadata and suggestions; other keys and questions stay as they are.

    Records that are gone are passed over. Suggestions of other agents are replaced where the
    recipe's parameters say ``overwrite``. Doing it again changes nothing.
    """
    for name in sorted({name for mark in marks for name in mark.answers}):
        said = {m.record_id: _said(m.answers[name], m.usage) for m in marks if name in m.answers}
        rule, overwrite = context.schema.questions[name], context.params.overwrite
        keep_suggestions(context=context, rule=rule, said=said, overwrite=overwrite)
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


def _said(answer: Answer, usage: Usage) -> Said:
    return Said(Proposal(answer.value, answer.score), usage, answer.rationale)


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
