"""Logging predictions: stored once, counted, and routed to people by the monitor's rules."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Count
from django.db.models.functions import TruncDate
from django.utils import timezone

from apps.annotation.ingest import log_records
from apps.core.errors import DomainError, InvalidError, LimitReachedError
from apps.core.ids import uuid7s
from apps.core.prepared import raw_cursor
from apps.core.tenancy import current
from apps.datasets import content
from apps.datasets.models import QuestionType
from apps.datasets.schema import DatasetSchema, QuestionRule, load_schema
from apps.datasets.values import clean_value, says_same
from apps.monitoring.models import Monitor, Prediction, Routed
from apps.quality.embeddings import MAX_CHARACTERS, embed
from apps.quality.few_shot import restore
from apps.quality.head import propose
from apps.quality.models import TrainedHead
from apps.records.inputs import RecordInput, SuggestionInput
from apps.records.models import SuggestionType
from apps.records.text import searchable_text

MOST: Final = 500  # predictions a call
MAX_EXTERNAL_ID: Final = 400
SLACK: Final = timedelta(hours=1)  # how far another machine's clock may be ahead
BINS: Final = 10
NO_SCORE: Final = -1
EACH: Final = -2  # the bin of the row that counts predictions, whatever their labels


@dataclass(slots=True)
class PredictionInput:
    """A prediction as it comes in; ``predicted_at`` None is now."""

    external_id: str
    fields: Mapping[str, Any]
    value: Any
    score: float | None = None
    model: str = ""
    predicted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Logged:
    """What became of a call's predictions: new ones, those known before, why some were routed.

    ``is_full`` tells that people could not be asked: the plan takes no more records.
    """

    created: int
    known: int
    routed: Mapping[str, int] = field(default_factory=dict)
    is_full: bool = False


_INSERT: Final = """
INSERT INTO prediction (organization_id, id, inserted_at, monitor_id, dataset_id, external_id,
    fields, value, score, model, predicted_at, routed)
SELECT %(o)s, id, %(now)s, %(m)s, %(d)s, external_id, fields::jsonb, value::jsonb, score, model,
    predicted_at, 'no'
FROM unnest(%(ids)s::uuid[], %(external_ids)s::text[], %(fields)s::text[], %(values)s::text[],
    %(scores)s::float8[], %(models)s::text[], %(times)s::timestamptz[])
    AS given (id, external_id, fields, value, score, model, predicted_at)
ORDER BY external_id
ON CONFLICT (organization_id, monitor_id, external_id) DO NOTHING
RETURNING external_id
"""
_COUNT: Final = """
INSERT INTO prediction_count AS c (organization_id, monitor_id, day, model, label, bin, n)
SELECT %(o)s, %(m)s, day, model, label, bin, n
FROM unnest(%(days)s::date[], %(models)s::text[], %(labels)s::text[], %(bins)s::int[],
    %(counts)s::int[]) AS given (day, model, label, bin, n)
ORDER BY day, model, label, bin
ON CONFLICT (organization_id, monitor_id, day, model, label, bin) DO UPDATE SET n = c.n + excluded.n
"""
_MARK: Final = """
UPDATE prediction p SET routed = given.reason, record_id = given.record_id
FROM unnest(%(external_ids)s::text[], %(reasons)s::text[], %(records)s::uuid[])
    AS given (external_id, reason, record_id)
WHERE p.organization_id = %(o)s AND p.monitor_id = %(m)s AND p.external_id = given.external_id
"""


@transaction.atomic
def log_predictions(*, monitor: Monitor, items: Sequence[PredictionInput]) -> Logged:
    """Store the predictions that are not known by their ``external_id`` yet; all or nothing.

    Those that a rule picks become records with the prediction as suggestion, for people to
    answer. Raises ``InvalidError`` naming the first bad position. A fixed number of statements.
    """
    schema = load_schema(monitor.dataset)
    rule = schema.questions_by_id[monitor.question_id]
    _check(monitor, schema, rule, items)
    created = _insert(monitor, items)
    new = [item for item in items if item.external_id in created]
    _count(monitor, rule, new)
    chosen = _within_limit(monitor, _choose(monitor, schema, rule, new))
    try:
        _route(monitor, schema, rule, chosen)
    except LimitReachedError:
        return Logged(len(new), len(items) - len(new), is_full=True)
    reasons = Counter(str(reason) for _, reason in chosen)
    return Logged(len(new), len(items) - len(new), dict(reasons))


def _check(
    monitor: Monitor, schema: DatasetSchema, rule: QuestionRule, items: Sequence[PredictionInput]
) -> None:
    """Bring the predictions into stored form."""
    if len(items) > MOST:
        raise InvalidError(f"A call takes at most {MOST} predictions.")
    if len({item.external_id for item in items}) < len(items):
        raise InvalidError("An external_id occurs twice.")
    now = timezone.now()
    oldest = now - timedelta(days=monitor.keep_days)
    for position, item in enumerate(items):
        try:
            _check_one(schema, rule, item)
            # Compared before it is converted: the ends of time have no UTC. Days are UTC's.
            at = item.predicted_at or now
            if not oldest <= at <= now + SLACK:
                raise InvalidError(f"predicted_at is not of the last {monitor.keep_days} days")
            item.predicted_at = at.astimezone(UTC)
        except DomainError as error:
            raise InvalidError(
                f"Prediction at position {position} is not valid because {error.message}"
            ) from error


def _check_one(schema: DatasetSchema, rule: QuestionRule, item: PredictionInput) -> None:
    if not 1 <= len(item.external_id) <= MAX_EXTERNAL_ID:
        raise InvalidError(f"external_id must have 1 to {MAX_EXTERNAL_ID} characters")
    if item.score is not None and not 0 <= item.score <= 1:
        raise InvalidError("score must lie between 0 and 1")
    item.fields = content.clean_fields(schema, item.fields)
    item.value = clean_value(rule, item.value, item.fields, complete=True)


def _insert(monitor: Monitor, items: Sequence[PredictionInput]) -> set[str]:
    """Store what is new; returns its external ids."""
    facts = {
        "o": current(),
        "m": monitor.question_id,
        "d": monitor.dataset_id,
        "now": timezone.now(),
        "ids": uuid7s(len(items)),
        "external_ids": [item.external_id for item in items],
        "fields": [json.dumps(item.fields, ensure_ascii=False) for item in items],
        "values": [json.dumps(item.value, ensure_ascii=False) for item in items],
        "scores": [item.score for item in items],
        "models": [item.model for item in items],
        "times": [item.predicted_at for item in items],
    }
    return {row[0] for row in raw_cursor().execute(_INSERT, facts)}


# --- Counting ------------------------------------------------------------------------------------
def labels_of(rule: QuestionRule, value: Any) -> list[str]:
    """What an answer counts for; one empty label where answers are no labels."""
    if rule.type in {QuestionType.LABEL, QuestionType.RATING}:
        return [str(value)]
    if rule.type == QuestionType.MULTI_LABEL:
        return [str(label) for label in value]
    if rule.type == QuestionType.SPAN:
        return sorted({str(span["label"]) for span in value})
    return [""]


def as_value(rule: QuestionRule, label: str) -> Any:
    """An answer that says the label and nothing else."""
    if rule.type == QuestionType.MULTI_LABEL:
        return [label]
    if rule.type == QuestionType.SPAN:
        return [{"label": label, "start": 0, "end": 0}]
    return label


def bin_of(score: float | None) -> int:
    """0 to 9, the last with both its ends; ``NO_SCORE`` for none."""
    return NO_SCORE if score is None else min(int(score * BINS), BINS - 1)


def _count(monitor: Monitor, rule: QuestionRule, items: Iterable[PredictionInput]) -> None:
    counts: Counter[tuple[Any, str, str, int]] = Counter()
    for item in items:
        day = (item.predicted_at or timezone.now()).date()
        counts[day, item.model, "", EACH] += 1
        counts.update(
            (day, item.model, label[:200], bin_of(item.score))
            for label in labels_of(rule, item.value)
        )
    if counts:
        days, models, labels, bins = zip(*counts, strict=True)
        facts = {"o": current(), "m": monitor.question_id, "days": list(days)}
        facts |= {"models": list(models), "labels": list(labels), "bins": list(bins)}
        raw_cursor().execute(_COUNT, facts | {"counts": list(counts.values())})


# --- Routing -------------------------------------------------------------------------------------
Choice = tuple[PredictionInput, Routed]


def _choose(
    monitor: Monitor, schema: DatasetSchema, rule: QuestionRule, items: Sequence[PredictionInput]
) -> list[Choice]:
    """Chance comes first: only what it alone decides tells how often the model is right."""
    against = _contradicted(monitor, schema, items)
    chosen = []
    for item in items:
        if is_drawn(monitor.question_id, item.external_id, monitor.random_percent):
            chosen.append((item, Routed.RANDOM))
        elif item.score is not None and item.score < (monitor.threshold or 0):
            chosen.append((item, Routed.SCORE))
        elif item.external_id in against:
            chosen.append((item, Routed.HEAD))
    return chosen


def is_drawn(monitor_id: UUID, external_id: str, percent: float) -> bool:
    """Whether chance picks the prediction: the same whenever it is asked."""
    digest = hashlib.sha256(monitor_id.bytes + external_id.encode()).digest()
    return int.from_bytes(digest[:8]) < percent / 100 * 2**64


def _contradicted(
    monitor: Monitor, schema: DatasetSchema, items: Sequence[PredictionInput]
) -> set[str]:
    """Where the few-shot head says otherwise; nothing before it is trained."""
    if not monitor.against_head or not items:
        return set()
    trained = TrainedHead.objects.filter(question=monitor.question_id).first()
    if trained is None:
        return set()
    texts = [searchable_text(item.fields, schema.fields)[:MAX_CHARACTERS] for item in items]
    proposals = propose(restore(trained), embed(texts))
    return {
        item.external_id
        for item, proposal in zip(items, proposals, strict=True)
        if not says_same(item.value, proposal.value)
    }


def _within_limit(monitor: Monitor, chosen: Sequence[Choice]) -> list[Choice]:
    """As many as the days have left."""
    if not chosen:
        return []
    # Two calls at once would both see room: they take turns.
    Monitor.objects.select_for_update(of=("self",)).get(question=monitor.question_id)
    first = min(item.predicted_at or timezone.now() for item, _ in chosen)
    start = first.replace(hour=0, minute=0, second=0, microsecond=0)
    rows = Prediction.objects.routed().filter(monitor=monitor, predicted_at__gte=start)
    by_day = rows.values_list(TruncDate("predicted_at", tzinfo=UTC)).annotate(n=Count("id"))
    used = Counter(dict(by_day.order_by()))
    kept = []
    for item, reason in chosen:
        day = (item.predicted_at or timezone.now()).date()
        if used[day] < monitor.daily_limit:
            used[day] += 1
            kept.append((item, reason))
    return kept


@transaction.atomic
def _route(
    monitor: Monitor, schema: DatasetSchema, rule: QuestionRule, chosen: Sequence[Choice]
) -> None:
    if not chosen:
        return
    rows = log_records(
        dataset=monitor.dataset,
        items=[_record(schema, rule, item, reason) for item, reason in chosen],
        schema=schema,
    )
    facts = {
        "o": current(),
        "m": monitor.question_id,
        "external_ids": [item.external_id for item, _ in chosen],
        "reasons": [str(reason) for _, reason in chosen],
        "records": [row.id for row in rows],
    }
    raw_cursor().execute(_MARK, facts)


def _record(
    schema: DatasetSchema, rule: QuestionRule, item: PredictionInput, reason: Routed
) -> RecordInput:
    several = isinstance(item.value, list) and item.score is not None
    suggestion = SuggestionInput(
        question_id=rule.id,
        value=item.value,
        score=[item.score] * len(item.value) if several else item.score,
        agent=item.model or "live",
        type=SuggestionType.MODEL.value,
    )
    open_ = schema.dataset.allow_extra_metadata and "routed" not in schema.properties
    return RecordInput(
        fields=item.fields,
        # Apart from the ids that people gave: a prediction never changes a record of theirs.
        external_id=f"prediction {rule.name[:60]} {item.external_id}"[:500],
        metadata={"routed": str(reason)} if open_ else {},
        suggestions=[suggestion],
    )
