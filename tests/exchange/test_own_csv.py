"""Our own CSV comes back whatever the dataset's parts are called and whatever they hold."""

from typing import Any

import pytest

from apps.annotation.models import Response
from apps.datasets.models import Dataset, Field, MetadataProperty, Question
from apps.records.models import Record
from tests.exchange.conftest import export_bytes, import_bytes, import_lines
from tests.factories import make_dataset

TEXT = {"type": "text", "use_markdown": False}


def add_property(dataset: Dataset, name: str, **settings: Any) -> None:
    number = MetadataProperty.objects.filter(dataset=dataset).count() + 1
    MetadataProperty.objects.create(
        dataset=dataset, number=number, name=name, title=name, settings={"type": "terms"} | settings
    )


def stored(dataset: Dataset) -> list[Any]:
    records = Record.objects.filter(dataset=dataset).order_by("external_id")
    answers = Response.objects.filter(record__dataset=dataset).order_by("record_id", "user_id")
    return [
        [(record.external_id, record.fields, record.metadata) for record in records],
        [(one.user.username, one.status, one.values) for one in answers],
    ]


def comes_back(dataset: Dataset) -> bool:
    """As it was, once the records are gone, and again onto records that are there."""
    before = stored(dataset)
    exported = export_bytes(dataset, "csv")
    assert import_bytes(dataset, exported, "csv").reasons == {}
    assert stored(dataset) == before
    Record.objects.all().delete()
    assert import_bytes(dataset, exported, "csv").reasons == {}
    return stored(dataset) == before


# --- Names ------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["id", "status", "metadata", "external_id", "response-user"])
def test_a_property_of_a_reserved_name(organization, name):
    dataset = make_dataset()
    add_property(dataset, name)
    row = {"fields": {"text": "a"}}
    import_lines(
        dataset,
        {"id": "1", **row, "metadata": {name: "x", "other": 1}},
        {"id": "2", **row, "metadata": {"other": 2}},
    )
    assert comes_back(dataset)


@pytest.mark.parametrize("name", ["id", "status", "metadata"])
def test_a_field_of_a_reserved_name(organization, name):
    dataset = make_dataset()
    Field.objects.create(dataset=dataset, name=name, title=name, settings=TEXT)
    import_lines(
        dataset,
        {"id": "1", "fields": {"text": "a", name: "b"}, "metadata": {"other": 1}},
        {"id": "2", "fields": {"text": "a"}},
    )
    assert comes_back(dataset)


@pytest.mark.parametrize("name", ["id", "status", "metadata"])
def test_a_question_of_a_reserved_name(organization, make_member, name):
    make_member(username="anna")
    dataset = make_dataset()
    Question.objects.create(dataset=dataset, name=name, title=name, settings=TEXT)
    answer = {"user": "anna", "status": "draft", "values": {name: {"value": "b"}}}
    import_lines(dataset, {"id": "1", "fields": {"text": "a"}, "responses": [answer]})
    assert comes_back(dataset)


def test_in_a_file_of_others_a_part_goes_before_a_reserved_name(organization):
    dataset = make_dataset()
    add_property(dataset, "status")
    import_bytes(dataset, b"id,text,status\n1,a,open\n", "csv")
    assert Record.objects.get().metadata == {"status": "open"}
