"""What the database refuses of datasets, records, answers and everything beside them."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, models, transaction
from django.utils import timezone

from apps.annotation.models import (
    Annotator,
    Lease,
    Response,
    ResponseVersion,
    RewrittenAnswer,
    SchemaChange,
)
from apps.datasets.models import (
    Dataset,
    Field,
    GuidelinesVersion,
    MetadataProperty,
    Question,
    VectorSettings,
)
from apps.organizations.models import Membership
from apps.records.models import DatasetCounter, Record, RecordMetadata, RecordTask, Suggestion
from apps.users.models import User
from apps.workspaces.services import add_workspace_member
from tests.factories import make_dataset, make_member, make_records, make_workspace

pytestmark = pytest.mark.usefixtures("organization")


def refuses(constraint: str, make: Any, **values: Any) -> None:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        make(**values)


@pytest.fixture
def dataset() -> Dataset:
    return make_dataset()


@pytest.fixture
def record(dataset: Dataset) -> Record:
    return make_records(dataset, 1)[0]


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"name": ""}, "dataset_name_given"),
        ({"min_submitted": 0}, "dataset_min_submitted_positive"),
        ({"daily_quota": 0}, "dataset_daily_quota_positive"),
        ({"total_quota": 0}, "dataset_total_quota_positive"),
        ({"status": "open"}, "dataset_status_known"),
        ({"queue_order": "random"}, "dataset_queue_order_known"),
    ],
)
def test_a_dataset(dataset: Dataset, change: dict[str, Any], constraint: str) -> None:
    refuses(constraint, Dataset.objects.update, **change)


def test_a_name_is_taken_once_in_its_workspace(dataset: Dataset) -> None:
    same = {"name": dataset.name}
    refuses("dataset_name_unique", Dataset.objects.create, workspace=dataset.workspace, **same)
    Dataset.objects.create(workspace=make_workspace(), **same)


PARTS: list[tuple[type[models.Model], dict[str, Any], str]] = [
    (Field, {"settings": {"type": "text"}}, "field_name_unique"),
    (Question, {"settings": {"type": "text"}}, "question_name_unique"),
    (MetadataProperty, {"settings": {"type": "terms"}}, "metadata_property_name_unique"),
    (VectorSettings, {"dimensions": 3}, "vector_settings_name_unique"),
]


@pytest.mark.parametrize(("model", "values", "constraint"), PARTS)
def test_a_part_has_a_name_of_its_own(
    dataset: Dataset, model: Any, values: dict[str, Any], constraint: str
) -> None:
    for number, owner in enumerate((dataset, make_dataset(), dataset)):
        if model is MetadataProperty:
            values = {**values, "number": number}
        given = {"dataset": owner, "name": "part", "title": "Part", **values}
        if number < 2:
            model.objects.create(**given)
        else:
            refuses(constraint, model.objects.create, **given)


@pytest.mark.parametrize(
    ("model", "settings", "constraint"),
    [
        (Field, {"type": "video"}, "field_type_known"),
        (Field, {}, "field_type_known"),
        (Question, {"type": "essay"}, "question_type_known"),
        (MetadataProperty, {"type": "date"}, "metadata_property_type_known"),
    ],
)
def test_a_part_is_of_a_known_type(
    dataset: Dataset, model: Any, settings: dict[str, Any], constraint: str
) -> None:
    values = {"number": 1} if model is MetadataProperty else {}
    given = {"dataset": dataset, "name": "new", "title": "New", **values}
    refuses(constraint, model.objects.create, settings=settings, **given)


def test_numbers_of_parts(dataset: Dataset) -> None:
    given = {"dataset": dataset, "title": "T", "settings": {"type": "terms"}, "number": 1}
    MetadataProperty.objects.create(name="one", **given)
    refuses("metadata_property_number_unique", MetadataProperty.objects.create, name="two", **given)
    refuses(
        "vector_settings_dimensions_positive",
        VectorSettings.objects.create,
        dataset=dataset,
        name="v",
        title="V",
        dimensions=0,
    )
    GuidelinesVersion.objects.create(dataset=dataset, number=1)
    refuses(
        "guidelines_version_number_unique",
        GuidelinesVersion.objects.create,
        dataset=dataset,
        number=1,
    )


def test_a_record(dataset: Dataset, record: Record) -> None:
    refuses("record_status_known", Record.objects.update, status="open")
    again = Record(
        dataset=dataset, external_id=record.external_id, fields={}, updated_at=timezone.now()
    )
    refuses("record_external_id_unique", again.save)
    again.dataset = make_dataset()
    again.save()


@pytest.mark.parametrize("given", [{}, {"term": "a", "value": 1.0}])
def test_a_filterable_value_is_a_term_or_a_number(record: Record, given: dict[str, Any]) -> None:
    values = {"record": record, "number": 1, "dataset_id": record.dataset_id, **given}
    refuses("record_metadata_term_or_value", RecordMetadata.objects.create, **values)


def test_a_suggestion(dataset: Dataset, record: Record) -> None:
    values = {
        "record": record,
        "question": Question.objects.get(dataset=dataset),
        "dataset_id": dataset.id,
        "value": "mixed",
        "updated_at": timezone.now(),
    }
    refuses("suggestion_type_known", Suggestion.objects.create, type="oracle", **values)
    Suggestion.objects.create(**values)
    refuses("suggestion_unique_per_question", Suggestion.objects.create, **values)


@pytest.mark.parametrize("numbers", [(1, 2), (0, -1)])
def test_a_counter_counts_no_more_than_there_is(dataset: Dataset, numbers: tuple[int, int]) -> None:
    records, completed = numbers
    refuses(
        "dataset_counter_completed_within_records",
        DatasetCounter.objects.update,
        records=records,
        completed=completed,
    )


@pytest.mark.parametrize("column", ["open_slots", "submitted"])
def test_a_task_never_owes_slots(record: Record, column: str) -> None:
    refuses(f"record_task_{column}_check", RecordTask.objects.update, **{column: -1})


def test_a_response(record: Record) -> None:
    member = make_member()
    values = {
        "record": record,
        "user": member,
        "dataset_id": record.dataset_id,
        "updated_at": timezone.now(),
    }
    refuses("response_status_known", Response.objects.create, status="open", **values)
    refuses("response_submitted_has_values", Response.objects.create, status="submitted", **values)
    Response.objects.create(status="draft", **values)
    refuses("response_unique_per_annotator", Response.objects.create, status="draft", **values)


def test_a_version_of_an_answer(record: Record) -> None:
    now = timezone.now()
    make = ResponseVersion.objects.create
    values = {
        "record": record,
        "user": make_member(),
        "dataset_id": record.dataset_id,
        "replaced_at": now,
        "replaced_by": uuid4(),
    }
    times = {"inserted_at": now, "updated_at": now}
    refuses("response_version_status_known", make, status="open", **times, **values)
    refuses("response_version_all_or_nothing", make, status="draft", **values)
    refuses("response_version_all_or_nothing", make, status=None, **times, **values)
    make(status=None, **values)
    refuses("response_version_unique_per_act", make, status="draft", **times, **values)


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"theme": "pink"}, "user_account_theme_known"),
        ({"density": "airy"}, "user_account_density_known"),
        ({"single_keys": "often"}, "user_account_single_keys_known"),
    ],
)
def test_how_a_person_likes_pages(change: dict[str, Any], constraint: str) -> None:
    User.objects.create_user("ana@example.com")
    refuses(constraint, User.objects.update, **change)


def test_a_lease_and_a_place_are_one_a_person(record: Record) -> None:
    member = make_member()
    lease = {"record": record, "user": member, "dataset_id": record.dataset_id}
    Lease.objects.create(expires_at=timezone.now(), **lease)
    refuses("lease_pkey", Lease.objects.create, expires_at=timezone.now(), **lease)
    place = {"dataset_id": record.dataset_id, "user": member}
    Annotator.objects.create(**place)
    refuses("annotator_pkey", Annotator.objects.create, **place)


def test_an_answer_keeps_its_author(record: Record) -> None:
    """A membership with answers is not deleted row by row, only with its organization."""
    member = make_member()
    Response.objects.create(
        record=record,
        user=member,
        dataset_id=record.dataset_id,
        status="draft",
        updated_at=timezone.now(),
    )

    def delete() -> None:
        Membership.objects.filter(pk=member.pk).delete()
        with transaction.get_connection().cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

    refuses("response_user_id_fkey", delete)


def test_a_deleted_dataset_takes_everything_along(dataset: Dataset, record: Record) -> None:
    member = make_member()
    Lease.objects.create(record=record, user=member, dataset=dataset, expires_at=timezone.now())
    Annotator.objects.create(dataset=dataset, user=member)
    Dataset.objects.filter(pk=dataset.pk).delete()
    for model in (Record, RecordTask, Lease, Annotator, DatasetCounter, Question, Field):
        assert not model._default_manager.exists()


# --- Who sees what -------------------------------------------------------------------------------


def test_what_belongs_to_a_workspace_is_seen_by_its_members(owner: Membership) -> None:
    inside, outside = make_workspace(), make_workspace()
    for workspace in (inside, outside):
        make_records(make_dataset(workspace), 2)
    member = make_member(workspace=inside)
    seen = Record.objects.visible_to(member)
    assert {record.dataset.workspace_id for record in seen} == {inside.id}
    assert Record.objects.visible_to(owner).count() == 4
    for model in (Field, Question):
        found = model.objects.visible_to(member)
        assert {part.dataset.workspace_id for part in found} == {inside.id}


@pytest.mark.parametrize(
    ("role", "override", "sees"),
    [
        ("annotator", None, 1),
        ("reviewer", None, 3),
        ("admin", None, 3),
        ("annotator", "reviewer", 3),
        ("admin", "annotator", 1),
    ],
)
def test_answers_of_others_are_seen_from_reviewer_upwards(
    role: str, override: str | None, sees: int
) -> None:
    workspace = make_workspace()
    member = make_member(role=role)
    add_workspace_member(workspace=workspace, member=member, role=override)
    dataset, hidden = make_dataset(workspace), make_dataset()
    (record,), (elsewhere,) = make_records(dataset, 1), make_records(hidden, 1)
    for user, of in [(member, record), (make_member(), record), (make_member(), record)]:
        answer(of, user)
    answer(elsewhere, make_member())
    visible = Response.objects.visible_to(member)
    assert visible.count() == sees
    assert {response.user for response in visible} >= {member}
    assert Response.objects.visible_to(make_member(role="owner")).count() == 4


@pytest.mark.parametrize(
    ("role", "override", "sees"),
    [
        ("annotator", None, {"shown"}),
        ("reviewer", None, {"shown", "hidden"}),
        ("annotator", "reviewer", {"shown", "hidden"}),
        ("admin", "annotator", {"shown"}),
        ("owner", None, {"shown", "hidden"}),
    ],
)
def test_hidden_metadata_is_seen_from_reviewer_upwards(
    role: str, override: str | None, sees: set[str]
) -> None:
    workspace = make_workspace()
    member = make_member(role=role)
    add_workspace_member(workspace=workspace, member=member, role=override)
    dataset = make_dataset(workspace)
    for number, name in enumerate(("shown", "hidden"), 10):
        MetadataProperty.objects.create(
            dataset=dataset,
            number=number,
            name=name,
            title=name,
            settings={"type": "terms"},
            visible_for_annotators=name == "shown",
        )
    seen = MetadataProperty.objects.visible_to(member).filter(dataset=dataset, number__gte=10)
    assert {found.name for found in seen} == sees


def answer(record: Record, member: Membership) -> None:
    Response.objects.create(
        id=uuid4(),
        record=record,
        user=member,
        dataset_id=record.dataset_id,
        status="draft",
        updated_at=timezone.now(),
    )


def test_a_change_of_the_questions(dataset: Dataset, record: Record) -> None:
    refuses(
        "schema_change_state_known",
        SchemaChange.objects.create,
        dataset=dataset,
        edit={},
        state="gone",
    )
    change = SchemaChange.objects.create(dataset=dataset, edit={})
    one = {"change": change, "record": record, "part": "suggestion"}
    RewrittenAnswer.objects.create(**one)
    refuses("rewritten_answer_once_a_change", RewrittenAnswer.objects.create, **one)
    refuses("rewritten_answer_part_known", RewrittenAnswer.objects.create, **one | {"part": "x"})
