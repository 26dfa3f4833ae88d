"""What waits for a reviewer and why, who holds it, and what a decision does."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from apps.annotation.models import Response, ResponseStatus
from apps.annotation.services import delete_response
from apps.core.errors import ConflictError, InvalidError, NotFoundError
from apps.core.tenancy import current
from apps.datasets.models import Dataset, Question
from apps.datasets.schema import load_schema
from apps.events.models import Event
from apps.jobs.engine import run_slice
from apps.jobs.models import Job
from apps.organizations.models import Membership
from apps.quality import causes, review, talk
from apps.quality.decisions import ChangedMeanwhileError, Ruling, decide, send_back, what_is_seen
from apps.quality.models import (
    Adjudication,
    Comment,
    DatasetReview,
    Feedback,
    Flag,
    GuidelineGap,
    Mention,
    ReviewCause,
    ReviewItem,
)
from apps.records.models import Record, RecordStatus, Suggestion
from tests.factories import make_dataset, make_member, make_records, make_workspace
from tests.quality.conftest import answer

ALL = review.Filters()
People = list[Membership]


@pytest.fixture
def people(organization: object) -> People:
    return [make_member(username=name) for name in ("ana", "bo", "cy", "dan", "eve")]


@pytest.fixture
def reviewer(organization: object) -> Membership:
    return make_member(role="reviewer", username="rita")


@pytest.fixture
def dataset(organization: object) -> Dataset:
    dataset = make_dataset(
        make_workspace(), questions=["sentiment", "quality", "comment"], min_submitted=2
    )
    DatasetReview.objects.create(dataset=dataset, random_percent=0)
    return dataset


def say(record: Record, people: People, *labels: str) -> None:
    for person, label in zip(people, labels, strict=False):
        answer(record, person, sentiment=label)


def refresh(dataset: Dataset) -> Job:
    job = review.start_refresh(dataset=dataset)
    assert job is not None
    run_slice(organization_id=current(), job_id=job.id)
    job.refresh_from_db()
    assert (job.state, job.error_sample) == ("done", [])
    return job


def waiting(dataset: Dataset) -> dict[Any, list[str]]:
    rows = ReviewCause.objects.filter(dataset=dataset).order_by("reason")
    found: dict[Any, list[str]] = {}
    for row in rows:
        found.setdefault(row.record_id, []).append(row.reason)
    return found


def test_who_disagrees_waits_once_the_record_is_completed(dataset: Dataset, people: People) -> None:
    one, two, three = make_records(dataset, 3)
    say(one, people, "mixed", "positive")
    say(two, people, "mixed", "mixed")
    say(three, people, "mixed")
    refresh(dataset)
    assert waiting(dataset) == {one.id: ["disagreement"]}
    cause = ReviewCause.objects.get()
    assert (cause.question and cause.question.name, cause.score) == ("sentiment", 0)
    answer(one, people[0], sentiment="positive")
    refresh(dataset)
    assert waiting(dataset) == {}
    assert not ReviewItem.objects.exists()


def test_a_refresh_passes_over_what_cannot_wait(
    dataset: Dataset, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody answered most of a large dataset; pages hold the rest, however they fall."""
    monkeypatch.setattr(review, "PAGE", 2)
    records = make_records(dataset, 30)
    for record in records[::5]:
        say(record, people, "mixed", "positive")
    flagged = records[11]
    for person in people:  # several flags on one record, before others of a page
        talk.flag_record(record=flagged, member=person, note="")
    before = records[5]
    DatasetReview.objects.filter(dataset=dataset).update(random_percent=0)
    assert refresh(dataset).total == 7
    assert set(waiting(dataset)) == {flagged.id, *(record.id for record in records[::5])}
    delete_response(response=Response.objects.get(record=before, user=people[0]))
    ReviewItem.objects.get(record=before)  # it is no longer complete, and in the queue
    assert refresh(dataset).total == 7
    assert before.id not in waiting(dataset)
    assert refresh(dataset).total == 6


def test_what_is_completed_after_the_planning_is_looked_at(
    dataset: Dataset, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review, "PAGE", 2)
    records = make_records(dataset, 6)
    for record in (records[0], records[3], records[4], records[5]):
        say(record, people, "mixed", "positive")
    job = review.start_refresh(dataset=dataset)
    assert job is not None
    run_slice(organization_id=current(), job_id=job.id, seconds=0)
    assert job.items.count() == 5  # two pages, and three questions
    for record in records[1:3]:
        say(record, people, "mixed", "positive")
    run_slice(organization_id=current(), job_id=job.id)
    assert set(waiting(dataset)) == {record.id for record in records}


def test_what_differs_from_the_model_waits(dataset: Dataset, people: People) -> None:
    records = make_records(dataset, 2)
    question = Question.objects.get(dataset=dataset, name="sentiment")
    for record, value in zip(records, ("negative", "mixed"), strict=True):
        say(record, people, "mixed", "mixed")
        Suggestion.objects.create(
            record=record,
            question=question,
            dataset_id=dataset.id,
            value=value,
            type="model",
            updated_at=timezone.now(),
        )
    refresh(dataset)
    assert waiting(dataset) == {records[0].id: ["model"]}


def test_a_share_is_drawn_the_same_every_time(dataset: Dataset, people: People) -> None:
    records = make_records(dataset, 60)
    Record.objects.filter(dataset=dataset).update(status=RecordStatus.COMPLETED)
    DatasetReview.objects.filter(dataset=dataset).update(random_percent=30)
    refresh(dataset)
    first = waiting(dataset)
    refresh(dataset)
    assert waiting(dataset) == first
    assert 5 < len(first) < 35
    assert set(first) == {record.id for record in records if causes.is_drawn(record.id, 30)}
    assert not any(causes.is_drawn(record.id, 0) for record in records)
    assert all(causes.is_drawn(record.id, 100) for record in records)


def test_the_crowd_tells_what_is_uncertain(dataset: Dataset, people: People) -> None:
    """Three are always right, two press keys at random: what only these two say is unsure."""
    labels = ("positive", "negative", "mixed")
    records = make_records(dataset, 24)
    for number, record in enumerate(records):
        right = labels[number % 3]
        say(record, people, right, right, right, labels[number % 2], labels[(number // 2) % 3])
    odd, *_ = make_records(dataset, 1)
    say(odd, people[3:], "positive", "mixed")
    refresh(dataset)
    uncertain = {id for id, reasons in waiting(dataset).items() if "uncertain" in reasons}
    assert uncertain == {odd.id}
    settings = DatasetReview.objects.get(dataset=dataset)
    question = Question.objects.get(dataset=dataset, name="sentiment")
    assert 0.2 < settings.agreement[str(question.id)] < 0.8


def test_few_answers_are_not_left_to_the_crowds_model(dataset: Dataset, people: People) -> None:
    for record in make_records(dataset, 6):
        say(record, people, "mixed", "positive")
    refresh(dataset)
    assert {tuple(reasons) for reasons in waiting(dataset).values()} == {("disagreement",)}


def test_a_flag_waits_at_once_and_is_settled_by_the_decision(
    dataset: Dataset, people: People, reviewer: Membership
) -> None:
    (record,) = make_records(dataset, 1)
    talk.flag_record(record=record, member=people[0], note="Sarcasm?")
    talk.flag_record(record=record, member=people[0], note="Sarcasm, I think.")
    assert waiting(dataset) == {record.id: ["flagged"]}
    talk.unflag_record(record=record, member=people[0])
    assert waiting(dataset) == {}
    talk.flag_record(record=record, member=people[0])
    ruling = Ruling({"sentiment": {"value": "mixed"}})
    decide(record=record, reviewer=reviewer, ruling=ruling)
    assert not ReviewItem.objects.exists()
    assert not Flag.objects.exists()
    kinds = list(Event.objects.order_by("id").values_list("kind", flat=True))
    assert kinds[-1] == "adjudication.created"


# --- Holding -------------------------------------------------------------------------------------
def test_two_reviewers_get_different_records(
    dataset: Dataset, people: People, reviewer: Membership
) -> None:
    records = make_records(dataset, 3)
    for record in records:
        say(record, people, "mixed", "positive")
    refresh(dataset)
    other = make_member(role="reviewer")

    def taken(who: Membership, **more: Any) -> Any:
        item = review.take_next(dataset=dataset, reviewer=who, filters=ALL, **more)
        return item and item.record_id

    assert taken(reviewer) == records[0].id
    assert taken(other) == records[1].id
    assert taken(reviewer) == records[0].id, "still in hand"
    assert taken(reviewer, after=records[0].id) == records[2].id
    assert taken(other, after=records[1].id) == records[0].id, "given back, and around the end"
    ruling = Ruling({"sentiment": {"value": "mixed"}})
    with pytest.raises(ConflictError, match="rita is reviewing"):
        decide(record=records[2], reviewer=other, ruling=ruling)
    ReviewItem.objects.update(held_until=timezone.now() - timedelta(seconds=1))
    decide(record=records[2], reviewer=other, ruling=ruling)


def test_looking_ahead_holds_the_record_before_on(
    dataset: Dataset, people: People, reviewer: Membership
) -> None:
    """Who decides one after the other is never left with a hold that the first look took."""
    records = make_records(dataset, 3)
    for record in records:
        say(record, people, "mixed", "positive")
    refresh(dataset)
    first, second, third = (record.id for record in records)
    look = {"dataset": dataset, "reviewer": reviewer, "filters": ALL}
    assert review.take_next(**look) is not None
    for after, found in ((first, second), (second, third)):
        item = review.take_next(**look, after=after, is_ahead=True)
        assert item is not None
        assert item.record_id == found
        nearly = timezone.now() + timedelta(seconds=30)
        ReviewItem.objects.filter(held_by=reviewer).update(held_until=nearly)
    review.take_next(**look, after=second, is_ahead=True)
    lasting = ReviewItem.objects.filter(held_by=reviewer, held_until__gt=nearly)
    assert set(lasting.values_list("record_id", flat=True)) == {second, third}
    other = make_member(role="reviewer")
    ReviewItem.objects.filter(record=second).update(held_by=other)
    review.take_next(**look, after=second, is_ahead=True)
    assert ReviewItem.objects.get(record=second).held_by_id == other.id


def test_filters_narrow_the_queue(dataset: Dataset, people: People, reviewer: Membership) -> None:
    one, two = make_records(dataset, 2)
    say(one, people[:2], "mixed", "positive")
    say(two, people[2:4], "mixed", "positive")
    talk.flag_record(record=two, member=people[0])
    refresh(dataset)
    question = Question.objects.get(dataset=dataset, name="sentiment")
    quality = Question.objects.get(dataset=dataset, name="quality")

    def found(**filters: Any) -> list[Any]:
        items = review.Filters(**filters).items(dataset)
        return list(items.values_list("record_id", flat=True))

    assert found(reason="flagged") == [two.id]
    assert found(question_id=question.id) == [one.id, two.id]
    assert found(question_id=quality.id) == []
    assert found(person_id=people[0].id) == [one.id]
    assert review.count_reasons(dataset) == {"disagreement": 2, "flagged": 1}


# --- Deciding ------------------------------------------------------------------------------------
@pytest.fixture
def disputed(dataset: Dataset, people: People) -> Record:
    (record,) = make_records(dataset, 1)
    answer(record, people[0], sentiment="mixed", comment="as it is")
    say(record, people[1:2], "positive")
    refresh(dataset)
    return record


def seen(record: Record) -> Any:
    decided = Adjudication.objects.filter(record=record).first()
    return what_is_seen(Response.objects.submitted().filter(record=record), decided)


MIXED = Ruling({"sentiment": {"value": "mixed"}}, ["comment"], " Praise and blame cancel out. ")


def test_a_decision_is_kept_and_told(
    disputed: Record, people: People, reviewer: Membership
) -> None:
    decide(record=disputed, reviewer=reviewer, ruling=MIXED, seen=seen(disputed))
    kept = Adjudication.objects.get()
    assert (kept.values, kept.ambiguous) == (MIXED.values, ["comment"])
    assert kept.note == "Praise and blame cancel out."
    told = {row.user_id: row for row in Feedback.objects.all()}
    assert (told[people[0].id].kind, told[people[0].id].ambiguous) == ("changed", ["comment"])
    assert told[people[1].id].kind == "changed"
    assert told[people[1].id].before == {"sentiment": {"value": "positive"}}
    assert told[people[1].id].after == MIXED.values
    refresh(disputed.dataset)
    assert waiting(disputed.dataset) == {}, "decided once"
    again = Ruling({"sentiment": {"value": "positive"}})
    decide(record=disputed, reviewer=reviewer, ruling=again, seen=seen(disputed))
    told = {row.user_id: row.kind for row in Feedback.objects.all()}
    assert told == {people[0].id: "changed", people[1].id: "confirmed"}


def test_the_model_learns_from_what_was_decided(
    disputed: Record, people: People, reviewer: Membership
) -> None:
    decide(record=disputed, reviewer=reviewer, ruling=MIXED)
    schema = load_schema(disputed.dataset)
    crowd = causes.load_crowd(schema, schema.questions["sentiment"])
    assert crowd is not None
    assert crowd.known == {0: crowd.values.index("mixed")}


def test_a_decision_on_what_has_changed_is_refused(
    disputed: Record, people: People, reviewer: Membership
) -> None:
    before = seen(disputed)
    answer(disputed, people[1], sentiment="negative")
    with pytest.raises(ChangedMeanwhileError, match="bo") as refusal:
        decide(record=disputed, reviewer=reviewer, ruling=MIXED, seen=before)
    assert refusal.value.people == [people[1]]
    before = seen(disputed)
    delete_response(response=Response.objects.get(user=people[1]))
    with pytest.raises(ChangedMeanwhileError):
        decide(record=disputed, reviewer=reviewer, ruling=MIXED, seen=before)
    before = seen(disputed)
    decide(record=disputed, reviewer=make_member(username="sam"), ruling=MIXED)
    with pytest.raises(ChangedMeanwhileError, match="sam decided"):
        decide(record=disputed, reviewer=reviewer, ruling=MIXED, seen=before)
    assert Adjudication.objects.count() == 1


@pytest.mark.parametrize(
    "ruling",
    [
        Ruling({}),
        Ruling({"sentiment": {"value": "happy"}}),
        Ruling({"sentiment": "mixed"}),
        Ruling({"gone": {"value": "x"}}),
        Ruling({}, ["gone"]),
        Ruling({"quality": {"value": 9}}),
    ],
)
def test_a_wrong_decision_is_refused(
    disputed: Record, reviewer: Membership, ruling: Ruling
) -> None:
    with pytest.raises(InvalidError):
        decide(record=disputed, reviewer=reviewer, ruling=ruling)
    assert not Adjudication.objects.exists()
    assert waiting(disputed.dataset)


def test_a_record_that_is_gone_cannot_be_decided(disputed: Record, reviewer: Membership) -> None:
    Record.objects.filter(id=disputed.id).delete()
    with pytest.raises(NotFoundError):
        decide(record=disputed, reviewer=reviewer, ruling=MIXED)


def test_what_is_sent_back_is_a_draft_and_waits_for_its_author(
    disputed: Record, people: People, reviewer: Membership
) -> None:
    answer(disputed, people[2], sentiment="negative")  # completed without bo, too
    response = Response.objects.get(user=people[1])
    with pytest.raises(InvalidError):
        send_back(response=response, reviewer=reviewer, note=" ")
    send_back(response=response, reviewer=reviewer, note="Read it again.", seen=seen(disputed))
    response.refresh_from_db()
    assert (response.status, response.values) == ("draft", {"sentiment": {"value": "positive"}})
    told = Feedback.objects.get()
    assert (told.kind, told.user_id, told.note) == ("returned", people[1].id, "Read it again.")
    assert told.before == response.values
    refresh(disputed.dataset)
    assert waiting(disputed.dataset) == {}, "it waits for bo"
    with pytest.raises(ConflictError):
        send_back(response=response, reviewer=reviewer, note="Again.")
    answer(disputed, people[1], sentiment="negative")
    refresh(disputed.dataset)
    assert waiting(disputed.dataset) == {disputed.id: ["disagreement"]}


def test_a_question_taken_out_meanwhile_does_not_stop_sending_back(
    disputed: Record, people: People, reviewer: Membership
) -> None:
    response = Response.objects.get(user=people[0])
    Question.objects.filter(name="comment").delete()
    Dataset.objects.filter(id=disputed.dataset_id).update(schema_version=99)
    send_back(response=response, reviewer=reviewer, note="Again, please.")
    assert Response.objects.get(id=response.id).values == {"sentiment": {"value": "mixed"}}
    assert Response.objects.get(id=response.id).status == ResponseStatus.DRAFT


# --- Talking -------------------------------------------------------------------------------------
def test_comments_tell_those_they_name(dataset: Dataset, reviewer: Membership) -> None:
    (record,) = make_records(dataset, 1)
    here = make_member(workspace=dataset.workspace, username="gil.b")
    make_member(username="far")
    text = "@gil.b. and @far, see mail@gil.b; @nobody @rita"
    comment = talk.add_comment(record=record, author=reviewer, text=text)
    assert [row.member_id for row in Mention.objects.all()] == [here.id]
    assert talk.count_unread(here) == (1, 0)
    assert talk.read_mentions(member=here, records=[record]) == 1
    assert talk.count_unread(here) == (0, 0)
    assert comment.text == text
    for wrong in ("", " \n", "x" * 10_001):
        with pytest.raises(InvalidError):
            talk.add_comment(record=record, author=reviewer, text=wrong)


def test_a_gap_is_resolved_once(dataset: Dataset, reviewer: Membership) -> None:
    (record,) = make_records(dataset, 1)
    gap = talk.report_gap(record=record, author=reviewer, text="What of sarcasm?")
    closed = talk.resolve_gap(gap=gap, member=reviewer, resolution="See section 3.")
    assert (closed.resolution, closed.resolved_by_id) == ("See section 3.", reviewer.id)
    with pytest.raises(ConflictError):
        talk.resolve_gap(gap=gap, member=reviewer)
    Record.objects.filter(id=record.id).delete()
    assert GuidelineGap.objects.get().record_id is None


def test_the_sweep_starts_a_refresh_after_new_answers(dataset: Dataset, people: People) -> None:
    (record,) = make_records(dataset, 1)
    say(record, people, "mixed", "positive")
    long_ago = timezone.now() - timedelta(hours=1)
    DatasetReview.objects.update(refreshed_at=long_ago)

    def due() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(review._DUE, [review.REST.total_seconds(), timezone.now()])
            return (current(), dataset.id) in cursor.fetchall()

    assert due()
    assert review._refresh(current(), dataset.id)
    assert not due(), "nothing is new"
    assert not review._refresh(current(), dataset.id), "one runs"


# --- The rules of the tables ---------------------------------------------------------------------
Break = Callable[[Record, Membership], Any]


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        (
            "dataset_review_percent_known",
            lambda r, m: DatasetReview.objects.update(random_percent=101),
        ),
        (
            "dataset_review_posterior_known",
            lambda r, m: DatasetReview.objects.update(least_certain=-0.1),
        ),
        ("review_cause_reason_known", lambda r, m: ReviewCause.objects.update(reason="mood")),
        (
            "review_cause_unique",
            lambda r, m: [
                ReviewCause.objects.create(
                    record_id=r.id, dataset_id=r.dataset_id, reason="flagged"
                )
                for _ in range(2)
            ],
        ),
        (
            "adjudication_pkey",
            lambda r, m: [
                Adjudication.objects.bulk_create(
                    [Adjudication(record=r, dataset_id=r.dataset_id, decided_at=timezone.now())]
                )
                for _ in range(2)
            ],
        ),
        (
            "feedback_kind_known",
            lambda r, m: Feedback.objects.create(
                record=r, dataset_id=r.dataset_id, user=m, kind="praised"
            ),
        ),
        ("comment_text_given", lambda r, m: Comment.objects.create(record=r, author=m, text="")),
        (
            "flag_unique_per_person",
            lambda r, m: [Flag.objects.create(record=r, member=m) for _ in range(2)],
        ),
        (
            "guideline_gap_text_given",
            lambda r, m: GuidelineGap.objects.create(dataset_id=r.dataset_id, text=""),
        ),
        (
            "guideline_gap_resolved_has_time",
            lambda r, m: GuidelineGap.objects.create(
                dataset_id=r.dataset_id, text="x", resolution="y"
            ),
        ),
        (
            "mention_pkey",
            lambda r, m: Mention.objects.bulk_create(
                [Mention(comment=Comment.objects.create(record=r, text="x"), member=m)] * 2
            ),
        ),
    ],
)
def test_the_database_states_the_rule(
    disputed: Record, reviewer: Membership, name: str, harm: Break
) -> None:
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        harm(disputed, reviewer)


def test_rows_go_with_their_record_and_people_leave_only_their_name_behind(
    disputed: Record, people: People, reviewer: Membership
) -> None:
    talk.add_comment(record=disputed, author=people[3], text="Hm.")
    talk.flag_record(record=disputed, member=people[3])
    review.take_next(dataset=disputed.dataset, reviewer=people[3], filters=ALL)
    Membership.objects.filter(id=people[3].id).delete()
    assert Comment.objects.get().author_id is None
    assert ReviewItem.objects.get().held_by_id is None
    assert not Flag.objects.exists()
    decide(record=disputed, reviewer=reviewer, ruling=MIXED)
    Membership.objects.filter(id=reviewer.id).delete()
    assert Adjudication.objects.get().reviewer_id is None
    Record.objects.filter(id=disputed.id).delete()
    for model in (Adjudication, Feedback, Comment, ReviewItem, ReviewCause):
        assert not model.objects.exists()


def test_answers_of_a_question_that_is_gone_are_passed_over(
    dataset: Dataset, people: People
) -> None:
    (record,) = make_records(dataset, 1)
    say(record, people, "mixed", "positive")
    Response.objects.update(values={"gone": {"value": "x"}, "sentiment": {"value": "mixed"}})
    refresh(dataset)
    assert waiting(dataset) == {}
