"""Drafts are no records until a person accepts them, and can be had back."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.annotation.distribution import claim
from apps.annotation.services import save_response
from apps.core.errors import LimitReachedError
from apps.core.tenancy import current, enter
from apps.datasets.edits import read_edit
from apps.datasets.models import Dataset
from apps.datasets.schema import load_schema
from apps.drafts import writing
from apps.drafts.inputs import DraftInput, Origin, Verdict
from apps.drafts.models import Draft, DraftState
from apps.drafts.services import (
    Outcome,
    accept_drafts,
    discard_drafts,
    judge_drafts,
    restore_drafts,
)
from apps.drafts.writing import check_room, write_drafts
from apps.exchange.exporter import export_pages
from apps.jobs.models import Job
from apps.organizations.models import Membership, Organization, RecordVolume
from apps.quality.schema_changes.services import apply_edit
from apps.quality.talk import add_comment, flag_record
from apps.records.models import DatasetCounter, Record, RecordStatus, Suggestion
from apps.records.services import update_record
from apps.search.query import Words
from apps.search.search import search_records
from tests.factories import make_dataset, make_member, make_organization, make_records

TEXTS = [
    "My card was charged twice for one dinner.",
    "Why does the cash machine keep my card?",
    "I would like to close my account today.",
]


@pytest.fixture
def dataset(organization: Organization) -> Dataset:
    return make_dataset()


@pytest.fixture
def job(dataset: Dataset) -> Job:
    return Job.objects.create(kind="recipe", dataset_id=dataset.id, params={})


@pytest.fixture
def admin(dataset: Dataset) -> Membership:
    return make_member(role="admin", workspace=dataset.workspace)


def origin_of(job: Job) -> Origin:
    return Origin(job.id, "like_this", "acme/tiny@3", uuid4())


def inputs(texts: list[str] = TEXTS, **values: Any) -> list[DraftInput]:
    return [DraftInput(seq=n, fields={"text": text}, **values) for n, text in enumerate(texts)]


def write(job: Job, drafts: list[DraftInput] | None = None, **how: Any) -> list[Draft]:
    dataset = Dataset.objects.get(id=job.dataset_id)
    given = inputs() if drafts is None else drafts
    return write_drafts(dataset=dataset, origin=origin_of(job), drafts=given, **how)


def everything(dataset: Dataset) -> Any:
    return Draft.objects.of_dataset(dataset)


# --- Outside, they are not there --------------------------------------------------------------
def test_no_reader_of_records_comes_upon_a_draft(dataset: Dataset, job: Job) -> None:
    write(job)
    person = make_member(workspace=dataset.workspace)
    assert Record.objects.count() == 0
    assert DatasetCounter.objects.get(dataset=dataset).records == 0
    assert RecordVolume.objects.get().records == 0
    assert claim(dataset=dataset, annotator=person) == []
    assert search_records(schema=load_schema(dataset), words=Words("card")).total == 0
    pages = export_pages(
        organization_id=current(), dataset_id=dataset.id, statuses=RecordStatus.values
    )
    assert list(pages) == []


def test_an_accepted_draft_is_a_record_like_any_other(
    dataset: Dataset, job: Job, admin: Membership
) -> None:
    (parent,) = make_records(dataset)
    suggestion = {"question": "sentiment", "value": "negative", "score": 0.7}
    (draft,) = write(
        job,
        inputs(TEXTS[:1], parents=(parent.id,), suggestions=[suggestion], metadata={"style": "x"}),
    )
    outcome = accept_drafts(dataset=dataset, drafts=everything(dataset), member=admin)
    assert (outcome.taken, outcome.left, outcome.refused) == (1, 0, {})
    draft.refresh_from_db()
    record = Record.objects.get(id=draft.record_id)
    assert record.fields == {"text": TEXTS[0]}
    assert record.external_id == str(draft.id)
    assert record.metadata == {
        "style": "x",
        "synthetic": True,
        "recipe": "like_this",
        "agent": "acme/tiny@3",
        "job": str(job.id),
        "prompt_version": str(draft.prompt_version_id),
        "parents": [str(parent.id)],
    }
    found = Suggestion.objects.get(record=record)
    assert (found.value, found.score, found.agent, found.type) == (
        "negative",
        0.7,
        "acme/tiny@3",
        "model",
    )
    assert (draft.state, draft.decided_by_id) == (DraftState.ACCEPTED, admin.id)
    assert search_records(schema=load_schema(dataset), words=Words("dinner")).total == 1
    assert DatasetCounter.objects.get(dataset=dataset).records == 2


def test_accepting_twice_makes_no_second_record(
    dataset: Dataset, job: Job, admin: Membership
) -> None:
    write(job)
    accept_drafts(dataset=dataset, drafts=everything(dataset), member=admin)
    again = accept_drafts(dataset=dataset, drafts=everything(dataset), member=admin)
    assert again.taken == 0
    assert Record.objects.count() == len(TEXTS)


def test_provenance_obeys_the_dataset(job: Job, dataset: Dataset, admin: Membership) -> None:
    Dataset.objects.filter(id=dataset.id).update(allow_extra_metadata=False)
    dataset.refresh_from_db()
    write(job, inputs(TEXTS[:1], metadata={"style": "x"}))
    outcome = accept_drafts(dataset=dataset, drafts=everything(dataset), member=admin)
    assert outcome.refused == {}
    assert Record.objects.get().metadata == {}


def test_what_the_dataset_would_not_take_stays_with_a_reason(
    dataset: Dataset, job: Job, admin: Membership
) -> None:
    good, bad = write(
        job,
        [
            DraftInput(seq=0, fields={"text": TEXTS[0]}),
            DraftInput(seq=1, fields={"text": TEXTS[1], "other": "?"}),
        ],
    )
    outcome = accept_drafts(dataset=dataset, drafts=everything(dataset), member=admin)
    assert outcome.taken == 1
    assert "other" in outcome.refused[bad.id]
    assert set(everything(dataset).waiting()) == {bad}
    assert Draft.objects.get(id=good.id).state == DraftState.ACCEPTED


def test_the_plan_has_the_last_word(dataset: Dataset, job: Job, admin: Membership) -> None:
    write(job)
    RecordVolume.objects.update(record_limit=2)
    with pytest.raises(LimitReachedError), transaction.atomic():
        accept_drafts(dataset=dataset, drafts=everything(dataset), member=admin)
    assert Record.objects.count() == 0
    assert everything(dataset).waiting().count() == len(TEXTS)


# --- Taking it back ------------------------------------------------------------------------------
def test_a_decision_can_be_taken_back(dataset: Dataset, job: Job, admin: Membership) -> None:
    first, *others = write(job)
    one = accept_drafts(
        dataset=dataset, drafts=everything(dataset).filter(id=first.id), member=admin
    )
    rest = discard_drafts(dataset=dataset, drafts=everything(dataset), member=admin)
    assert (one.taken, rest.taken) == (1, len(others))
    back = restore_drafts(dataset=dataset, drafts=everything(dataset).filter(decision=one.decision))
    assert back.taken == 1
    assert set(everything(dataset).waiting()) == {first}
    assert Record.objects.count() == 0
    assert DatasetCounter.objects.get(dataset=dataset).records == 0
    restore_drafts(dataset=dataset, drafts=everything(dataset))
    assert everything(dataset).waiting().count() == len(TEXTS)


def answer(record: Record, person: Membership) -> None:
    values = {"sentiment": {"value": "mixed"}}
    save_response(record=record, annotator=person, status="submitted", values=values)


def flag(record: Record, person: Membership) -> None:
    flag_record(record=record, member=person)


def comment(record: Record, person: Membership) -> None:
    add_comment(record=record, author=person, text="Odd.")


def rewrite(record: Record, person: Membership) -> None:
    update_record(record=record, fields={"text": "Put right by hand."})


def describe(record: Record, person: Membership) -> None:
    metadata = {**record.metadata, "source": "a book"}
    update_record(record=record, metadata=metadata, sets_metadata=True)


@pytest.mark.parametrize("work", [answer, flag, comment, rewrite, describe])
def test_a_record_that_people_have_worked_on_is_not_taken_back(
    dataset: Dataset, job: Job, admin: Membership, work: Callable[[Record, Membership], None]
) -> None:
    drafts = write(job)
    outcome = accept_drafts(dataset=dataset, drafts=everything(dataset), member=admin)
    record = Record.objects.get(external_id=str(drafts[1].id))
    work(record, make_member(workspace=dataset.workspace))
    mine = everything(dataset).filter(decision=outcome.decision)
    back = restore_drafts(dataset=dataset, drafts=mine)
    assert (back.taken, set(back.refused)) == (2, {drafts[1].id})
    assert [record.id for record in Record.objects.all()] == [record.id]


def test_a_record_whose_job_is_gone_is_as_it_came(
    dataset: Dataset, job: Job, admin: Membership
) -> None:
    write(job, inputs(metadata={"style": "x"}))
    accept_drafts(dataset=dataset, drafts=everything(dataset), member=admin)
    job.delete()
    assert Record.objects.filter(metadata__has_key="job").count() == len(TEXTS)
    back = restore_drafts(dataset=dataset, drafts=everything(dataset))
    assert (back.taken, back.refused) == (len(TEXTS), {})


def test_decisions_are_made_in_portions(
    dataset: Dataset, job: Job, admin: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.drafts.services.AT_ONCE", 2)
    write(job)
    first = discard_drafts(dataset=dataset, drafts=everything(dataset), member=admin)
    second = discard_drafts(dataset=dataset, drafts=everything(dataset), member=admin)
    assert [(one.taken, one.left) for one in (first, second)] == [(2, 1), (1, 0)]


Decide = Callable[[UUID | None], Outcome]


def all_portions(decide: Decide) -> list[tuple[int, int, int]]:
    """What each call took, refused and left, as long as there is one to make."""
    last, found = None, []
    while not found or found[-1][2]:
        outcome = decide(last)
        last = outcome.last
        found.append((outcome.taken, len(outcome.refused), outcome.left))
        assert len(found) < 9, "it does not end"
    return found


def test_the_refused_do_not_stand_in_the_way_of_the_others(
    dataset: Dataset, job: Job, admin: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.drafts.services.AT_ONCE", 2)
    texts = [f"Text number {number} of five." for number in range(5)]
    bad = [DraftInput(seq=n, fields={"text": texts[n], "other": "?"}) for n in range(3)]
    good = [DraftInput(seq=n, fields={"text": texts[n]}) for n in (3, 4)]
    drafts = write(job, [*bad, *good])

    def accept(after: UUID | None) -> Outcome:
        chosen = everything(dataset)
        return accept_drafts(dataset=dataset, drafts=chosen, member=admin, after=after)

    assert all_portions(accept) == [(0, 2, 3), (1, 1, 1), (1, 0, 0)]
    assert set(everything(dataset).waiting()) == set(drafts[:3])


def test_records_that_stay_do_not_stand_in_the_way_of_the_others(
    dataset: Dataset, job: Job, admin: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    drafts = write(job)
    accept_drafts(dataset=dataset, drafts=everything(dataset), member=admin)
    flag(Record.objects.get(external_id=str(drafts[0].id)), admin)
    monkeypatch.setattr("apps.drafts.services.AT_ONCE", 1)

    def restore(after: UUID | None) -> Outcome:
        return restore_drafts(dataset=dataset, drafts=everything(dataset), after=after)

    assert all_portions(restore) == [(0, 1, 2), (1, 0, 1), (1, 0, 0)]


def test_another_datasets_drafts_are_out_of_reach(job: Job, admin: Membership) -> None:
    write(job)
    other = make_dataset()
    assert accept_drafts(dataset=other, drafts=Draft.objects.all(), member=admin).taken == 0
    assert discard_drafts(dataset=other, drafts=Draft.objects.all(), member=admin).taken == 0
    assert Draft.objects.waiting().count() == len(TEXTS)


# --- What is written --------------------------------------------------------------------------
def test_writing_again_stores_nothing(job: Job) -> None:
    assert len(write(job)) == len(TEXTS)
    assert write(job) == []


def test_the_same_in_other_letters_is_no_news(job: Job) -> None:
    given = inputs(["Where is my card?", "where  is my CARD?", "Where is my ｃard?"])
    assert len(write(job, given)) == 1


def test_a_key_tells_equal_texts_apart(job: Job) -> None:
    given = [
        DraftInput(seq=0, ordinal=n, fields={"text": "Hello there"}, key=key)
        for n, key in enumerate("ab")
    ]
    assert len(write(job, given)) == 2


ALIKE = "My card was charged twice for one dinner!"


def test_near_repetitions_are_marked_or_refused(dataset: Dataset, job: Job) -> None:
    first = write(job)[0]
    later = [DraftInput(seq=9, fields={"text": ALIKE})]
    (marked,) = write(job, later)
    assert marked.like == first.id
    assert write(job, [DraftInput(seq=10, fields={"text": ALIKE + "!"})], refuses_like=True) == []


def test_near_repetitions_within_one_write_are_refused(job: Job) -> None:
    given = inputs([TEXTS[0], ALIKE, TEXTS[1]])
    assert [draft.seq for draft in write(job, given, refuses_like=True)] == [0, 2]


def test_sources_are_not_repeated(job: Job) -> None:
    source = uuid4()
    given = inputs([ALIKE, TEXTS[1]])
    assert len(write(job, given, refuses_like=True, sources={source: TEXTS[0]})) == 1


def test_a_discarded_draft_may_come_again_from_another_job(
    dataset: Dataset, job: Job, admin: Membership
) -> None:
    write(job)
    discard_drafts(dataset=dataset, drafts=everything(dataset), member=admin)
    other = Job.objects.create(kind="recipe", dataset_id=dataset.id, params={})
    assert len(write(other, refuses_like=True)) == len(TEXTS)


def test_only_the_compared_fields_count(dataset: Dataset, job: Job) -> None:
    from apps.datasets.models import Field

    Field.objects.create(dataset=dataset, name="context", title="C", settings={"type": "text"})
    Dataset.objects.filter(id=dataset.id).update(schema_version=1)
    context = "A long passage that all of them share. " * 20
    given = [
        DraftInput(seq=n, fields={"text": text, "context": context}) for n, text in enumerate(TEXTS)
    ]
    stored = write(job, given, refuses_like=True, compared=["text"])
    assert len(stored) == len(TEXTS)


def test_no_more_than_there_is_room_for(job: Job) -> None:
    given = [
        DraftInput(seq=n, fields={"text": text}, group=group)
        for n, (text, group) in enumerate(zip(TEXTS, ["a", "a", "b"], strict=True))
    ]
    stored = write(job, given, room={"a": 1, "c": 5})
    assert [draft.group for draft in stored] == ["a"]


def test_there_is_an_end_to_waiting(
    dataset: Dataset, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(job)
    monkeypatch.setattr(writing, "MAX_WAITING", 4)
    check_room(dataset, 1)
    with pytest.raises(LimitReachedError, match="3 drafts wait already"):
        check_room(dataset, 2)


# --- Verdicts ------------------------------------------------------------------------------------
def test_filters_give_reasons_and_decide_nothing(job: Job) -> None:
    first, second, _ = write(job)
    judge_drafts(filter="language", verdicts=[Verdict(first.id, True), Verdict(second.id, False)])
    low = Verdict(first.id, False, "says nothing", 0.2, {"quality": 1})
    judge_drafts(filter="quality", verdicts=[low, Verdict(second.id, True, score=0.9)])
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.keep, first.score, second.keep, second.score) == (False, 0.2, False, 0.9)
    assert first.metadata == {"quality": 1}
    assert [reason["filter"] for reason in first.reasons] == ["language", "quality"]
    assert {draft.state for draft in Draft.objects.all()} == {DraftState.WAITING}


def test_a_filters_second_verdict_replaces_its_first(job: Job) -> None:
    first, *_ = write(job)
    judge_drafts(filter="length", verdicts=[Verdict(first.id, False, "too short")])
    judge_drafts(filter="length", verdicts=[Verdict(first.id, True)])
    first.refresh_from_db()
    assert (first.keep, len(first.reasons)) == (True, 1)


# --- The table's own rules -----------------------------------------------------------------------
@pytest.mark.parametrize(
    ("constraint", "changes"),
    [
        ("draft_state_known", {"state": "lost", "decision": uuid4(), "decided_at": timezone.now()}),
        ("draft_decided_has_decision", {"state": "accepted"}),
        ("draft_decided_has_decision", {"decision": uuid4()}),
    ],
)
def test_the_table_refuses_what_makes_no_sense(
    job: Job, constraint: str, changes: dict[str, Any]
) -> None:
    write(job)
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Draft.objects.update(**changes)


def test_only_an_accepted_draft_has_a_record(dataset: Dataset, job: Job) -> None:
    write(job)
    (record,) = make_records(dataset)
    with pytest.raises(IntegrityError, match="draft_with_record_is_accepted"), transaction.atomic():
        Draft.objects.update(record=record)


@pytest.mark.parametrize(
    ("constraint", "seq", "digest"),
    [("draft_unique_in_job", 0, "new"), ("draft_says_something_new", 7, None)],
)
def test_a_job_says_nothing_twice(job: Job, constraint: str, seq: int, digest: str | None) -> None:
    first, *_ = write(job)
    copy = Draft.objects.get(id=first.id)
    copy.pk, copy.seq, copy.digest = uuid4(), seq, digest or first.digest
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        copy.save(force_insert=True)


def test_drafts_are_seen_where_their_dataset_is(dataset: Dataset, job: Job) -> None:
    write(job)
    inside, outside = make_member(workspace=dataset.workspace), make_member()
    assert Draft.objects.visible_to(inside).count() == len(TEXTS)
    assert Draft.objects.visible_to(outside).count() == 0


def test_drafts_stay_in_their_organization(db: None) -> None:
    ours, theirs = make_organization(), make_organization()
    with enter(ours.id):
        dataset = make_dataset()
        write(Job.objects.create(kind="recipe", dataset_id=dataset.id, params={}))
    with enter(theirs.id):
        assert Draft.objects.count() == 0


def test_a_job_that_is_deleted_leaves_its_drafts(job: Job) -> None:
    draft, *_ = write(job)
    Job.objects.filter(id=job.id)._raw_delete("default")  # type: ignore[attr-defined]
    draft.refresh_from_db()
    assert draft.job_id is None
    assert isinstance(draft.id, UUID)


def test_drafts_speak_of_the_questions_as_they_are(
    dataset: Dataset, job: Job, admin: Membership
) -> None:
    said = [
        {"question": "sentiment", "value": value, "score": 0.5} for value in ("negative", "mixed")
    ]
    drafts = [
        DraftInput(seq=n, fields={"text": TEXTS[n]}, suggestions=[one])
        for n, one in enumerate(said)
    ]
    first, second = write(job, drafts)
    for edit in (
        {"kind": "rename_label", "label": "negative", "to": {"value": "bad", "text": "Bad"}},
        {"kind": "remove_label", "label": "mixed"},
        {"kind": "rename_question", "to": "mood", "title": "Mood"},
    ):
        change = read_edit({"question": "sentiment", **edit})
        apply_edit(dataset=dataset, edit=change, created_by=admin)
    dataset = Dataset.objects.select_related("workspace").get(id=dataset.id)
    outcome = accept_drafts(dataset=dataset, drafts=everything(dataset), member=admin)
    assert (outcome.taken, list(outcome.refused)) == (1, [second.id])
    suggestion = Suggestion.objects.select_related("record", "question").get()
    assert (suggestion.value, suggestion.score) == ("bad", 0.5)
    assert suggestion.question.name == "mood"
    assert suggestion.record.fields == first.fields
