"""Live predictions: logged once, counted, routed to people, judged by their answers."""

import datetime as dt
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from scipy.spatial.distance import jensenshannon

from apps.annotation.models import SchemaChange
from apps.annotation.services import save_response
from apps.core.errors import InvalidError
from apps.core.tenancy import enter
from apps.datasets.edits import read_edit
from apps.datasets.models import Dataset, Question
from apps.events.models import Event
from apps.jobs.models import Job
from apps.monitoring.models import Monitor, Prediction, PredictionCount, Routed
from apps.monitoring.predictions import Logged, PredictionInput, log_predictions
from apps.monitoring.series import series
from apps.monitoring.services import (
    RETRAIN,
    configure_monitor,
    monitor_of,
    notice_due,
    notice_retrain,
    prune,
)
from apps.organizations.models import Membership
from apps.quality.answers import Examples
from apps.quality.few_shot import _keep, train
from apps.quality.measures.drift import jensen_shannon, psi
from apps.quality.schema_changes.services import apply_edit, undo_change
from apps.records.models import Record, Suggestion
from tests.factories import make_dataset, make_member, make_organization, make_records

pytestmark = pytest.mark.django_db

NOON = datetime.combine(timezone.now().date(), datetime.min.time(), UTC)


def question_of(dataset: Dataset, name: str = "sentiment") -> Question:
    rows = Question.objects.select_related("dataset__workspace")
    return rows.get(dataset=dataset, name=name)


@pytest.fixture
def question(organization: Any) -> Question:
    return question_of(make_dataset())


def given(n: int, *, day: int = 0, value: Any = "positive", score: float | None = 0.9) -> Any:
    return PredictionInput(
        external_id=f"{day}-{n}-{value}",
        fields={"text": f"a sentence number {n}"},
        value=value,
        score=score,
        model="intent-7",
        predicted_at=timezone.now() - timedelta(days=day) if day else None,
    )


def log(question: Question, *items: Any) -> Logged:
    return log_predictions(monitor=monitor_of(question=question), items=list(items))


# --- Logging -------------------------------------------------------------------------------------
def test_a_prediction_is_kept_once(question: Question) -> None:
    items = [given(n) for n in range(3)]
    assert log(question, *items) == Logged(created=3, known=0)
    again = [given(0, value="positive", score=0.1), *[given(n) for n in range(1, 5)]]
    assert log(question, *again) == Logged(created=2, known=3)
    rows = Prediction.objects.filter(monitor=question.id)
    assert rows.count() == 5
    first = rows.get(external_id="0-0-positive")
    assert (first.value, first.score, first.model) == ("positive", 0.9, "intent-7")
    assert first.fields == {"text": "a sentence number 0"}
    each = PredictionCount.objects.get(monitor=question.id, bin=-2)
    assert (each.n, each.day) == (5, timezone.now().date())
    labels = PredictionCount.objects.exclude(bin=-2).values_list("label", "bin", "n")
    assert list(labels) == [("positive", 9, 5)]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"value": "purple"}, "position 1"),
        ({"fields": {}}, "position 1"),
        ({"fields": {"text": 4}}, "position 1"),
        ({"score": 1.5}, "between 0 and 1"),
        ({"external_id": ""}, "1 to 400 characters"),
        ({"external_id": "x" * 401}, "1 to 400 characters"),
        ({"predicted_at": timezone.now() + timedelta(days=2)}, "last 90 days"),
        ({"predicted_at": timezone.now() - timedelta(days=91)}, "last 90 days"),
    ],
)
def test_one_bad_prediction_refuses_them_all(
    question: Question, changes: dict[str, Any], reason: str
) -> None:
    bad = given(1)
    for name, value in changes.items():
        setattr(bad, name, value)
    with pytest.raises(InvalidError, match=reason):
        log(question, given(0), bad)
    assert not Prediction.objects.exists()
    assert not PredictionCount.objects.exists()


def test_the_same_id_twice_in_a_call_is_an_error(question: Question) -> None:
    with pytest.raises(InvalidError, match="occurs twice"):
        log(question, given(0), given(0))


def test_the_number_of_statements_does_not_grow(question: Question) -> None:
    monitor = configure_monitor(question=question, threshold=0.5)
    log_predictions(monitor=monitor, items=[given(999, score=0)])  # what is read once
    taken = []
    for start, count in ((0, 3), (100, 60)):
        items = [given(start + n, score=n % 2) for n in range(count)]
        with CaptureQueriesContext(
            connection,
        ) as queries:
            log_predictions(monitor=monitor, items=items)
        taken.append(len(queries))
    assert taken[0] == taken[1] <= 35


# --- Routing -------------------------------------------------------------------------------------
def test_low_scores_go_to_people_with_the_prediction_as_suggestion(question: Question) -> None:
    configure_monitor(question=question, threshold=0.6)
    told = log(question, given(0, score=0.59), given(1, score=0.6), given(2, score=None))
    assert told == Logged(created=3, known=0, routed={"score": 1})
    routed = Prediction.objects.routed().get()
    assert (routed.external_id, routed.routed) == ("0-0-positive", Routed.SCORE)
    record = Record.objects.get(dataset=question.dataset_id)
    assert routed.record_id == record.id
    assert record.fields == {"text": "a sentence number 0"}
    assert record.metadata == {"routed": "score"}
    suggestion = Suggestion.objects.get(record=record)
    assert (suggestion.value, suggestion.score, suggestion.agent) == ("positive", 0.59, "intent-7")


def test_a_prediction_changes_no_record_of_the_same_name(question: Question) -> None:
    (record,) = make_records(question.dataset, 1, external_id="0-0-positive")
    configure_monitor(question=question, random_percent=100)
    log(question, given(0))
    assert Record.objects.filter(dataset=question.dataset_id).count() == 2
    record.refresh_from_db()
    assert record.fields["text"].startswith("text number")


def test_chance_picks_its_share_and_the_same_ones(question: Question) -> None:
    configure_monitor(question=question, random_percent=20, daily_limit=1_000)
    for start in (0, 300):
        log(question, *[given(n) for n in range(start, start + 300)])
    picked = Prediction.objects.filter(routed=Routed.RANDOM).count()
    assert picked == pytest.approx(120, abs=35)
    assert log(question, *[given(n) for n in range(300)]).routed == {}


def test_a_day_takes_no_more_than_its_limit(question: Question) -> None:
    configure_monitor(question=question, random_percent=100, daily_limit=4)
    assert log(question, *[given(n) for n in range(3)]).routed == {"random": 3}
    assert log(question, *[given(n) for n in range(3, 9)]).routed == {"random": 1}
    assert log(question, *[given(n, day=2) for n in range(9)]).routed == {"random": 4}
    assert Prediction.objects.count() == 18


def test_a_day_is_one_of_utc_wherever_the_clock_stands(question: Question) -> None:
    """Half past midnight in Helsinki is still the day before."""
    configure_monitor(question=question, random_percent=100, daily_limit=2)
    midnight = (NOON - timedelta(days=3)).replace(tzinfo=dt.timezone(timedelta(hours=2)))
    for n in range(4):
        one = given(n)
        one.predicted_at = midnight + timedelta(minutes=30)
        log(question, one)
    assert Prediction.objects.routed().count() == 2
    days = PredictionCount.objects.filter(bin=-2).values_list("day", "n")
    assert list(days) == [((NOON - timedelta(days=4)).date(), 4)]


def test_what_the_few_shot_head_contradicts_goes_to_people(question: Question) -> None:
    configure_monitor(question=question, against_head=True)
    assert log(question, given(0)).routed == {}, "there is no head yet"
    texts = ["what a wonderful, lovely day"] * 4 + ["a terrible, horrible disaster"] * 4
    examples = Examples(texts, ["positive"] * 4 + ["negative"] * 4)
    _keep(Job(id=uuid4()), question, train(question, examples), examples)
    good = given(1)
    good.fields = {"text": "such a lovely, wonderful day"}
    bad = given(2)
    bad.fields = {"text": "this is a horrible disaster"}
    assert log(question, good, bad).routed == {"head": 1}
    assert Prediction.objects.routed().get().external_id == "0-2-positive"


def test_several_labels_count_each(organization: Any) -> None:
    question = question_of(make_dataset(questions=["genre"]), "genre")
    configure_monitor(question=question, random_percent=100)
    log(question, given(0, value=["comedy", "drama"], score=0.7), given(1, value=["drama"]))
    counts = PredictionCount.objects.exclude(bin=-2).order_by("label", "bin")
    assert list(counts.values_list("label", "bin", "n")) == [
        ("comedy", 7, 1),
        ("drama", 7, 1),
        ("drama", 9, 1),
    ]
    assert Suggestion.objects.order_by("-id").last().score == [0.7, 0.7]  # type: ignore[union-attr]


# --- Judging -------------------------------------------------------------------------------------
@pytest.fixture
def answer(organization: Any) -> Callable[[Prediction, str], None]:
    person: Membership = make_member()

    def save(prediction: Prediction, value: str) -> None:
        assert prediction.record is not None
        values = {"sentiment": {"value": value}}
        save_response(record=prediction.record, annotator=person, status="submitted", values=values)

    return save


def test_people_tell_how_often_the_model_is_right(
    question: Question, answer: Callable[[Prediction, str], None]
) -> None:
    configure_monitor(question=question, random_percent=100)
    log(question, *[given(n, score=0.5) for n in range(8)])
    configure_monitor(question=question, threshold=0.6)
    log(question, *[given(n, score=0.5) for n in range(10, 14)])
    rows = list(Prediction.objects.routed().order_by("external_id").select_related("record"))
    by_chance = [row for row in rows if row.routed == Routed.RANDOM]
    unsure = [row for row in rows if row.routed == Routed.SCORE]
    for n, row in enumerate(by_chance[:4]):
        answer(row, "positive" if n else "negative")
    for row in unsure[:2]:
        answer(row, "mixed")
    total = series(monitor_of(question=question))["total"]
    assert (total["n"], total["routed"], total["answered"]) == (12, {"random": 8, "score": 4}, 6)
    assert total["precision"]["value"] == pytest.approx(3 / 4)
    assert total["acceptance"]["value"] == pytest.approx(3 / 6)
    assert total["precision"]["low"] < 0.75 < total["precision"]["high"]


def test_a_renamed_label_is_still_the_same(
    question: Question, answer: Callable[[Prediction, str], None]
) -> None:
    configure_monitor(question=question, random_percent=100)
    log(question, *[given(n, value="negative") for n in range(4)])
    for row in Prediction.objects.select_related("record"):
        answer(row, "negative")

    def told() -> tuple[Any, Any, Any]:
        found = series(monitor_of(question=question_of(question.dataset)), days=1)
        precision = found["total"]["precision"]
        today = found["points"][-1]
        return precision and precision["value"], today["labels"], today["label_drift"]["psi"]

    assert told() == (1, {"negative": 4}, 0)
    to = {"value": "bad", "text": "Bad"}
    renamed = change(question, "rename_label", label="negative", to=to)
    assert told() == (1, {"bad": 4}, 0)
    change(question, "remove_label", label="bad", to="mixed")
    assert told() == (1, {"mixed": 4}, 0)
    undo_change(change=SchemaChange.objects.order_by("id").last())
    assert told() == (1, {"bad": 4}, 0)
    undo_change(change=renamed)
    assert told() == (1, {"negative": 4}, 0)
    # What cannot be said any more is neither right nor wrong, and counts as what it was.
    change(question, "remove_label", label="negative")
    assert told() == (None, {"negative": 4}, 0)


def change(question: Question, kind: str, **values: Any) -> SchemaChange:
    edit = read_edit({"kind": kind, "question": question.name, **values})
    return apply_edit(dataset=question.dataset, edit=edit)


def test_drift_shows_when_labels_move(question: Question) -> None:
    for day in range(30, 10, -1):
        mostly, some = ("positive", "negative") if day > 15 else ("negative", "positive")
        log(
            question,
            *[given(n, day=day, value=mostly) for n in range(8)],
            *[given(n, day=day, value=some, score=0.3) for n in range(2)],
        )
    told = series(monitor_of(question=question), days=31)
    assert told["reference"]["n"] == 70
    assert len(told["points"]) == 31
    points = {date.fromisoformat(point["start"]): point for point in told["points"]}
    today = timezone.now().date()
    calm, moved = points[today - timedelta(days=20)], points[today - timedelta(days=12)]
    assert calm["n"] == moved["n"] == 10
    assert calm["labels"] == {"negative": 2, "positive": 8}
    assert calm["label_drift"]["psi"] < 0.1
    assert moved["label_drift"]["psi"] > 0.25
    assert moved["score_drift"]["psi"] == pytest.approx(calm["score_drift"]["psi"])
    assert points[today]["label_drift"] is None
    weekly = series(monitor_of(question=question), days=31, by="week")
    assert sum(point["n"] for point in weekly["points"]) == 200
    starts = [date.fromisoformat(point["start"]) for point in weekly["points"]]
    assert {start.weekday() for start in starts} == {0}


def test_a_series_is_read_in_a_few_statements(
    question: Question, django_assert_max_num_queries: Any
) -> None:
    configure_monitor(question=question, random_percent=100)
    log(question, *[given(n, day=n % 5) for n in range(40)])
    monitor = monitor_of(question=question)
    with django_assert_max_num_queries(8):
        series(monitor, days=10)


@pytest.mark.parametrize("seed", range(4))
def test_drift_is_what_its_definitions_say(seed: int) -> None:
    one, other = np.random.default_rng(seed).integers(1, 40, (2, 6)).astype(float)
    p, q = (one + 0.5) / (one + 0.5).sum(), (other + 0.5) / (other + 0.5).sum()
    assert psi(one, other) == pytest.approx(
        sum((b - a) * np.log(b / a) for a, b in zip(p, q, strict=True))
    )
    found = jensen_shannon(one, other)
    assert found == pytest.approx(jensenshannon(one, other, base=2) ** 2)
    assert psi(one, one) == pytest.approx(0)
    assert jensen_shannon(np.array([5, 0]), np.array([0, 5])) == pytest.approx(1)
    assert psi(one, one * 0) is None


# --- By the clock --------------------------------------------------------------------------------
def test_enough_new_answers_are_told_of_once(
    question: Question, answer: Callable[[Prediction, str], None]
) -> None:
    configure_monitor(question=question, random_percent=100, retrain_every=3)
    log(question, *[given(n) for n in range(7)])
    rows = list(Prediction.objects.routed().select_related("record"))
    for row in rows[:2]:
        answer(row, "positive")
    assert not notice_retrain(question_id=question.id)
    answer(rows[2], "positive")
    assert notice_retrain(question_id=question.id)
    assert not notice_retrain(question_id=question.id)
    event = Event.objects.get(kind=RETRAIN)
    assert (event.object_id, event.payload) == (question.id, {"answers": 3, "new": 3})
    for row in rows[3:6]:
        answer(row, "mixed")
    assert notice_retrain(question_id=question.id)
    assert Monitor.objects.get(question=question).noticed_at is not None


@pytest.mark.django_db(transaction=True, databases=["default", "owner", "operator"])
def test_the_sweeps_reach_every_organization() -> None:
    """Old predictions are forgotten, their counts are not; what is due is told of once."""
    tenants = [make_organization(name).id for name in ("One", "Two")]
    for tenant in tenants:
        with enter(tenant):
            question = question_of(make_dataset())
            configure_monitor(question=question, retrain_every=1)
            log(question, given(0, day=80), given(1, day=2))
            configure_monitor(question=question, keep_days=30, retrain_every=1)
            (record,) = make_records(question.dataset)
            values = {"sentiment": {"value": "mixed"}}
            save_response(record=record, annotator=make_member(), status="submitted", values=values)
    assert (prune(), prune()) == (2, 0)
    assert (notice_due(), notice_due()) == (2, 0)
    for tenant in tenants:
        with enter(tenant):
            assert Prediction.objects.get().external_id == "2-1-positive"
            assert PredictionCount.objects.filter(bin=-2).count() == 2
            assert Event.objects.filter(kind=RETRAIN).count() == 1


# --- What cannot be ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 1.1},
        {"random_percent": 101},
        {"daily_limit": -1},
        {"keep_days": 0},
        {"retrain_every": 0},
    ],
)
def test_rules_that_cannot_be(question: Question, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidError):
        configure_monitor(question=question, **wrong)


def test_only_what_can_be_learnt_has_a_head(organization: Any) -> None:
    question = question_of(make_dataset(questions=["comment"]), "comment")
    with pytest.raises(InvalidError, match="no few-shot head"):
        configure_monitor(question=question, against_head=True)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"threshold": 2}, "monitor_threshold_is_a_share"),
        ({"random_percent": -1}, "monitor_percent_known"),
        ({"keep_days": 0}, "monitor_keeps_a_day"),
        ({"retrain_every": 0}, "monitor_retrains_after_some"),
    ],
)
def test_monitors_that_cannot_be(question: Question, changes: dict[str, Any], name: str) -> None:
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        Monitor.objects.create(question=question, dataset=question.dataset, **changes)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"score": 1.5}, "prediction_score_is_a_share"),
        ({"routed": "maybe"}, "prediction_routed_known"),
        ({"external_id": "0-0-positive"}, "prediction_external_id_unique"),
    ],
)
def test_predictions_that_cannot_be(question: Question, changes: dict[str, Any], name: str) -> None:
    log(question, given(0))
    values = {"external_id": "x", "fields": {}, "value": "mixed", "predicted_at": timezone.now()}
    shared = {"monitor_id": question.id, "dataset": question.dataset}
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        Prediction.objects.create(**{**shared, **values, **changes})
