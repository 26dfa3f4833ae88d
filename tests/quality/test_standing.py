"""What answers are worth, counted from stored ones; and the filters that find the same records."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import numpy as np
import pytest
from django.utils import timezone
from sklearn import metrics

from apps.annotation.ingest import log_records
from apps.annotation.models import Response
from apps.annotation.services import save_response
from apps.datasets.models import Dataset, Question
from apps.datasets.schema import QuestionRule, load_schema
from apps.organizations.models import Membership, Organization
from apps.quality import pace, standing
from apps.quality.answer_table import ClassTable
from apps.quality.causes import load_crowd
from apps.quality.measures.labels import NONE
from apps.quality.measures.report import Measured, report
from apps.quality.models import Adjudication
from apps.quality.spread import spread
from apps.records.inputs import RecordInput, SuggestionInput
from apps.records.models import DatasetCounter, Record, Suggestion
from apps.search.asked import read
from apps.search.between import Outcome, Pair, read_outcome, read_pair
from apps.search.matching import Matcher
from apps.search.query import EVERYBODY, Viewpoint
from tests.factories import make_dataset, make_member

NAMES = ("sentiment", "quality", "genre", "order", "entities", "comment")
LABELS = ("positive", "negative", "mixed")
RECORDS = 30


def value_of(name: str, drawn: Any) -> Any:
    number = int(drawn.integers(0, 3))
    return {
        "sentiment": LABELS[number],
        "quality": number + 1,
        "genre": ["comedy", "drama", "horror"][: number + 1],
        "order": [{"value": v, "rank": r} for v, r in zip("ab", (1, 1 + number % 2), strict=True)],
        "entities": [{"start": 0, "end": 2 + number, "label": "person"}],
        "comment": f"text {number}",
    }[name]


@pytest.fixture
def people(organization: Organization) -> list[Membership]:
    return [make_member(username=f"p{n}") for n in range(3)]


@pytest.fixture
def dataset(organization: Organization, people: list[Membership]) -> Dataset:
    """Three people agree most of the time; a model suggests; a reviewer decided some."""
    drawn = np.random.default_rng(11)
    dataset = make_dataset(questions=NAMES, required=["sentiment"], min_submitted=2)
    _rank_options(dataset)
    questions = {one.name: one for one in Question.objects.filter(dataset=dataset)}
    names = [name for name in NAMES if name != "comment"]
    items = [
        RecordInput(
            fields={"text": f"A text of some length, {n}"},
            external_id=str(n),
            suggestions=[
                SuggestionInput(questions[name].id, value_of(name, drawn), None, "m1", "model")
                for name in names
            ],
        )
        for n in range(RECORDS)
    ]
    log_records(dataset=dataset, items=items)
    for record in Record.objects.filter(dataset=dataset).in_order()[: RECORDS - 5]:
        for person in people:
            values = {name: {"value": value_of(name, drawn)} for name in NAMES}
            save_response(record=record, annotator=person, status="submitted", values=values)
    decide(dataset, 0, "mixed")
    decide(dataset, 1, "positive")
    return dataset


def _rank_options(dataset: Dataset) -> None:
    question = Question.objects.get(dataset=dataset, name="order")
    question.settings["options"] = [{"value": "a", "text": "A"}, {"value": "b", "text": "B"}]
    question.save()


def decide(dataset: Dataset, number: int, value: str) -> None:
    Adjudication.objects.create(
        record=Record.objects.get(dataset=dataset, external_id=str(number)),
        dataset=dataset,
        values={"sentiment": {"value": value}},
        decided_at=timezone.now(),
    )


def rule_of(dataset: Dataset, name: str) -> Any:
    return load_schema(dataset).questions[name]


def found(dataset: Dataset, pairs: list[tuple[str, str]], viewpoint: Viewpoint = EVERYBODY) -> int:
    schema = load_schema(dataset)
    asked, problems = read(schema, pairs, viewpoint)
    assert problems == []
    assert asked.text == urlencode(pairs)
    return Matcher(schema, list(asked.filters(uuid4()))).count()


# --- The filters ---------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["sentiment", "quality", "genre", "order", "entities"])
def test_each_cell_of_the_heat_map_finds_its_records(dataset: Dataset, name: str) -> None:
    pairings = standing.pairings(standing.load(rule_of(dataset, name)))
    assert len(pairings) == 6  # three people and the model
    for pairing in pairings:
        assert pairing.n == RECORDS - 5
        pair = Pair(pairing.one, pairing.other)
        assert found(dataset, [(f"differ.{name}", pair.text)]) == pairing.differ > 0


@pytest.mark.parametrize("name", ["sentiment", "quality"])
def test_each_cell_of_the_confusion_finds_its_records(dataset: Dataset, name: str) -> None:
    confusion = standing.confusion(standing.load(rule_of(dataset, name)))
    assert confusion is not None
    assert confusion.agent == "m1"
    assert 0 < confusion.right < confusion.n
    for value, row in zip(confusion.values, confusion.counts, strict=True):
        for suggested, n in zip(confusion.values, row, strict=True):
            pairs = [
                (f"outcome.{name}", Outcome(str(value)).text),
                (f"suggested.{name}", str(suggested)),
            ]
            assert found(dataset, pairs) == n


def test_a_window_leaves_out_older_answers_everywhere(
    dataset: Dataset, people: list[Membership]
) -> None:
    old = Record.objects.filter(dataset=dataset).in_order()[:10]
    Response.objects.filter(record__in=list(old)).update(
        inserted_at=timezone.now() - timedelta(days=40)
    )
    since = pace.since_days(30)
    table = standing.load(rule_of(dataset, "sentiment"), since=since)
    for pairing in standing.pairings(table):
        assert pairing.n == RECORDS - 15
        if pairing.other is None:  # a suggestion has no day, the other's answer has
            assert pairing.one is not None
        pair = Pair(pairing.one, pairing.other, since)
        assert found(dataset, [("differ.sentiment", pair.text)]) == pairing.differ
    confusion = standing.confusion(table)
    assert confusion is not None
    at = [found(dataset, [("outcome.sentiment", Outcome(v, since).text)]) for v in LABELS]
    assert at == [sum(row) for row in confusion.counts]
    assert spread(rule_of(dataset, "sentiment"), since=since).people == 3 * (RECORDS - 15)


def test_pairs_and_outcomes_as_text() -> None:
    one, other = uuid4(), uuid4()
    day = datetime(2026, 10, 22, tzinfo=UTC)
    for pair in (Pair(one, other), Pair(one, None), Pair(None, other, day)):
        assert read_pair(pair.text) == pair
    for outcome in (Outcome("a~b"), Outcome("x", day)):
        assert read_outcome(outcome.text) == outcome
    for wrong in ("", "~", "model", f"{one}", f"{one}~x", f"{one}~{other}~x", f"{one}~{other}~~"):
        assert read_pair(wrong) is None, wrong
    for wrong in ("", "~", "x", "x~y", "2026-10-22~"):
        assert read_outcome(wrong) is None, wrong


def test_who_sees_only_their_own_answers_cannot_ask(
    dataset: Dataset, people: list[Membership]
) -> None:
    schema = load_schema(dataset)
    pair = Pair(people[0].id, people[1].id).text
    asked, _ = read(
        schema, [("differ.sentiment", pair), ("outcome.sentiment", "~mixed")], Viewpoint(uuid4())
    )
    assert asked.values == {}
    wrong = [("differ.sentiment", "x"), ("outcome.comment", "~x"), ("differ.nothing", pair)]
    asked, problems = read(schema, wrong, EVERYBODY)
    assert asked.values == {}
    assert problems == ["This dataset has no question “nothing” any more."]


# --- What is told --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "measures"),
    [
        ("sentiment", ["alpha"]),
        ("quality", ["ordinal_alpha"]),
        ("genre", ["masi_alpha"]),
        ("entities", ["overlap_f1", "exact_f1"]),
        ("order", ["kendall_w", "tau_b"]),
        ("comment", []),
    ],
)
def test_each_type_has_its_measures(dataset: Dataset, name: str, measures: list[str]) -> None:
    agreement = standing.agreement(rule_of(dataset, name))
    assert list(agreement.measures) == measures
    assert agreement.n == (RECORDS - 5 if measures else 0)
    for estimate in agreement.measures.values():
        assert estimate is not None
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low <= estimate.value <= estimate.high


def test_the_levels_of_a_rating_have_the_order_of_numbers_however_they_are_listed(
    dataset: Dataset,
) -> None:
    schema, question = load_schema(dataset), Question.objects.get(dataset=dataset, name="quality")

    def told(*levels: int) -> list[Any]:
        question.settings["options"] = [{"value": level} for level in levels]
        rule = QuestionRule(question)
        table, crowd = standing.load(rule), load_crowd(schema, rule)
        assert isinstance(table, ClassTable)
        assert crowd is not None
        truth, said = ([table.values[n] for n in some] for some in table.outcomes)
        measured = report(Measured(rule, truth, said))["metrics"]["weighted_kappa"]
        return [standing.agreement(rule), standing.pairings(table), crowd.alpha, measured]

    assert told(3, 1, 2) == told(1, 2, 3)


def test_nothing_is_told_of_a_dataset_without_answers(organization: Organization) -> None:
    blank = make_dataset(questions=NAMES)
    for name in NAMES:
        table = standing.load(rule_of(blank, name))
        assert standing.agreement(rule_of(blank, name)).estimate is None
        assert standing.pairings(table) == []
        assert standing.confusion(table) is None
        assert standing.trust(table) == {}
        assert standing.win_rates(table) == []
        assert spread(rule_of(blank, name)).people == 0
    burn = pace.burn_up(blank)
    assert (burn.total, burn.completed, burn.days, burn.eta) == (0, 0, [], None)
    assert burn.upto(None) == []
    assert pace.daily_answers(blank, None) == []
    assert pace.queue_age(blank) is None
    assert pace.work(blank) == pace.last_days(blank) == {}


def test_win_rates_count_ties_as_half(dataset: Dataset) -> None:
    (rate,) = standing.win_rates(standing.load(rule_of(dataset, "order")))
    assert (rate.one, rate.other, rate.n, rate.losses) == ("a", "b", 3 * (RECORDS - 5), 0)
    assert rate.rate == (rate.wins + rate.ties / 2) / rate.n
    assert rate.ties > 0
    assert rate.decided is not None
    assert rate.decided.value == 1


def test_the_spread_of_people_and_model(dataset: Dataset) -> None:
    for name in ("sentiment", "quality", "genre", "entities", "order"):
        found = spread(rule_of(dataset, name))
        least = 3 * (RECORDS - 5)
        assert found.people >= least, name
        assert found.model >= RECORDS, name
    assert spread(rule_of(dataset, "comment")).shares == []


def by_hand(dataset: Dataset, person: UUID) -> tuple[list[bool], list[bool], list[bool]]:
    """Whether the person's label is the others', the decided one, the suggested one."""
    others, decided, accepted = [], [], []
    for record in Record.objects.filter(dataset=dataset):
        given = {
            one.user_id: one.values["sentiment"]["value"]
            for one in Response.objects.filter(record=record)
        }
        if person not in given:
            continue
        mine = given.pop(person)
        first, second = given.values()
        if first == second:
            others.append(mine == first)
        for one in Adjudication.objects.filter(record=record):
            decided.append(mine == one.values["sentiment"]["value"])
        (suggestion,) = record.suggestions.filter(question__name="sentiment")
        accepted.append(mine == suggestion.value)
    return others, decided, accepted


def test_trust_leaves_ones_own_answer_out(dataset: Dataset, people: list[Membership]) -> None:
    told = standing.trust(standing.load(rule_of(dataset, "sentiment")))
    assert told.keys() == {person.id for person in people}
    for person in people:
        trust = told[person.id]
        wanted = by_hand(dataset, person.id)
        for estimate, hits in zip(
            (trust.others, trust.decided, trust.accepted), wanted, strict=True
        ):
            assert estimate is not None
            assert estimate.value == pytest.approx(sum(hits) / len(hits))
        assert trust.compared == len(wanted[0])


def test_a_decision_of_a_machine_is_nobodys_truth(dataset: Dataset) -> None:
    Adjudication.objects.update(accepted={"sentiment": "x"})
    table = standing.load(rule_of(dataset, "sentiment"))
    assert isinstance(table, ClassTable)
    assert (table.decided == NONE).all()


def test_somebody_who_answers_blindly_stands_out(organization: Organization) -> None:
    drawn = np.random.default_rng(2)
    dataset = make_dataset(questions=["sentiment"], min_submitted=4)
    log_records(dataset=dataset, items=[RecordInput(fields={"text": str(n)}) for n in range(40)])
    good, blind = [make_member() for _ in range(3)], make_member()
    for n, record in enumerate(Record.objects.filter(dataset=dataset).in_order()):
        for person in (*good, blind):
            label = LABELS[int(drawn.integers(0, 3))] if person is blind else LABELS[n % 3]
            values = {"sentiment": {"value": label}}
            save_response(record=record, annotator=person, status="submitted", values=values)
    told = standing.trust(standing.load(rule_of(dataset, "sentiment")))
    assert [told[person.id].is_blind for person in (*good, blind)] == [False] * 3 + [True]


@pytest.mark.parametrize("name", ["sentiment", "quality"])
def test_figures_are_those_of_scikit_learn(dataset: Dataset, name: str) -> None:
    """Confusion and kappa from the stored rows, without any of our own tables."""
    rule = rule_of(dataset, name)
    given: dict[UUID, dict[UUID, str]] = {}
    for response in Response.objects.filter(dataset=dataset, status="submitted"):
        said = str(response.values[name]["value"])
        given.setdefault(response.record_id, {})[response.user_id] = said
    suggested = {
        one.record_id: str(one.value)
        for one in Suggestion.objects.filter(question_id=rule.id, record__in=list(given))
    }
    decided = {
        one.record_id: str(one.values[name]["value"])
        for one in Adjudication.objects.filter(dataset=dataset)
        if name in one.values
    }
    outcomes = {}
    for record, answers in given.items():
        (most, n), *others = Counter(answers.values()).most_common()
        if record in decided or all(times < n for _, times in others):
            outcomes[record] = decided.get(record, most)
    found = standing.confusion(standing.load(rule))
    assert found is not None
    options = [str(value) for value in found.values]
    wanted = metrics.confusion_matrix(
        list(outcomes.values()), [suggested[record] for record in outcomes], labels=options
    )
    assert found.counts == wanted.tolist()
    weights = "quadratic" if name == "quality" else None
    for pairing in standing.pairings(standing.load(rule)):
        sides = [
            [suggested[r] if who is None else answers[who] for r, answers in given.items()]
            for who in (pairing.one, pairing.other)
        ]
        kappa = metrics.cohen_kappa_score(*sides, labels=options, weights=weights)
        assert pairing.value == pytest.approx(kappa)


def test_alpha_is_its_definition(dataset: Dataset) -> None:
    """1 - observed over expected disagreement, from the stored rows."""
    units: dict[UUID, list[str]] = {}
    for response in Response.objects.filter(dataset=dataset, status="submitted"):
        units.setdefault(response.record_id, []).append(response.values["sentiment"]["value"])
    pairs = [
        (a, b, 1 / (len(unit) - 1)) for unit in units.values() for a, b in permutations(unit, 2)
    ]
    n = sum(weight for *_, weight in pairs)
    observed = sum(weight for a, b, weight in pairs if a != b) / n
    counts = Counter(value for unit in units.values() for value in unit)
    expected = 1 - sum(times * (times - 1) for times in counts.values()) / (n * (n - 1))
    found = standing.agreement(rule_of(dataset, "sentiment"))
    assert found.n == len(units)
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(1 - observed / expected)
    assert found.estimate.low is not None
    assert found.estimate.high is not None
    assert found.estimate.low < found.estimate.value < found.estimate.high


# --- Pace ----------------------------------------------------------------------------------------
def age(dataset: Dataset, number: int, days: int) -> None:
    record = Record.objects.get(dataset=dataset, external_id=str(number))
    moment = timezone.now() - timedelta(days=days)
    Response.objects.filter(record=record).update(inserted_at=moment)


def test_the_day_on_which_all_is_done(dataset: Dataset) -> None:
    for number in range(RECORDS - 5):
        age(dataset, number, 1 + number % 5)
    burn = pace.burn_up(dataset)
    assert (burn.total, burn.completed, burn.a_day) == (RECORDS, RECORDS - 5, 5)
    assert [n for _, n in burn.days] == [5, 10, 15, 20, 25]
    assert [n for _, n in burn.upto(pace.since_days(3))] == [20, 25, 25]
    assert burn.eta is not None
    assert burn.eta.day == pace.today() + timedelta(days=1)
    assert pace.redundancy(dataset, burn.total) == [(0, 5), (1, 0), (2, 0), (3, 25)]
    assert sum(done for _, done, _ in pace.daily_answers(dataset, pace.since_days(7))) == 75
    assert len(pace.daily_answers(dataset, pace.since_days(7))) == 7


def test_an_uneven_pace_is_said_to_be_uncertain(dataset: Dataset) -> None:
    for number in range(RECORDS - 5):
        age(dataset, number, 13 if number < 20 else 1)
    burn = pace.burn_up(dataset)
    assert burn.a_day == pytest.approx(25 / 13)  # from the first day on, today left out
    assert burn.eta is not None
    assert burn.eta.day == pace.today() + timedelta(days=3)  # 5 are left
    assert burn.eta.early < burn.eta.day
    assert burn.eta.late is None or burn.eta.late > burn.eta.day


def test_nobody_can_tell_from_too_little(dataset: Dataset) -> None:
    assert pace.burn_up(dataset).eta is None  # all of it today
    DatasetCounter.objects.filter(dataset=dataset).update(completed=RECORDS)
    for number in range(RECORDS - 5):
        age(dataset, number, 1 + number % 5)
    assert pace.burn_up(dataset).eta is None  # nothing left


def test_work_of_people(dataset: Dataset, people: list[Membership]) -> None:
    begin = timezone.now() - timedelta(days=3)
    mine = Response.objects.filter(dataset=dataset, user=people[0]).order_by("id")
    for n, response in enumerate(mine):
        Response.objects.filter(id=response.id).update(
            inserted_at=begin + timedelta(seconds=12 * n),
            status="discarded" if n < 5 else "submitted",
        )
    told = pace.work(dataset)[people[0].id]
    assert (told.done, told.discarded, told.seconds) == (RECORDS - 10, 5, 12)
    assert told.discards == 5 / (RECORDS - 5)
    assert pace.work(dataset, person=people[0].id).keys() == {people[0].id}
    assert pace.last_days(dataset, person=people[0].id)[people[0].id][-4] == RECORDS - 10
    age = pace.queue_age(dataset)
    assert age is not None
    assert age.n == DatasetCounter.objects.get(dataset=dataset).records - RECORDS + 5
