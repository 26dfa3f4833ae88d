"""Suggestions that are learnt from people's answers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from django.utils import timezone

from apps.core.errors import ConflictError, InvalidError
from apps.core.tenancy import current
from apps.datasets.models import Dataset, Question
from apps.jobs.engine import run_slice
from apps.jobs.models import Job, JobItem, JobState
from apps.organizations.models import Membership
from apps.quality.answers import majority
from apps.quality.models import TrainedHead
from apps.quality.services import start_suggestions
from apps.quality.suggestions import AGENT
from apps.records.models import Record, RecordTask, Suggestion
from tests.factories import make_member
from tests.quality.conftest import answer, answer_theme, is_about_food

Find = Callable[[str], Question]


def run(job: Job) -> Job:
    run_slice(organization_id=current(), job_id=job.id)
    return Job.objects.get(id=job.id)


def suggestions(question: Question) -> dict[Any, Suggestion]:
    return {row.record_id: row for row in Suggestion.objects.filter(question=question)}


@pytest.mark.parametrize(
    ("name", "food", "travel"),
    [
        ("sentiment", "positive", "negative"),
        ("genre", ["comedy", "drama"], ["horror"]),
        ("quality", 5, 1),
    ],
)
def test_pending_records_get_what_people_would_say(
    name: str,
    food: Any,
    travel: Any,
    question: Find,
    records: list[Record],
    annotator: Membership,
) -> None:
    for record in records[:16]:
        answer_theme(record, annotator)
    job = run(start_suggestions(question=question(name), created_by=annotator))
    assert (job.state, job.counters) == ("done", {"total": 48, "done": 48, "failed": 0})
    made = suggestions(question(name))
    assert set(made) == {record.id for record in records[16:]}
    right = [
        made[record.id].value == (food if is_about_food(record) else travel)
        for record in records[16:]
    ]
    assert np.mean(right) > 0.9
    for suggestion in made.values():
        scores = suggestion.score if isinstance(food, list) else [suggestion.score]
        assert suggestion.certainty == min(scores)
        assert suggestion.value_key == (None if name == "genre" else str(suggestion.value))
        assert (suggestion.agent, suggestion.type) == (AGENT, "model")


def test_the_queue_knows_how_certain_each_record_is(
    dataset: Dataset, question: Find, records: list[Record], annotator: Membership
) -> None:
    for record in records[:8]:
        answer_theme(record, annotator)
    run(start_suggestions(question=question("sentiment")))
    run(start_suggestions(question=question("quality")))
    both = [suggestions(question(name)) for name in ("sentiment", "quality")]
    for task in RecordTask.objects.filter(record_id__in=[record.id for record in records[8:]]):
        assert task.certainty == min(made[task.record_id].certainty for made in both)
    assert not RecordTask.objects.filter(record=records[0]).exclude(certainty=0).exists()


def test_training_again_changes_only_what_became_different(
    question: Find, records: list[Record], annotator: Membership
) -> None:
    for record in records[:8]:
        answer_theme(record, annotator)
    run(start_suggestions(question=question("sentiment")))
    before = suggestions(question("sentiment"))
    run(start_suggestions(question=question("sentiment")))
    again = suggestions(question("sentiment"))
    assert {id: row.updated_at for id, row in again.items()} == {
        id: row.updated_at for id, row in before.items()
    }
    for record in records[8:24]:
        answer_theme(record, annotator)
    run(start_suggestions(question=question("sentiment")))
    after = suggestions(question("sentiment"))
    assert after[records[30].id].score != before[records[30].id].score
    assert after[records[30].id].id == before[records[30].id].id
    assert after[records[8].id].score == before[records[8].id].score  # completed meanwhile


@pytest.mark.parametrize("agent", ["gpt", None])
def test_suggestions_of_others_stay_unless_they_may_be_overwritten(
    agent: str | None,
    dataset: Dataset,
    question: Find,
    records: list[Record],
    annotator: Membership,
) -> None:
    for record in records[:8]:
        answer_theme(record, annotator)
    theirs = Suggestion.objects.create(
        record=records[20],
        question=question("sentiment"),
        dataset_id=dataset.id,
        value="mixed",
        value_key="mixed",
        agent=agent,
        updated_at=timezone.now(),
    )
    run(start_suggestions(question=question("sentiment")))
    made = suggestions(question("sentiment"))
    assert len(made) == 56
    assert (made[records[20].id].value, made[records[20].id].agent) == ("mixed", agent)
    run(start_suggestions(question=question("sentiment"), overwrite=True))
    made = suggestions(question("sentiment"))
    assert made[records[20].id].agent == AGENT
    assert made[records[20].id].id == theirs.id


def test_only_the_next_records_of_the_queue_when_there_is_a_limit(
    question: Find, records: list[Record], annotator: Membership
) -> None:
    for record in records[:8]:
        answer_theme(record, annotator)
    job = run(start_suggestions(question=question("sentiment"), limit=5))
    assert job.total == 5
    assert set(suggestions(question("sentiment"))) == {record.id for record in records[8:13]}


def test_least_certain_first_reaches_unscored_records_before_scored_ones(
    dataset: Dataset, question: Find, records: list[Record], annotator: Membership
) -> None:
    dataset.queue_order = "least_certain_first"
    dataset.save()
    for record in records[:8]:
        answer_theme(record, annotator)
    for _ in range(2):
        run(start_suggestions(question=question("sentiment"), limit=5))
    made = suggestions(question("sentiment"))
    assert set(made) == {record.id for record in records[8:18]}


def test_a_question_that_cannot_be_learnt_is_refused(
    question: Find, records: list[Record], annotator: Membership
) -> None:
    with pytest.raises(InvalidError, match="not for text questions"):
        start_suggestions(question=question("comment"))
    with pytest.raises(InvalidError, match="fewer than two kinds"):
        start_suggestions(question=question("sentiment"))
    for record in records[:6:2]:
        answer(record, annotator, sentiment="positive")
    with pytest.raises(InvalidError, match="fewer than two kinds"):
        start_suggestions(question=question("sentiment"))


def test_split_answers_alone_teach_nothing(
    dataset: Dataset, question: Find, records: list[Record], annotator: Membership
) -> None:
    answer(records[0], annotator, sentiment="positive")
    answer(records[0], make_member(), sentiment="negative")
    job = run(start_suggestions(question=question("sentiment")))
    assert job.state == JobState.FAILED
    assert "nothing to learn" in job.error_sample[0]["error"]


def test_one_training_of_a_question_at_a_time(
    question: Find, records: list[Record], annotator: Membership
) -> None:
    for record in records[:4]:
        answer_theme(record, annotator)
    start_suggestions(question=question("sentiment"))
    with pytest.raises(ConflictError):
        start_suggestions(question=question("sentiment"))
    start_suggestions(question=question("quality"))


def test_items_of_an_older_training_give_up(
    question: Find, records: list[Record], annotator: Membership
) -> None:
    for record in records[:8]:
        answer_theme(record, annotator)
    older = start_suggestions(question=question("sentiment"))
    run_slice(organization_id=current(), job_id=older.id, seconds=0)
    assert JobItem.objects.filter(job=older).count() == 1
    TrainedHead.objects.update(job_id=question("sentiment").id)
    older = run(older)
    assert older.state == JobState.CANCELLED
    assert older.error_sample[0]["error"] == "A newer training has replaced this one."


def test_a_deleted_question_ends_its_job(
    question: Find, records: list[Record], annotator: Membership
) -> None:
    for record in records[:8]:
        answer_theme(record, annotator)
    job = start_suggestions(question=question("sentiment"))
    run_slice(organization_id=current(), job_id=job.id, seconds=0)
    Question.objects.filter(name="sentiment").delete()
    assert run(job).state == JobState.CANCELLED
    assert not TrainedHead.objects.exists()


@pytest.mark.parametrize(
    ("answers", "agreed"),
    [
        (["a"], "a"),
        (["a", "b", "a"], "a"),
        (["a", "b"], None),
        ([3, 3, 1], 3),
        ([["a", "b"]], ["a", "b"]),
        ([["a", "b"], ["b"]], ["b"]),
        ([["a"], ["b"]], []),
        ([["a"], ["a", "c"], ["c", "a"]], ["a", "c"]),
    ],
)
def test_people_agree_by_majority(answers: list[Any], agreed: Any) -> None:
    assert majority(answers) == agreed
