"""Gold sets: what people are sure of, frozen and split."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models.fields.json import KeyTransform
from django.utils.translation import gettext

from apps.annotation.models import Response
from apps.core.errors import ConflictError, InvalidError
from apps.core.tenancy import current
from apps.datasets.models import Question
from apps.datasets.schema import DatasetSchema, QuestionRule, load_schema
from apps.datasets.services import lock_dataset
from apps.evaluation.models import GoldAnswer, GoldSet, GoldSource, Split
from apps.events.log import emit
from apps.organizations.models import Membership
from apps.quality.agreement import disagrees
from apps.quality.causes import is_classed, is_possible, load_crowd
from apps.quality.consensus import consensus
from apps.quality.dawid_skene import estimate
from apps.quality.models import Adjudication
from apps.quality.review import review_settings

MOST: Final = 20_000  # records of a gold set, the newest
MOST_ANSWERS: Final = 200_000  # answers that are looked at, the newest


@dataclass(frozen=True, slots=True)
class Known:
    """A record's right answer, with where it comes from and what people had said."""

    record_id: UUID
    value: Any
    source: GoldSource
    people: Sequence[Any] = ()


@transaction.atomic
def freeze_gold(
    *,
    question: Question,
    test_percent: int = 50,
    min_answers: int | None = None,
    note: str = "",
    created_by: Membership | None = None,
) -> GoldSet:
    """Freeze what is known for sure about the question as its next gold set.

    That is what reviewers decided, and what at least ``min_answers`` people (None: as many as the
    dataset asks for) agree on: all of them, or as Dawid and Skene's model is confident. What a
    model's answer was taken for is never gold. Raises ``InvalidError`` when nothing is known,
    ``ConflictError`` when the newest set says the same.
    """
    if not 0 <= test_percent <= 100:
        raise InvalidError(gettext("The share of the test split lies between 0 and 100 %."))
    dataset = lock_dataset(question.dataset)
    schema = load_schema(dataset)
    rule = schema.questions_by_id[question.id]
    known = find_known(schema, rule, min_answers=min_answers or dataset.min_submitted)
    if not known:
        raise InvalidError(gettext("No record has an answer that is certain enough yet."))
    splits = {one.record_id: split_of(one.record_id, test_percent) for one in known}
    gold = GoldSet(
        dataset=dataset,
        question=question,
        test_percent=test_percent,
        size=len(known),
        test_size=sum(split == Split.TEST for split in splits.values()),
        digest=digest_of((one.record_id, one.value) for one in known),
        note=note,
        created_by=created_by,
    )
    _store(gold, known, splits)
    facts = {"question": question.name, "number": gold.number, "size": gold.size}
    emit("gold_set.created", dataset_id=dataset.id, object_id=gold.id, payload=facts)
    return gold


def _store(gold: GoldSet, known: Sequence[Known], splits: Mapping[UUID, Split]) -> None:
    """With the next number, unless it is what the last one was."""
    last = GoldSet.objects.filter(question=gold.question).order_by("-number").first()
    if last and (last.digest, last.test_percent) == (gold.digest, gold.test_percent):
        raise ConflictError(gettext("Nothing has changed since gold set %d.") % last.number)
    gold.number = last.number + 1 if last else 1
    gold.save(force_insert=True)
    GoldAnswer.objects.bulk_create(
        [
            GoldAnswer(
                organization_id=current(),
                gold_set=gold,
                record_id=one.record_id,
                split=splits[one.record_id],
                source=one.source,
                value=one.value,
                people=list(one.people),
            )
            for one in known
        ],
        batch_size=2_000,
    )


def split_of(record_id: UUID, test_percent: int) -> Split:
    """The split of a record: by the hash of its id, so the same in every set."""
    digest = hashlib.sha256(b"gold " + record_id.bytes).digest()
    is_test = int.from_bytes(digest[:8]) < test_percent / 100 * 2**64
    return Split.TEST if is_test else Split.DEV


def digest_of(answers: Iterable[tuple[UUID, Any]]) -> str:
    """SHA-256 over records and answers in the order of the ids, 64 hexadecimal digits."""
    lines = sorted([str(id), json.dumps(value, sort_keys=True)] for id, value in answers)
    return hashlib.sha256(json.dumps(lines).encode()).hexdigest()


def is_intact(gold: GoldSet) -> bool:
    """Whether records and answers are those that were frozen; False once a record is gone."""
    rows = GoldAnswer.objects.filter(gold_set=gold).values_list("record_id", "value")
    return digest_of(rows) == gold.digest


# --- What is known -------------------------------------------------------------------------------
def find_known(schema: DatasetSchema, rule: QuestionRule, *, min_answers: int) -> list[Known]:
    """The records with a certain answer, newest first; up to ``MOST``."""
    people = _answers(schema, rule)
    decided = _decided(schema, rule)
    agreed = _agreed(schema, rule, people, min_answers)
    known = [
        Known(id, value, GoldSource.ADJUDICATED, people.get(id, ()))
        for id, value in decided.items()
        if value is not None
    ]
    known += [
        Known(id, value, GoldSource.CONSENSUS, people[id])
        for id, value in agreed.items()
        if id not in decided
    ]
    known.sort(key=lambda one: one.record_id, reverse=True)
    return known[:MOST]


def _answers(schema: DatasetSchema, rule: QuestionRule) -> dict[UUID, list[Any]]:
    """What people answered, by record, the oldest first."""
    rows = Response.objects.submitted().filter(dataset=schema.dataset.id).order_by("-id")
    path = KeyTransform("value", KeyTransform(rule.name, "values"))
    found: dict[UUID, list[Any]] = defaultdict(list)
    for id, value in rows.values_list("record_id", path)[:MOST_ANSWERS].iterator():
        if value is not None and is_possible(rule, value):
            found[id].insert(0, value)
    return found


def _decided(schema: DatasetSchema, rule: QuestionRule) -> dict[UUID, Any]:
    """Reviewers' decisions; None where they say that it cannot be decided."""
    rows = (
        Adjudication.objects.by_people(rule.name)
        .filter(dataset=schema.dataset.id)
        .order_by("-record")
    )
    found: dict[UUID, Any] = {}
    for id, values, ambiguous in rows.values_list("record_id", "values", "ambiguous")[:MOST]:
        if rule.name in ambiguous:
            found[id] = None
        elif rule.name in values and is_possible(rule, values[rule.name]["value"]):
            found[id] = values[rule.name]["value"]
    return found


def _agreed(
    schema: DatasetSchema,
    rule: QuestionRule,
    people: Mapping[UUID, list[Any]],
    min_answers: int,
) -> dict[UUID, Any]:
    enough = {id: given for id, given in people.items() if len(given) >= min_answers}
    crowd = load_crowd(schema, rule) if is_classed(rule) else None
    if crowd is not None and crowd.says_something:
        least = review_settings(schema.dataset.id).least_certain
        posteriors = estimate(crowd.votes, truth=crowd.known).posteriors
        best, sure = posteriors.argmax(axis=1), posteriors.max(axis=1)
        return {
            id: crowd.values[best[row]]
            for row, id in enumerate(crowd.record_ids)
            if id in enough and sure[row] >= least
        }
    found = {id: consensus(rule, given) for id, given in enough.items()}
    return {
        id: value
        for id, value in found.items()
        if value is not None and disagrees(rule, enough[id]) is None
    }
