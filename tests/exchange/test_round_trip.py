"""What is exported comes back as it was."""

import csv
import io
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.annotation.models import Response
from apps.records.models import Record, RecordTask, RecordVector, Suggestion
from apps.records.services import update_record
from tests.exchange.conftest import export_bytes, export_lines, import_bytes, import_lines

TEXT = "Grüße 👩‍🚀 שלום 𝒳𝒴𝒵\u2028 \"quoted\", 'single' \\ back\\nslash\ttab\r\nend"
FULL = {
    "id": "a/1 ü",
    "fields": {
        "text": TEXT,
        "context": "=1+1",
        "picture": "https://example.org/a.png",
        "chat": [{"role": "user", "content": "Hi 👋"}, {"role": "bot", "content": "— Hello"}],
        "extra": {"deep": {"list": [1, 2.5, None, True, "x"]}},
    },
    "metadata": {"source": ["app", "web"], "year": 1999, "certainty": 0.1, "rest": {"a": [None]}},
    "suggestions": [
        {"question": "sentiment", "value": "mixed", "score": 0.25, "agent": "m/1", "type": "model"},
        {"question": "genre", "value": ["drama", "comedy"], "score": [0.5, 0.1]},
        {"question": "quality", "value": 4, "type": "human"},
        {"question": "order", "value": [{"value": "b", "rank": 1}, {"value": "a", "rank": 1}]},
        {"question": "comment", "value": TEXT},
        {"question": "entities", "value": [{"label": "person", "start": 0, "end": 5}]},
    ],
    "responses": [
        {
            "user": "anna",
            "status": "submitted",
            "values": {
                "sentiment": {"value": "positive"},
                "genre": {"value": ["horror"]},
                "quality": {"value": 5},
                "order": {
                    "value": [
                        {"value": "c", "rank": 1},
                        {"value": "a", "rank": 2},
                        {"value": "b", "rank": 2},
                    ]
                },
                "comment": {"value": TEXT},
                "entities": {"value": [{"label": "place", "start": 6, "end": 10}]},
            },
        },
        {
            "user": "ben",
            "status": "draft",
            "values": {"quality": {"value": 1}},
            "inserted_at": "2024-02-29T23:59:59.123456",
        },
        {"user": "cleo", "status": "discarded", "values": {}},
    ],
    "vectors": {"v": [0.1, -2.5, 3e-05]},
}


@pytest.fixture(autouse=True)
def _people(make_member):
    for name in ("anna", "ben", "cleo"):
        make_member(username=name)


def without_times(lines):
    for line in lines:
        for response in line["responses"]:
            del response["inserted_at"]
    return lines


def test_everything_about_a_record_survives_jsonl(dataset, make_rich_dataset):
    assert import_lines(dataset, FULL).counts == (1, 1, 0, 0)
    exported = export_bytes(dataset)

    other = make_rich_dataset()
    assert import_bytes(other, exported).counts == (1, 1, 0, 0)

    line = json.loads(exported)
    assert list(line) == [
        *("id", "fields", "metadata", "status", "suggestions", "responses", "vectors")
    ]
    assert line["fields"] == FULL["fields"]
    assert line["metadata"] == FULL["metadata"]
    assert line["status"] == "completed"
    assert line["vectors"] == FULL["vectors"]
    assert [one["user"] for one in line["responses"]] == ["anna", "ben", "cleo"]
    assert export_bytes(other) == exported
    assert RecordTask.objects.get(dataset=other).certainty == 0.1


def test_an_export_onto_its_own_dataset_changes_nothing(dataset):
    import_lines(dataset, FULL, {"id": "b", "fields": {"text": "two"}})
    before = export_bytes(dataset)
    result = import_bytes(dataset, before)
    assert result.counts == (2, 0, 2, 0)
    assert export_bytes(dataset) == before
    assert Response.objects.count() == 3


def test_the_time_of_an_answer_is_read_in_any_zone(dataset):
    for time in ("2024-03-01T01:30:00+02:00", "2024-02-29T23:30:00Z", "2024-02-29T23:30:00"):
        response = {"user": "anna", "status": "draft", "values": {}, "inserted_at": time}
        import_lines(dataset, {"id": time, "fields": {"text": "x"}, "responses": [response]})
    times = [line["responses"][0]["inserted_at"] for line in export_lines(dataset)]
    assert times == ["2024-02-29T23:30:00"] * 3


def test_an_answer_that_was_there_keeps_its_time(dataset):
    import_lines(dataset, FULL)
    before = export_lines(dataset)[0]["responses"][0]["inserted_at"]
    response = {**FULL["responses"][0], "inserted_at": "2001-01-01T00:00:00"}
    import_lines(dataset, {**FULL, "responses": [response]})
    assert export_lines(dataset)[0]["responses"][0]["inserted_at"] == before


def test_an_export_is_the_same_bytes_each_time(dataset):
    import_lines(dataset, *({**FULL, "id": str(number)} for number in range(20)))
    assert export_bytes(dataset) == export_bytes(dataset)
    assert [line["id"] for line in export_lines(dataset)] == [str(n) for n in range(20)]


def test_csv_carries_fields_metadata_suggestions_and_all_answers(dataset, make_rich_dataset):
    import_lines(dataset, FULL, {"id": "b", "fields": {"text": "two"}})
    exported = export_bytes(dataset, "csv")

    other = make_rich_dataset()
    assert import_bytes(other, exported, "csv").counts == (2, 2, 0, 0)

    before, after = without_times(export_lines(dataset)), without_times(export_lines(other))
    assert before[0].pop("vectors")
    assert after[0].pop("vectors") == {}
    assert after == before


def test_the_columns_of_a_csv_follow_from_the_dataset_alone(dataset):
    import_lines(dataset, FULL)
    rows = list(csv.reader(io.StringIO(export_bytes(dataset, "csv").decode(), newline="")))
    assert rows[0][:9] == [
        *("id", "status", "field:text", "field:context", "field:picture", "field:chat"),
        *("field:extra", "metadata:source", "metadata:year"),
    ]
    assert "suggestion:genre.score" in rows[0]
    assert "response:genre@cleo" in rows[0]
    assert len({len(row) for row in rows}) == 1


def test_statuses_can_be_chosen(dataset):
    import_lines(dataset, FULL, {"id": "b", "fields": {"text": "two"}})
    assert [line["id"] for line in export_lines(dataset, statuses=["pending"])] == ["b"]
    assert [line["id"] for line in export_lines(dataset, statuses=["completed"])] == ["a/1 ü"]


def test_pages_of_every_size_give_the_same_export(dataset, monkeypatch):
    import_lines(dataset, *({**FULL, "id": str(number)} for number in range(7)))
    whole = export_bytes(dataset)
    for size in (1, 2, 3, 7):
        monkeypatch.setattr("apps.exchange.exporter.PAGE", size)
        assert export_bytes(dataset) == whole
    monkeypatch.setattr("apps.exchange.exporter.PAGE_BYTES", 1)
    assert export_bytes(dataset) == whole


storable = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(text=storable, comment=storable, term=storable, key=storable)
def test_any_text_survives_both_formats(dataset, text, comment, term, key):
    given = {
        "id": "x",
        "fields": {"text": text},
        "metadata": {"source": term, key: comment},
        "suggestions": [{"question": "comment", "value": comment, "agent": term[:200]}],
        "responses": [{"user": "anna", "status": "draft", "values": {"comment": {"value": text}}}],
    }
    if key in {"source", "year", "certainty"}:
        del given["metadata"][key]
    result = import_lines(dataset, given)
    assert not result.rejects
    before = without_times(export_lines(dataset))
    assert before[0]["fields"] == given["fields"]
    for format, options in (("jsonl", {}), ("csv", {}), ("csv", {"raw_formulas": True})):
        exported = export_bytes(dataset, format, **options)
        Record.objects.all().delete()
        result = import_bytes(dataset, exported, format, **options)
        assert result.counts == (1, 1, 0, 0), result.reasons
        assert without_times(export_lines(dataset)) == before


def test_a_vector_keeps_every_bit_of_its_32(dataset):
    import_lines(dataset, {"id": "a", "text": "t", "v": [1 / 3, 1e-40, -3.4e38]})
    [stored] = RecordVector.objects.values_list("embedding", flat=True)
    exported = export_bytes(dataset)
    Record.objects.all().delete()
    import_bytes(dataset, exported)
    [again] = RecordVector.objects.values_list("embedding", flat=True)
    assert list(again) == list(stored)


def test_a_suggestion_keeps_agent_and_type(dataset):
    import_lines(dataset, FULL)
    one = Suggestion.objects.get(question__name="sentiment")
    assert (one.agent, one.type, one.value_key) == ("m/1", "model", "mixed")


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_spans_beyond_a_text_that_was_shortened_lose_no_record(
    dataset, make_rich_dataset, make_member, format
):
    first, second = (
        {"label": "person", "start": 0, "end": 4},
        {"label": "place", "start": 14, "end": 19},
    )
    values = {"sentiment": {"value": "mixed"}, "entities": {"value": [first, second]}}
    import_lines(
        dataset,
        {
            "id": "a",
            "fields": {"text": "Anna lives in Turin"},
            "suggestions": [
                {"question": "sentiment", "value": "mixed"},
                {"question": "entities", "value": [first, second]},
            ],
            "responses": [
                {"user": "anna", "status": "submitted", "values": values},
                {"user": "ben", "status": "discarded", "values": values},
                {
                    "user": "cleo",
                    "status": "submitted",
                    "values": values | {"entities": {"value": [first]}},
                },
            ],
            "adjudication": {"reviewer": "anna", "values": values},
        },
    )
    record = Record.objects.get()
    update_record(record=record, fields={"text": "Anna lives"}, metadata=None, sets_metadata=False)
    other = make_rich_dataset()
    result = import_bytes(other, export_bytes(dataset, format), format)
    assert (result.reasons, result.counts) == ({}, (1, 1, 0, 0))
    assert result.ignored == ["entities (beyond a shortened text)"]
    [line] = export_lines(other)
    assert [one["question"] for one in line["suggestions"]] == ["sentiment"]
    reduced = values | {"entities": {"value": [first]}}
    assert [(one["status"], one["values"]) for one in line["responses"]] == [
        ("draft", reduced),
        ("discarded", reduced),
        ("submitted", reduced),
    ]
    assert line["status"] == "completed"
    assert "adjudication" not in line
