"""Gold sets: what is certain, frozen and split."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction

from apps.annotation.services import save_response
from apps.core.errors import ConflictError, InvalidError
from apps.datasets.models import Dataset, Question
from apps.evaluation.gold import digest_of, freeze_gold, is_intact, split_of
from apps.evaluation.models import GoldAnswer, GoldSet, GoldSource, Split
from apps.organizations.models import Membership
from apps.quality.decisions import Ruling, decide
from apps.quality.models import Adjudication
from apps.records.models import Record
from apps.records.services import delete_records
from tests.factories import make_dataset, make_member, make_records

pytestmark = pytest.mark.django_db


@pytest.fixture
def people(organization: Any) -> list[Membership]:
    return [make_member() for _ in range(3)]


@pytest.fixture
def answer(organization: Any) -> Callable[..., None]:
    def save(record: Record, *answers: tuple[Membership, Any], name: str = "sentiment") -> None:
        for person, value in answers:
            values = {name: {"value": value}}
            save_response(record=record, annotator=person, status="submitted", values=values)

    return save


def question_of(dataset: Dataset) -> Question:
    return Question.objects.select_related("dataset__workspace").get(dataset=dataset)


def test_what_people_agree_on_is_gold(
    people: list[Membership], answer: Callable[..., None]
) -> None:
    one, two, three = people
    dataset = make_dataset(min_submitted=2)
    agreed, split, alone, outvoted, decided, unsure = make_records(dataset, 6)
    answer(agreed, (one, "positive"), (two, "positive"))
    answer(split, (one, "positive"), (two, "negative"))
    answer(alone, (one, "mixed"))
    answer(outvoted, (one, "mixed"), (two, "mixed"), (three, "positive"))
    answer(decided, (one, "positive"), (two, "negative"))
    answer(unsure, (one, "mixed"), (two, "mixed"))
    reviewer = make_member(role="reviewer")
    decide(record=decided, reviewer=reviewer, ruling=Ruling({"sentiment": {"value": "mixed"}}))
    decide(record=unsure, reviewer=reviewer, ruling=Ruling({}, ["sentiment"]))
    gold = freeze_gold(question=question_of(dataset), created_by=reviewer)
    found = {row.record_id: row for row in GoldAnswer.objects.filter(gold_set=gold)}
    assert found.keys() == {agreed.id, decided.id}
    assert (found[agreed.id].value, found[agreed.id].source) == ("positive", GoldSource.CONSENSUS)
    assert (found[decided.id].value, found[decided.id].source) == ("mixed", GoldSource.ADJUDICATED)
    assert found[agreed.id].people == ["positive", "positive"]
    assert sorted(found[decided.id].people) == ["negative", "positive"]
    assert (gold.number, gold.size) == (1, 2)
    assert is_intact(gold)


def test_a_crowd_is_weighed_by_its_reliability(
    organization: Any, answer: Callable[..., None]
) -> None:
    """Four people, two of them guessing: two against two is decided by who is right elsewhere."""
    good = [make_member(), make_member(), make_member()]
    bad = make_member()
    dataset = make_dataset(min_submitted=4)
    records = make_records(dataset, 30)
    values = ["positive", "negative", "mixed"]
    for n, record in enumerate(records):
        right, wrong = values[n % 3], values[(n + 1 + n // 3 % 2) % 3]
        answer(record, *((person, right) for person in good), (bad, wrong))
    gold = freeze_gold(question=question_of(dataset))
    assert gold.size == 30
    rows = GoldAnswer.objects.filter(gold_set=gold).order_by("record")
    assert [row.value for row in rows] == [values[n % 3] for n in range(30)]


def test_what_a_model_was_trusted_with_is_never_gold(organization: Any) -> None:
    dataset = make_dataset()
    (record,) = make_records(dataset, 1)
    Adjudication.objects.create(
        record=record,
        dataset=dataset,
        values={"sentiment": {"value": "mixed"}},
        accepted={"sentiment": str(uuid4())},
        decided_at=record.inserted_at,
    )
    with pytest.raises(InvalidError, match="certain enough"):
        freeze_gold(question=question_of(dataset))


def test_versions_are_numbered_and_differ(
    people: list[Membership], answer: Callable[..., None]
) -> None:
    dataset = make_dataset()
    first, second = make_records(dataset, 2)
    answer(first, (people[0], "positive"))
    question = question_of(dataset)
    gold = freeze_gold(question=question)
    with pytest.raises(ConflictError, match="Nothing has changed since gold set 1"):
        freeze_gold(question=question)
    answer(second, (people[0], "mixed"))
    again = freeze_gold(question=question)
    assert (again.number, again.size) == (2, 2)
    assert again.digest != gold.digest
    assert GoldAnswer.objects.filter(gold_set=gold).count() == 1


def test_frozen_answers_stay_when_people_change_their_mind(
    people: list[Membership], answer: Callable[..., None]
) -> None:
    dataset = make_dataset()
    record, other = make_records(dataset, 2)
    answer(record, (people[0], "positive"))
    answer(other, (people[0], "mixed"))
    gold = freeze_gold(question=question_of(dataset))
    answer(record, (people[0], "negative"))
    assert GoldAnswer.objects.get(gold_set=gold, record=record).value == "positive"
    assert is_intact(gold)
    delete_records(dataset=dataset, ids=[other.id])
    assert not is_intact(gold)


def test_a_record_stays_in_its_split(organization: Any) -> None:
    ids = [uuid4() for _ in range(4_000)]
    halves = [split_of(id, 50) for id in ids]
    assert halves == [split_of(id, 50) for id in ids]
    assert halves.count(Split.TEST) == pytest.approx(2_000, abs=150)
    fifth = {id for id in ids if split_of(id, 20) == Split.TEST}
    assert fifth < {id for id, split in zip(ids, halves, strict=True) if split == Split.TEST}
    assert {split_of(id, 0) for id in ids} == {Split.DEV}
    assert {split_of(id, 100) for id in ids} == {Split.TEST}


def test_the_digest_knows_no_order() -> None:
    pairs = [(uuid4(), value) for value in ("a", ["b"], {"c": 1})]
    assert digest_of(pairs) == digest_of(reversed(pairs))
    assert digest_of(pairs) != digest_of([*pairs[:2], (pairs[2][0], {"c": 2})])


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"test_percent": 101}, "gold_set_percent_known"),
        ({"test_size": 3}, "gold_set_test_within_size"),
        ({"number": 2}, "gold_set_number_unique"),
    ],
)
def test_sets_that_cannot_be(organization: Any, changes: dict[str, int], name: str) -> None:
    question = question_of(make_dataset())
    shared = {"dataset": question.dataset, "question": question, "digest": "0" * 64}
    GoldSet.objects.create(number=2, size=2, test_size=1, **shared)
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        GoldSet.objects.create(**{"number": 3, "size": 2, "test_size": 1, **shared, **changes})


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"split": "all"}, "gold_answer_split_known"),
        ({"source": "guess"}, "gold_answer_source_known"),
    ],
)
def test_answers_that_cannot_be(organization: Any, changes: dict[str, str], name: str) -> None:
    question = question_of(make_dataset())
    (record,) = make_records(question.dataset, 1)
    gold = GoldSet.objects.create(
        number=1, size=1, test_size=0, digest="0", dataset=question.dataset, question=question
    )
    given = {"split": "dev", "source": "consensus", **changes}
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        GoldAnswer.objects.create(gold_set=gold, record=record, value="mixed", **given)
