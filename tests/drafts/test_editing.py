"""A person changes a draft before deciding; what the model wrote is kept, and marks follow."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.annotation.ingest import log_records
from apps.core.errors import ArchivedError, ConflictError, InvalidError, NotFoundError
from apps.core.tenancy import current
from apps.datasets.models import Dataset, Field, MetadataProperty, Question
from apps.drafts.comparing import compare_drafts
from apps.drafts.editing import Edit, RefusedEditError, edit_draft
from apps.drafts.inputs import DraftInput, Origin, Verdict
from apps.drafts.models import Draft
from apps.drafts.provenance import provenance
from apps.drafts.services import accept_drafts, judge_drafts, restore_drafts
from apps.drafts.writing import write_drafts
from apps.events.models import Event
from apps.jobs.engine import run_slice
from apps.jobs.models import Job
from apps.organizations.models import Membership, Organization
from apps.records.inputs import RecordInput
from apps.records.models import Record, Suggestion
from tests.factories import make_dataset, make_member

TEXT = "My card was charged twice for one dinner."
ALIKE = "My card was charged twice for one dinner!"
OTHER = "Why does the cash machine keep my card?"
NEW = "The app shows a transfer that I have never made."
SUGGESTED = {"question": "sentiment", "value": "negative", "score": 0.7}


@pytest.fixture
def dataset(organization: Organization) -> Dataset:
    return make_dataset()


@pytest.fixture
def admin(dataset: Dataset) -> Membership:
    return make_member(role="admin", workspace=dataset.workspace)


def write(dataset: Dataset, *texts: str, **how: Any) -> list[Draft]:
    job = Job.objects.create(kind="recipe", dataset_id=dataset.id, params={})
    inputs = [
        DraftInput(seq=n, fields={"text": text}, metadata={"style": "x"}, suggestions=[SUGGESTED])
        for n, text in enumerate(texts or (TEXT,))
    ]
    origin = Origin(job.id, "like_this", "acme/tiny@3", uuid4())
    return write_drafts(dataset=dataset, origin=origin, drafts=inputs, **how)


def edit(draft: Draft, member: Membership, version: str | None = None, **parts: Any) -> Draft:
    edit_draft(draft=draft, edit=Edit(**parts), member=member, version=version)
    return Draft.objects.get(id=draft.id)


def accept(draft: Draft, member: Membership) -> Record:
    mine = Draft.objects.filter(id=draft.id)
    outcome = accept_drafts(dataset=draft.dataset, drafts=mine, member=member)
    assert outcome.refused == {}
    return Record.objects.get(external_id=str(draft.id))


# --- What is kept of it --------------------------------------------------------------------------
def test_what_the_model_wrote_stays_beside_what_a_person_made_of_it(
    dataset: Dataset, admin: Membership
) -> None:
    (draft,) = write(dataset)
    draft = edit(draft, admin, fields={"text": NEW}, metadata={"style": "y", "more": 1})
    assert (draft.fields, draft.metadata) == ({"text": NEW}, {"style": "y", "more": 1})
    assert draft.written["fields"] == {"text": TEXT}
    assert draft.written["metadata"] == {"style": "x"}
    assert draft.edited_by_id == admin.id
    assert draft.edited_at is not None
    event = Event.objects.get(kind="draft.edited")
    assert event.payload == {"parts": ["fields.text", "metadata.style", "metadata.more"]}


def test_a_record_says_that_it_was_edited(dataset: Dataset, admin: Membership) -> None:
    (draft,) = write(dataset)
    positive = [{"question": "sentiment", "value": "positive"}]
    draft = edit(draft, admin, fields={"text": NEW}, suggestions=positive)
    record = accept(draft, admin)
    assert record.fields == {"text": NEW}
    assert record.metadata["edited"] == ["fields.text", "suggestions.sentiment"]
    assert record.metadata["edited_by"] == str(admin.id)
    assert record.metadata["edited_at"] == draft.version
    assert record.metadata["agent"] == "acme/tiny@3"
    found = Suggestion.objects.get(record=record)  # the model never said so
    assert (found.value, found.score, found.agent, found.type) == ("positive", None, None, "human")


def test_a_suggestion_that_nobody_changed_stays_the_models(
    dataset: Dataset, admin: Membership
) -> None:
    (draft,) = write(dataset)
    same = [{"question": "sentiment", "value": "negative"}]
    record = accept(edit(draft, admin, fields={"text": NEW}, suggestions=same), admin)
    found = Suggestion.objects.get(record=record)
    assert (found.score, found.agent, found.type) == (0.7, "acme/tiny@3", "model")


def test_the_first_writing_outlives_a_second_edit(dataset: Dataset, admin: Membership) -> None:
    (draft,) = write(dataset)
    edit(draft, admin, fields={"text": OTHER})
    draft = edit(draft, admin, fields={"text": NEW})
    assert draft.written["fields"] == {"text": TEXT}


def test_saying_what_the_model_wrote_is_no_edit(dataset: Dataset, admin: Membership) -> None:
    (draft,) = write(dataset)
    judge_drafts(filter="quality", verdicts=[Verdict(draft.id, keep=False, score=0.2)])
    edited = edit(draft, admin, fields={"text": NEW})
    assert (edited.reasons, edited.keep, edited.score) == ([], None, None)
    back = edit(draft, admin, fields={"text": TEXT})
    assert (back.written, back.edited_at, back.edited_by_id) == (None, None, None)
    assert (back.keep, back.score) == (False, 0.2)
    assert "edited" not in provenance(back)


def test_nothing_changed_leaves_no_trace(dataset: Dataset, admin: Membership) -> None:
    (draft,) = write(dataset)
    same = edit(draft, admin, fields={"text": TEXT}, metadata={"style": "x"}, suggestions=None)
    assert same.written is None
    assert not Event.objects.filter(kind="draft.edited").exists()


def test_a_number_is_no_truth_value(dataset: Dataset, admin: Membership) -> None:
    (draft,) = write(dataset)
    edit(draft, admin, metadata={"style": 1})
    assert edit(draft, admin, metadata={"style": True}).metadata["style"] is True


def test_a_filter_that_comes_later_is_no_editor(dataset: Dataset, admin: Membership) -> None:
    (draft,) = write(dataset)
    edit(draft, admin, fields={"text": NEW})
    judge_drafts(filter="quality", verdicts=[Verdict(draft.id, True, metadata={"quality": 1})])
    draft.refresh_from_db()
    assert provenance(draft)["edited"] == ["fields.text"]
    assert draft.keep is True


def test_a_decision_taken_back_leaves_the_edit(dataset: Dataset, admin: Membership) -> None:
    (draft,) = write(dataset)
    accept(edit(draft, admin, fields={"text": NEW}), admin)
    restore_drafts(dataset=dataset, drafts=Draft.objects.all())
    draft.refresh_from_db()
    assert (draft.fields, draft.written["fields"]) == ({"text": NEW}, {"text": TEXT})


# --- What is refused -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("parts", "place"),
    [
        ({"fields": {}}, "fields"),
        ({"fields": {"text": 7}}, "fields.text"),
        ({"fields": {"text": None}}, "fields.text"),
        ({"fields": {"text": NEW, "other": "?"}}, "fields.other"),
        ({"fields": {"text": "x" * 1_000_001}}, "fields.text"),
        ({"metadata": {"pages": "many"}}, "metadata.pages"),
        ({"metadata": {str(n): n for n in range(101)}}, "metadata"),
        ({"suggestions": [{"question": "mood", "value": "x"}]}, "suggestions.mood"),
        ({"suggestions": [{"question": "sentiment", "value": "x"}]}, "suggestions.sentiment"),
        ({"suggestions": [{**SUGGESTED, "score": 7}]}, "suggestions.sentiment"),
        ({"suggestions": [SUGGESTED, SUGGESTED]}, "suggestions.sentiment"),
    ],
)
def test_what_no_record_may_be_no_draft_becomes(
    dataset: Dataset, admin: Membership, parts: dict[str, Any], place: str
) -> None:
    MetadataProperty.objects.create(
        dataset=dataset, number=1, name="pages", title="P", settings={"type": "integer"}
    )
    (draft,) = write(dataset)
    with pytest.raises(RefusedEditError) as refused, transaction.atomic():
        edit(draft, admin, **parts)
    assert place in refused.value.reasons
    assert isinstance(refused.value, InvalidError)
    draft.refresh_from_db()
    assert (draft.fields, draft.written) == ({"text": TEXT}, None)


def test_all_that_is_wrong_is_said_at_once(dataset: Dataset, admin: Membership) -> None:
    (draft,) = write(dataset)
    bad = [{"question": "sentiment", "value": "x"}]
    with pytest.raises(RefusedEditError) as refused, transaction.atomic():
        edit(draft, admin, fields={"text": None}, suggestions=bad)
    assert set(refused.value.reasons) == {"fields.text", "suggestions.sentiment"}


def test_spans_must_fit_the_text_as_it_is_now(dataset: Dataset, admin: Membership) -> None:
    options = [{"value": "thing", "text": "Thing"}]
    Question.objects.create(
        dataset=dataset,
        name="marks",
        title="Marks",
        settings={"type": "span", "field": "text", "options": options},
    )
    Dataset.objects.filter(id=dataset.id).update(schema_version=1)
    dataset.refresh_from_db()
    (draft,) = write(dataset)
    span = {"label": "thing", "start": 3, "end": 7}
    draft = edit(draft, admin, suggestions=[{"question": "marks", "value": [span]}])
    with pytest.raises(RefusedEditError) as refused, transaction.atomic():
        edit(draft, admin, fields={"text": "Card"})
    assert set(refused.value.reasons) == {"suggestions.marks"}


def test_what_a_model_noted_beside_the_rules_hinders_nobody(
    dataset: Dataset, admin: Membership
) -> None:
    Dataset.objects.filter(id=dataset.id).update(allow_extra_metadata=False)
    (draft,) = write(dataset)
    assert edit(draft, admin, fields={"text": NEW}, metadata={"style": "x"}).written is not None
    with pytest.raises(RefusedEditError), transaction.atomic():
        edit(draft, admin, metadata={"style": "y"})


def test_two_do_not_overwrite_each_other(dataset: Dataset, admin: Membership) -> None:
    (draft,) = write(dataset)
    edit(draft, admin, version="", fields={"text": NEW})
    with pytest.raises(ConflictError, match="changed"), transaction.atomic():
        edit(draft, admin, version="", fields={"text": OTHER})


def test_what_is_decided_stays_as_it_is(dataset: Dataset, admin: Membership) -> None:
    (draft,) = write(dataset)
    accept(draft, admin)
    with pytest.raises(ConflictError, match="decided"), transaction.atomic():
        edit(draft, admin, fields={"text": NEW})


def test_what_is_gone_meanwhile_is_not_found(dataset: Dataset, admin: Membership) -> None:
    (draft,) = write(dataset)
    Draft.objects.filter(id=draft.id).delete()
    with pytest.raises(NotFoundError):
        edit_draft(draft=draft, edit=Edit(fields={"text": NEW}), member=admin)


def test_an_archived_dataset_stays_as_it_is(dataset: Dataset, admin: Membership) -> None:
    (draft,) = write(dataset)
    Dataset.objects.filter(id=dataset.id).update(archived_at=timezone.now())
    with pytest.raises(ArchivedError), transaction.atomic():
        edit(draft, admin, fields={"text": NEW})


@pytest.mark.parametrize(
    "changes", [{"written": {"fields": {}}}, {"edited_at": timezone.now()}, {"edited_by": True}]
)
def test_who_edits_keeps_what_was_written(
    dataset: Dataset, admin: Membership, changes: dict[str, Any]
) -> None:
    write(dataset)
    given = {name: admin if value is True else value for name, value in changes.items()}
    constraint = "draft_edited_keeps_what_was_written"
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Draft.objects.update(**given)


# --- Marks of likeness ---------------------------------------------------------------------------
def like_of(draft: Draft) -> Any:
    return Draft.objects.get(id=draft.id).like


@pytest.mark.parametrize("compared", [(), ("text",)])
def test_an_edit_takes_the_mark_off_and_puts_it_on(
    dataset: Dataset, admin: Membership, compared: tuple[str, ...]
) -> None:
    first, second = write(dataset, TEXT, ALIKE, compared=compared)
    assert second.like == first.id
    assert edit(second, admin, fields={"text": NEW}).like is None
    assert edit(second, admin, fields={"text": ALIKE}).like == first.id


def test_those_that_repeated_it_look_for_something_else(
    dataset: Dataset, admin: Membership
) -> None:
    first, second, third = write(dataset, TEXT, ALIKE, ALIKE + "!")
    assert (second.like, third.like) == (first.id, second.id)
    edit(first, admin, fields={"text": NEW})
    assert (like_of(second), like_of(third)) == (None, second.id)
    edit(second, admin, fields={"text": OTHER})
    assert like_of(third) is None


def test_two_never_mark_each_other(dataset: Dataset, admin: Membership) -> None:
    first, second = write(dataset, TEXT, ALIKE)
    edit(first, admin, fields={"text": TEXT + " "})
    assert (like_of(first), like_of(second)) == (None, first.id)


def test_new_drafts_meet_the_edited_text(dataset: Dataset, admin: Membership) -> None:
    (draft,) = write(dataset, TEXT)
    edit(draft, admin, fields={"text": NEW})
    again, old = write(dataset, NEW, TEXT)
    assert (again.like, old.like) == (draft.id, None)


def test_a_mark_for_a_record_goes_when_the_text_does(dataset: Dataset, admin: Membership) -> None:
    log_records(dataset=dataset, items=[RecordInput(fields={"text": TEXT})])
    (draft,) = write(dataset, ALIKE)
    run_slice(organization_id=current(), job_id=compare_drafts(dataset=dataset).id)
    record = Record.objects.get()
    assert like_of(draft) == record.id
    assert edit(draft, admin, fields={"text": ALIKE + "!"}).like == record.id
    assert edit(draft, admin, fields={"text": NEW}).like is None


def test_only_the_compared_fields_count(dataset: Dataset, admin: Membership) -> None:
    Field.objects.create(dataset=dataset, name="note", title="N", settings={"type": "text"})
    Dataset.objects.filter(id=dataset.id).update(schema_version=1)
    dataset.refresh_from_db()
    first, second = write(dataset, TEXT, ALIKE, compared=["text"])
    note = "A long passage that has nothing to do with any of this. " * 20
    assert edit(second, admin, fields={"text": ALIKE, "note": note}).like == first.id
