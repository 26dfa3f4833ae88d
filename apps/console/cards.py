"""Answers of a model as cards: beside what people answered, or what was suggested before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from apps.datasets.schema import DatasetSchema, QuestionRule
from apps.jobs.models import Job
from apps.labeling.review_values import Shown, show_value
from apps.pipelines.dry_runs import dry_run_items
from apps.pipelines.models import DryRunItem
from apps.pipelines.reprompt import Change, changes_of
from apps.quality.measures.report import is_right, score
from apps.records.models import Record
from apps.records.text import searchable_text

LONGEST = 240  # characters of a record in a card


@dataclass(frozen=True, slots=True)
class Card:
    """``state``: waiting, failed, answered, or beside another answer: same, differs."""

    seq: int
    state: str
    record_id: UUID | None = None
    text: str = ""
    answer: Shown | None = None
    other: Shown | None = None
    confidence: float | None = None
    why: str = ""
    error: str = ""
    calls: Sequence[Mapping[str, Any]] = ()
    tokens: int = 0
    usd: Decimal = Decimal(0)
    from_cache: bool = False


@dataclass
class Preview:
    """A dry run as far as it is: one card an item, those to come at the end."""

    job: Job
    cards: list[Card] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        return not self.job.has_ended

    @property
    def done(self) -> list[Card]:
        return [card for card in self.cards if card.state != "waiting"]

    @property
    def same(self) -> int:
        return sum(card.state == "same" for card in self.cards)

    @property
    def compared(self) -> int:
        return self.same + self.differing

    @property
    def differing(self) -> int:
        return sum(card.state == "differs" for card in self.cards)

    @property
    def cached(self) -> int:
        return sum(card.from_cache for card in self.cards)

    @property
    def tokens(self) -> int:
        return sum(card.tokens for card in self.cards)

    @property
    def usd(self) -> Decimal:
        return sum((card.usd for card in self.cards), Decimal(0))


def preview_of(job: Job, schema: DatasetSchema) -> Preview:
    """The dry run's answers beside those of people. Two queries."""
    rule = _rule(job, schema)
    items = dry_run_items(job)
    fields = _fields(items)
    cards = [
        _card(item, rule, schema, fields, other=item.gold, has_other=item.gold is not None)
        for item in items
    ]
    return Preview(job, _with_waiting(job, cards))


def changes_in(job: Job, schema: DatasetSchema) -> Preview:
    """The dry run's answers beside the present suggestions. Three queries."""
    rule = _rule(job, schema)
    changes = changes_of(job)
    fields = _fields([change.item for change in changes])
    cards = [_changed(change, rule, schema, fields) for change in changes]
    return Preview(job, _with_waiting(job, cards))


def _rule(job: Job, schema: DatasetSchema) -> QuestionRule | None:
    question_id = job.params.get("question_id")
    return schema.questions_by_id.get(UUID(question_id)) if question_id else None


def _changed(
    change: Change,
    rule: QuestionRule | None,
    schema: DatasetSchema,
    fields: Mapping[UUID, Mapping[str, Any]],
) -> Card:
    had = change.before_agent is not None or change.before is not None
    return _card(change.item, rule, schema, fields, other=change.before, has_other=had)


def _card(
    item: DryRunItem,
    rule: QuestionRule | None,
    schema: DatasetSchema,
    fields: Mapping[UUID, Mapping[str, Any]],
    *,
    other: Any,
    has_other: bool,
) -> Card:
    shown = item.shown or {}
    given = fields.get(item.record_id, {}) if item.record_id else {}
    value = shown.get("value")
    return Card(
        seq=item.seq,
        state=_state(item, rule, value, other, has_other),
        record_id=item.record_id,
        text=searchable_text(given, schema.fields)[:LONGEST],
        answer=None if rule is None or value is None else show_value(rule, value, given),
        other=show_value(rule, other, given) if rule is not None and has_other else None,
        confidence=shown.get("confidence"),
        why=shown.get("rationale") or "",
        error=item.error,
        calls=item.calls,
        tokens=item.prompt_tokens + item.completion_tokens,
        usd=item.usd,
        from_cache=item.from_cache,
    )


def _state(
    item: DryRunItem, rule: QuestionRule | None, value: Any, other: Any, has_other: bool
) -> str:
    if item.error or value is None:
        return "failed"
    if rule is None or not has_other:
        return "answered"
    return "same" if is_right(rule, score(rule, other, value)) else "differs"


def _with_waiting(job: Job, cards: Sequence[Card]) -> list[Card]:
    """With places for what is still to come; without them once the job has ended."""
    if job.has_ended:
        return list(cards)
    expected = int((job.params.get("estimate") or {}).get("items", 0))
    there = {card.seq: card for card in cards}
    places = sorted({*there, *range(expected)})
    return [there.get(seq) or Card(seq=seq, state="waiting") for seq in places]


def _fields(items: Sequence[DryRunItem]) -> dict[UUID, Mapping[str, Any]]:
    ids = [item.record_id for item in items if item.record_id]
    return dict(Record.objects.filter(id__in=ids).values_list("id", "fields"))
