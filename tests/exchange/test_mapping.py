"""Columns find their place, and texts become what the dataset needs."""

import pytest

from apps.annotation.models import Response
from apps.core.errors import InvalidError
from apps.exchange.cells import read_number
from apps.records.models import Record, RecordVector, Suggestion
from tests.exchange.conftest import export_bytes, import_bytes, import_lines

CSV = """\
id,text,chat,genre,quality,order,entities,year,certainty,source,v,shoe size
1,Anna lives here,"[{""role"": ""user"", ""content"": ""Hi""}]",comedy|drama,4.0,b|a|c,\
"[{""label"": ""person"", ""start"": 0, ""end"": 4}]",1999,.5,"[""app"", ""web""]","[1, 2, 3]",42
2,Nothing else,,,,,,,,,,
"""


def value_of(question, external_id="1"):
    return Suggestion.objects.get(question__name=question, record__external_id=external_id).value


def test_columns_go_where_their_names_say(dataset):
    result = import_bytes(dataset, CSV.encode(), "csv")
    assert result.counts == (2, 2, 0, 0), result.reasons
    assert result.ignored == ["shoe size"]
    record = Record.objects.get(external_id="1")
    assert record.fields["chat"] == [{"role": "user", "content": "Hi"}]
    assert record.metadata == {"year": 1999, "certainty": 0.5, "source": ["app", "web"]}
    assert value_of("genre") == ["comedy", "drama"]
    assert value_of("quality") == 4
    assert [item["value"] for item in value_of("order")] == ["b", "a", "c"]
    assert [item["rank"] for item in value_of("order")] == [1, 2, 3]
    assert value_of("entities") == [{"label": "person", "start": 0, "end": 4}]
    assert list(RecordVector.objects.get().embedding) == [1, 2, 3]
    assert Record.objects.get(external_id="2").fields == {"text": "Nothing else"}


def test_semicolons_tabs_and_a_byte_order_mark_are_understood(dataset):
    for delimiter in (";", "\t"):
        file = f"\ufefftext{delimiter}year\r\n{delimiter.join(['a, b', '7'])}\r\n".encode()
        assert import_bytes(dataset, file, "csv").summary.rejected == 0
        assert Record.objects.filter(fields={"text": "a, b"}, metadata={"year": 7}).exists()


def test_a_told_target_wins_and_a_column_may_have_several(dataset):
    told = {
        "review": ["field:text", "suggestion:comment"],
        "stars": ["response:quality@anna", "metadata:stars"],
        "text": ["ignore"],
        "who": ["suggestion:comment.agent"],
    }
    file = b"review,stars,text,who\nGood,5,something else,bot\n"
    with pytest.raises(InvalidError, match="no column 'stars'"):
        import_bytes(dataset, b"review,who,text\n", "csv", told=told)
    assert (
        "nobody has the username 'anna'" in import_bytes(dataset, file, "csv", told=told).reasons[2]
    )


def test_answers_belong_to_the_member_they_name(dataset, make_member):
    anna, ben = make_member(username="anna"), make_member(username="b@n")
    told = {"a": ["response:sentiment"], "b": ["response:sentiment@b@n"], "s": ["response-status"]}
    file = b"text,a,b,s\nx,positive,negative,\ny,mixed,,draft\nz,,,\n"
    result = import_bytes(dataset, file, "csv", told=told, responder="anna")
    assert result.counts == (3, 3, 0, 0), result.reasons
    mine = Response.objects.filter(user=anna).order_by("record_id")
    assert [(one.values["sentiment"]["value"], one.status) for one in mine] == [
        ("positive", "submitted"),
        ("mixed", "draft"),
    ]
    [theirs] = Response.objects.filter(user=ben)
    assert theirs.values == {"sentiment": {"value": "negative"}}
    assert not Suggestion.objects.exists()


def test_a_column_may_name_the_author(dataset, make_member):
    make_member(username="anna"), make_member(username="ben")
    rows = [
        {"text": "x", "who": "anna", "how": "positive"},
        {"text": "y", "who": "ben", "how": "mixed"},
        {"text": "z", "how": "mixed"},
    ]
    told = {"who": ["response-user"], "how": ["response:sentiment"]}
    result = import_lines(dataset, *rows, told=told)
    assert "an answer without a user" in result.reasons[3]
    assert sorted(Response.objects.values_list("user__username", flat=True)) == ["anna", "ben"]


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("field:body", "no field 'body'; there are: text"),
        ("suggestion:mood", "no question 'mood'"),
        ("suggestion:mood.score", "no question 'mood'; there are"),
        ("response:mood@anna", "no question 'mood'"),
        ("vector:w", "no vector 'w'; there are: v"),
        ("title", "'title' is no target"),
        ("metadata:", "is no target"),
    ],
)
def test_an_unknown_target_is_refused_before_anything_is_read(dataset, target, reason):
    with pytest.raises(InvalidError, match=reason):
        import_lines(dataset, {"text": "x"}, told={"text": [target]})


def test_importing_again_changes_nothing_and_repeats_nothing(dataset):
    rows = [{"text": "a", "year": 1}, {"text": "b"}, {"text": "a", "year": 2}, {"text": "b"}]
    assert import_lines(dataset, *rows).counts == (4, 3, 1, 0)
    first = export_bytes(dataset)
    assert import_lines(dataset, *reversed(rows)).counts == (4, 0, 4, 0)
    assert export_bytes(dataset) == first


def test_answers_of_several_people_to_one_text_meet_in_one_record(dataset, make_member):
    make_member(username="anna"), make_member(username="ben")
    file = b"text,sentiment,worker\nx,mixed,anna\ny,mixed,anna\nx,positive,ben\n"
    told = {"worker": ["response-user"], "sentiment": ["response:sentiment"]}
    assert import_bytes(dataset, file, "csv", told=told).counts == (3, 2, 1, 0)
    assert Response.objects.filter(record__fields={"text": "x"}).count() == 2


def test_the_last_row_with_an_id_wins(dataset, monkeypatch):
    for chunk in (2, 500):
        monkeypatch.setattr("apps.exchange.importer.CHUNK", chunk)
        rows = [{"id": 1, "text": "a"}, {"id": "2", "text": "b"}, {"id": "1", "text": "c"}]
        result = import_lines(dataset, *rows)
        assert result.summary.rejected == 0
        assert Record.objects.get(external_id="1").fields == {"text": "c"}
        assert Record.objects.count() == 2


def test_rows_without_fields_add_to_known_records(dataset):
    import_bytes(dataset, b"id,text,year\na,long text,1999\n", "csv")
    result = import_bytes(dataset, b"id,sentiment,sentiment.score\na,mixed,0.5\nb,mixed,1\n", "csv")
    assert result.counts == (2, 0, 1, 1)
    record = Record.objects.get()
    assert (record.fields, record.metadata) == ({"text": "long text"}, {"year": 1999})
    assert Suggestion.objects.get().score == 0.5


def test_spans_of_such_rows_are_checked_against_the_stored_text(dataset):
    import_lines(dataset, {"id": "a", "text": "short"}, {"id": "b", "text": "long enough"})
    spans = [{"label": "person", "start": 0, "end": 9}]
    result = import_lines(dataset, *({"id": id, "entities": spans} for id in "ab"))
    assert result.counts == (2, 0, 1, 1)
    assert "beyond the field's 5 characters" in result.reasons[1]


def test_a_number_may_have_any_space_around_it() -> None:
    assert [read_number(cell) for cell in (" 4", "4\x1f", "\u20034.5 ")] == [4, 4, 4.5]
