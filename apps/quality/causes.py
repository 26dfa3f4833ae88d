"""Why records deserve a reviewer's look, derived from the rows themselves.

Only completed records without a decision are looked at, and none that was sent back and waits for
its author; a flag counts always. Causes are replaced, never added to, so they cannot drift.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import numpy as np
from django.db.models import Exists, OuterRef, Q
from django.db.models.fields.json import KeyTransform

from apps.annotation.models import Response, ResponseStatus
from apps.core.ids import uuid7s
from apps.core.prepared import raw_cursor
from apps.core.tenancy import current
from apps.datasets.models import QuestionType
from apps.datasets.schema import DatasetSchema, QuestionRule
from apps.quality.agreement import LEAST, agreement, disagrees
from apps.quality.consensus import consensus
from apps.quality.dawid_skene import Votes, estimate
from apps.quality.measures import alpha
from apps.quality.models import (
    Adjudication,
    DatasetReview,
    Feedback,
    FeedbackKind,
    Flag,
    ReviewCause,
    ReviewItem,
)
from apps.quality.models import ReviewReason as Reason
from apps.records.models import Record, RecordQuerySet, RecordStatus, Suggestion, SuggestionType

CLASSED: Final = frozenset({QuestionType.LABEL, QuestionType.RATING})
MOST_LEVELS: Final = 7  # ratings of more levels are numbers rather than classes
ANSWERS_A_RECORD: Final = 3  # below these the matrices say nothing, and the majority decides
ANSWERS_A_PERSON: Final = 5
MOST_ANSWERS: Final = 1_000_000  # of one question that the model looks at, the newest
MOST_CELLS: Final = 40_000_000  # answers × classes: 320 MB of floats a matrix


@dataclass(frozen=True, slots=True)
class Cause:
    """A reason for one record; ``score`` is what was found too low."""

    record_id: UUID
    reason: str
    question_id: UUID | None = None
    score: float | None = None


def reviewable(dataset_id: UUID) -> RecordQuerySet:
    """Completed records without a decision that wait for nobody's second answer."""
    decided = Adjudication.objects.filter(record=OuterRef("id"))
    waiting = Feedback.objects.filter(
        Exists(
            Response.objects.filter(
                record=OuterRef("record_id"),
                user=OuterRef("user_id"),
                status=ResponseStatus.DRAFT,
            )
        ),
        record=OuterRef("id"),
        kind=FeedbackKind.RETURNED,
    )
    completed = Record.objects.filter(dataset=dataset_id, status=RecordStatus.COMPLETED)
    return completed.filter(~Exists(decided), ~Exists(waiting))


def known_answers(schema: DatasetSchema, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Question and value of an answer, without questions and options that are gone."""
    for name, answer in values.items():
        rule = schema.questions.get(name)
        if rule is not None and isinstance(answer, Mapping) and "value" in answer:
            value = answer["value"]
            if rule.type not in CLASSED or value in rule.options:
                yield name, value


def is_possible(rule: QuestionRule, value: Any) -> bool:
    """Whether the question still has the options of which the answer is made."""
    if rule.type in CLASSED:
        return value in rule.options
    if rule.type == QuestionType.MULTI_LABEL:
        return rule.options.issuperset(value)
    if rule.type == QuestionType.SPAN:
        return all(span["label"] in rule.options for span in value)
    if rule.type == QuestionType.RANKING:
        return all(item["value"] in rule.options for item in value)
    return True


def find_causes(
    schema: DatasetSchema, record_ids: Sequence[UUID], settings: DatasetReview
) -> list[Cause]:
    """All causes but the model's uncertainty, which a record alone cannot tell. Four queries."""
    dataset_id = schema.dataset.id
    flags = Flag.objects.filter(record__in=record_ids, record__dataset=dataset_id)
    flagged = sorted(set(flags.values_list("record_id", flat=True)))
    causes = [Cause(id, Reason.FLAGGED) for id in flagged]
    ids = sorted(reviewable(dataset_id).filter(id__in=record_ids).values_list("id", flat=True))
    causes += [Cause(id, Reason.RANDOM) for id in ids if is_drawn(id, settings.random_percent)]
    answers: dict[tuple[UUID, str], list[Any]] = defaultdict(list)
    rows = Response.objects.submitted().filter(record__in=ids).order_by("id")
    for id, values in rows.values_list("record_id", "values"):
        for name, value in known_answers(schema, values):
            answers[id, name].append(value)
    suggested = _suggested(ids)
    for (id, name), given in answers.items():
        rule = schema.questions[name]
        causes += _of_question(id, rule, given, suggested.get((id, rule.id)))
    return causes


def is_drawn(record_id: UUID, percent: float) -> bool:
    """Whether chance picks the record: the same today and tomorrow, on every machine."""
    digest = hashlib.sha256(record_id.bytes).digest()
    return int.from_bytes(digest[:8]) < percent / 100 * 2**64


def _suggested(ids: Sequence[UUID]) -> dict[tuple[UUID, UUID], Any]:
    rows = Suggestion.objects.filter(
        Q(type=SuggestionType.MODEL) | Q(type__isnull=True), record__in=ids
    )
    return {(r, q): value for r, q, value in rows.values_list("record_id", "question_id", "value")}


def _of_question(
    record_id: UUID, rule: QuestionRule, answers: Sequence[Any], suggestion: Any
) -> Iterator[Cause]:
    score = disagrees(rule, answers)
    if score is not None:
        yield Cause(record_id, Reason.DISAGREEMENT, rule.id, score)
    agreed = consensus(rule, answers)
    if suggestion is None or agreed is None or rule.type not in LEAST:
        return
    likeness = agreement(rule, [agreed, suggestion])
    if likeness is not None and likeness < LEAST[rule.type]:
        yield Cause(record_id, Reason.MODEL, rule.id, likeness)


# --- The model of Dawid and Skene ----------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Crowd:
    """All answers to one question, as numbers; ``known`` are the decisions, by item."""

    record_ids: list[UUID]
    values: list[Any]
    votes: Votes
    known: dict[int, int]

    @property
    def says_something(self) -> bool:
        """Enough answers a record and a person for confusion matrices, and not too many cells."""
        a_record = np.bincount(self.votes.items)
        a_person = np.bincount(self.votes.people)
        cells = len(self.votes.items) * self.votes.classes
        return bool(
            np.median(a_record) >= ANSWERS_A_RECORD
            and np.median(a_person) >= ANSWERS_A_PERSON
            and cells <= MOST_CELLS
        )

    @property
    def alpha(self) -> float | None:
        items, _, classes = self.votes.shape
        cells = self.votes.items * classes + self.votes.labels
        counts = np.bincount(cells, minlength=items * classes).reshape(items, classes)
        is_ordinal = all(isinstance(value, int) for value in self.values)
        return alpha.value(counts, alpha.ordinal(counts) if is_ordinal else alpha.nominal(classes))


def is_classed(rule: QuestionRule) -> bool:
    """Whether answers are classes: labels, and ratings of few levels."""
    return rule.type in CLASSED and (
        rule.type == QuestionType.LABEL or len(rule.options) <= MOST_LEVELS
    )


def load_crowd(schema: DatasetSchema, rule: QuestionRule) -> Crowd | None:
    """The newest answers to the question; None when there are none. Two queries."""
    values = rule.values
    place = {value: number for number, value in enumerate(values)}
    records: dict[UUID, int] = {}
    people: dict[UUID, int] = {}
    rows: list[tuple[int, int, int]] = []
    answers = Response.objects.submitted().filter(dataset=schema.dataset.id).order_by("-id")
    path = KeyTransform("value", KeyTransform(rule.name, "values"))
    for record, person, value in answers.values_list("record_id", "user_id", path)[
        :MOST_ANSWERS
    ].iterator():
        if isinstance(value, str | int) and value in place:
            item = records.setdefault(record, len(records))
            rows.append((item, people.setdefault(person, len(people)), place[value]))
    if not rows:
        return None
    columns = np.array(rows, dtype=np.int64).T
    votes = Votes(columns[0], columns[1], columns[2], classes=len(values))
    return Crowd(list(records), values, votes, _known(schema, rule, records, place))


def _known(
    schema: DatasetSchema, rule: QuestionRule, records: Mapping[UUID, int], place: Mapping[Any, int]
) -> dict[int, int]:
    decided = Adjudication.objects.by_people(rule.name).filter(dataset=schema.dataset.id)
    known = {}
    for record, values in decided.values_list("record_id", "values"):
        value = values.get(rule.name, {}).get("value")
        if record in records and isinstance(value, str | int) and value in place:
            known[records[record]] = place[value]
    return known


def find_uncertain(crowd: Crowd, rule: QuestionRule, least: float) -> list[Cause]:
    """The records whose likeliest answer is less likely than ``least``."""
    if not crowd.says_something:
        return []
    best = estimate(crowd.votes, truth=crowd.known).posteriors.max(axis=1)
    return [
        Cause(crowd.record_ids[item], Reason.UNCERTAIN, rule.id, float(best[item]))
        for item in np.flatnonzero(best < least)
    ]


# --- Storing -------------------------------------------------------------------------------------
_REPLACE = """
WITH wanted AS (
    SELECT w.* FROM unnest(%(ids)s::uuid[], %(records)s::uuid[], %(reasons)s::text[],
        %(questions)s::uuid[], %(scores)s::float8[])
        AS w (id, record_id, reason, question_id, score)
    JOIN record r ON r.organization_id = %(o)s AND r.id = w.record_id AND r.dataset_id = %(d)s
), gone AS (
    DELETE FROM review_cause c WHERE c.organization_id = %(o)s AND c.dataset_id = %(d)s
        AND (%(scope)s::uuid[] IS NULL OR c.record_id = ANY(%(scope)s))
        AND c.reason = ANY(%(kinds)s) AND (%(q)s::uuid IS NULL OR c.question_id = %(q)s)
        AND NOT EXISTS (SELECT FROM wanted w WHERE w.record_id = c.record_id
            AND w.reason = c.reason AND w.question_id IS NOT DISTINCT FROM c.question_id)
), items AS (
    INSERT INTO review_item (organization_id, record_id, dataset_id)
    SELECT DISTINCT %(o)s::uuid, record_id, %(d)s::uuid FROM wanted ORDER BY record_id
    ON CONFLICT DO NOTHING
)
INSERT INTO review_cause AS old (organization_id, id, record_id, dataset_id, question_id, reason,
    score, inserted_at, updated_at)
SELECT %(o)s, id, record_id, %(d)s, question_id, reason, score, now(), now() FROM wanted
ON CONFLICT (organization_id, record_id, reason, question_id) DO UPDATE SET score = excluded.score,
    updated_at = now()
WHERE old.score IS DISTINCT FROM excluded.score
"""
_DROP = """
DELETE FROM review_item i WHERE i.organization_id = %(o)s AND i.dataset_id = %(d)s
    AND (%(scope)s::uuid[] IS NULL OR i.record_id = ANY(%(scope)s))
    AND NOT EXISTS (SELECT FROM review_cause c WHERE c.organization_id = %(o)s
        AND c.record_id = i.record_id)
"""


def replace_causes(
    dataset_id: UUID,
    causes: Sequence[Cause],
    *,
    kinds: Collection[str],
    scope: Iterable[UUID] | None = None,
    question_id: UUID | None = None,
) -> None:
    """Make these the causes of the given kinds; of the records of ``scope``, or of all.

    Records without any cause leave the queue. Two statements, one for writers at a time.
    """
    facts = {
        "o": current(),
        "d": dataset_id,
        "kinds": [str(kind) for kind in kinds],
        "scope": None if scope is None else list(scope),
        "q": question_id,
        "ids": uuid7s(len(causes)),
        "records": [cause.record_id for cause in causes],
        "reasons": [str(cause.reason) for cause in causes],
        "questions": [cause.question_id for cause in causes],
        "scores": [cause.score for cause in causes],
    }
    take_turns(dataset_id)
    raw_cursor().execute(_REPLACE, facts)
    raw_cursor().execute(_DROP, {"o": facts["o"], "d": dataset_id, "scope": facts["scope"]})


def forget_questions(dataset_id: UUID, question_ids: Collection[UUID]) -> None:
    """Questions are asked no more: nothing waits for their sake."""
    if question_ids:
        take_turns(dataset_id)
        ReviewCause.objects.filter(dataset=dataset_id, question__in=question_ids).delete()
        raw_cursor().execute(_DROP, {"o": current(), "d": dataset_id, "scope": None})


def leave_queue(record_ids: Iterable[UUID]) -> None:
    """Take records out of the queue, with all their causes."""
    ids = list(record_ids)
    ReviewCause.objects.filter(record__in=ids).delete()
    ReviewItem.objects.filter(record__in=ids).delete()


def take_turns(dataset_id: UUID) -> None:
    """Writers of one dataset's queue wait for each other, so that none meets half of another."""
    raw_cursor().execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(%(key)s, 0))",
        {"key": f"review {dataset_id}"},
    )
