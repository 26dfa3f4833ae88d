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


def test_a_question_with_an_at_in_its_name(organization, make_member):
    make_member(username="anna"), make_member(username="c@d")
    dataset = make_dataset(questions=[])
    for name in ("a", "a@b"):
        Question.objects.create(dataset=dataset, name=name, title=name, settings=TEXT)
    answers = [
        {"user": user, "status": "draft", "values": {"a": {"value": "1"}, "a@b": {"value": "2"}}}
        for user in ("anna", "c@d")
    ]
    import_lines(dataset, {"id": "1", "fields": {"text": "a"}, "responses": answers})
    assert comes_back(dataset)


def test_a_property_whose_name_has_blanks_around_it(organization):
    dataset = make_dataset()
    for name in (" x ", "x", '["q"]', "=z"):
        add_property(dataset, name)
    metadata = {" x ": "1", "x": "2", '["q"]': "3", "=z": "4"}
    import_lines(dataset, {"id": "1", "fields": {"text": "a"}, "metadata": metadata})
    assert comes_back(dataset)
    import_bytes(dataset, b"id , text\n2,a\n", "csv")
    assert Record.objects.get(external_id="2").fields == {"text": "a"}


# --- Values -----------------------------------------------------------------------------------
TERMS = [2011, True, False, 1.5, "2011", "true", ["a", 1], "a", "[1]", None]


@pytest.mark.parametrize("values", [None, [2011, "2011", True, "true", False, 1.5, "a", 1, "[1]"]])
def test_terms_keep_their_type(organization, values):
    dataset = make_dataset()
    add_property(dataset, "x", values=values)
    rows = [
        {"id": str(n), "fields": {"text": "a"}, "metadata": {"x": term, "other": 1}}
        for n, term in enumerate(TERMS)
        if term is not None
    ]
    assert import_lines(dataset, *rows).reasons == {}
    assert comes_back(dataset)
    assert b",2011," in export_bytes(dataset, "csv")  # to be read by others, too


def test_an_allowed_number_is_meant_where_a_cell_says_so(organization):
    dataset = make_dataset()
    add_property(dataset, "year", values=[2011, 2012])
    result = import_bytes(dataset, b"id,text,year\n1,a,2011\n2,a,2013\n", "csv")
    assert list(result.reasons) == [3]
    assert Record.objects.get().metadata == {"year": 2011}


def test_a_cell_that_somebody_changed_counts(organization):
    dataset = make_dataset()
    add_property(dataset, "year")
    import_lines(dataset, {"id": "1", "fields": {"text": "a"}, "metadata": {"year": 2011}})
    exported = export_bytes(dataset, "csv").replace(b",2011,", b",2012,")
    import_bytes(dataset, exported, "csv")
    assert Record.objects.get().metadata == {"year": "2012"}


def test_empty_texts_are_no_reason_to_lose_a_row(organization, make_member):
    make_member(username="anna"), make_member(username="ben")
    dataset = make_dataset(questions=["comment", "sentiment"])
    Question.objects.create(dataset=dataset, name="more", title="More", settings=TEXT)
    Field.objects.create(dataset=dataset, name="aside", title="Aside", settings=TEXT)
    answers = [
        {"user": "anna", "status": "submitted", "values": {"comment": {"value": ""}}},
        {"user": "ben", "status": "discarded", "values": {}},
    ]
    import_lines(
        dataset,
        {"id": "1", "fields": {"text": ""}, "responses": answers},
        {"id": "2", "fields": {"text": "", "aside": "b"}},
    )
    assert comes_back(dataset)


def test_an_only_field_and_an_only_answer_may_be_empty(organization, make_member):
    make_member(username="anna")
    dataset = make_dataset(questions=["comment"], required=[])
    Field.objects.update(required=False)
    answer = {"user": "anna", "status": "submitted", "values": {"comment": {"value": ""}}}
    import_lines(dataset, {"id": "1", "fields": {"text": ""}, "responses": [answer]})
    assert comes_back(dataset)


def test_a_blank_line_is_no_record_of_an_empty_text(organization):
    dataset = make_dataset()
    import_lines(dataset, {"id": "1", "fields": {"text": "a"}})
    exported = export_bytes(dataset, "csv")
    blank = b"," * exported.split(b"\r\n")[0].count(b",") + b"\r\n"
    assert import_bytes(dataset, exported + blank, "csv").reasons == {3: "fields cannot be empty"}
