"""A bad row is named and left out; nothing else is lost, and nothing falls over."""

import pytest

from apps.core.errors import InvalidError, LimitReachedError, NotFoundError
from apps.core.ids import uuid7
from apps.datasets.models import Dataset, DatasetStatus
from apps.datasets.schema import load_schema
from apps.exchange.importer import import_table
from apps.exchange.rows import MAX_ROW, Row, Table
from apps.exchange.targets import ColumnMapping
from apps.organizations.models import RecordVolume
from apps.records.models import Record
from tests.exchange.conftest import import_bytes, import_lines

DEEP = b'{"text": ' + b"[" * 1_000 + b"]" * 1_000 + b"}"
TIMED = b'{"user": "anna", "status": "draft", "values": {}, "inserted_at": %s}'
HOSTILE_LINES = [
    (b'{"text": "no end', "not valid JSON"),
    (b'{"text": "latin-1: \xe9"}', "not valid UTF-8 at byte 20"),
    (b'{"text": "raw nul: \x00"}', "not valid JSON"),
    (b'{"text": "nul: \\u0000"}', "cannot be stored"),
    (b'{"text": "half a pair: \\ud83d"}', "cannot be stored"),
    (b'{"\\udc00": 1, "text": "half a pair"}', "cannot be stored"),
    (b'{"text": "x", "year": NaN}', "NaN is not a number"),
    (b'{"text": "x", "year": -Infinity}', "-Infinity is not a number"),
    (b'{"text": "x", "certainty": 1e999}', "out of range"),
    (b'{"text": "x", "year": 99999999999999999999}', "not an integer"),
    (b'{"text": "x", "year": ' + b"9" * 5_000 + b"}", "out of range"),
    (DEEP, "nested deeper than 64 levels"),
    (DEEP.replace(b"[" * 900, b"").replace(b"]" * 900, b""), "nested deeper than 64 levels"),
    (b'["a", "list"]', "not a JSON object"),
    (b"null", "not a JSON object"),
    (b'{"text": "' + b"x" * 10_000_000 + b'"}', "longer than 1000000 characters"),
    (b'{"text": "' + b"x" * MAX_ROW + b'"}', "longer than 16777216 bytes"),
    (b'{"text": 5}', "must be a string"),
    (b'{"text": null}', "fields cannot be empty"),
    (b'{"context": "no text"}', "missing required value"),
    (b'{"text": "x", "sentiment": "bored"}', "not a valid label"),
    (b'{"text": "x", "quality": "five"}', "not a number"),
    (b'{"text": "x", "quality": 4.5}', "not a valid rating"),
    (b'{"text": "x", "entities": [{"label": "person", "start": 0, "end": 9}]}', "beyond"),
    (b'{"text": "x", "sentiment": "mixed", "sentiment.score": 7}', "between 0 and 1"),
    (b'{"text": "x", "sentiment": "mixed", "sentiment.type": "oracle"}', "model or human"),
    (b'{"text": "x", "sentiment": "mixed", "sentiment.agent": "' + b"a" * 201 + b'"}', "agent"),
    (b'{"text": "x", "v": [1, 2]}', "must have 3 elements"),
    (b'{"text": "x", "v": [1e39, 0, 0]}', "too large"),
    (b'{"text": "x", "year": "1999"}', "not an integer"),
    (b'{"text": "x", "id": [1]}', "an id is a text"),
    (b'{"text": "x", "id": 123456789012345678901234567890}', "an id of more than 53 bits"),
    (b'{"text": "x", "id": "' + b"i" * 501 + b'"}', "1 to 500 characters"),
    (b'{"text": "x", "metadata": 3}', "must be an object"),
    (b'{"fields": {"text": "x"}, "responses": [{"user": "nobody"}]}', "nobody has the username"),
    (b'{"fields": {"text": "x"}, "responses": [{"status": "draft"}]}', "without the username"),
    (b'{"fields": {"text": "x"}, "suggestions": [{"question": "?", "value": 1}]}', "unknown"),
    (b'{"fields": {"text": "x"}, "responses": [' + TIMED % b'"noon"' + b"]}", "not a time"),
    (b'{"fields": {"text": "x"}, "responses": [' + TIMED % b"5" + b"]}", "not a time"),
    (
        b'{"fields": {"text": "x"}, "responses": ['
        + TIMED % b'"0001-01-01T00:00:00+14:00"'
        + b"]}",
        "not a time",
    ),
    (
        b'{"fields": {"text": "x"}, "responses": [' + b",".join([TIMED % b"null"] * 2) + b"]}",
        "several responses for the same user",
    ),
    (b'{"fields": "x"}', "fields must be an object"),
    (b'{"fields": {"text": "x"}, "suggestions": {"a": 1}}', "list of objects"),
    (b'{"id": "unknown", "suggestions": []}', "fields cannot be empty"),
    (b'{"color": "red"}', "no value for any field"),
]


@pytest.fixture(autouse=True)
def _anna(make_member):
    make_member(username="anna")


@pytest.mark.parametrize(("line", "reason"), HOSTILE_LINES, ids=[r for _, r in HOSTILE_LINES])
def test_a_hostile_line_is_one_reject_between_good_ones(dataset, line, reason):
    result = import_lines(dataset, {"text": "first"}, line, {"text": "last"})
    assert result.counts == (3, 2, 0, 1)
    assert list(result.reasons) == [2]
    assert reason in result.reasons[2]
    assert "\n" not in result.reasons[2]
    assert Record.objects.filter(dataset=dataset).count() == 2


def test_all_hostile_lines_at_once(dataset):
    rows = []
    for line, _ in HOSTILE_LINES:
        rows += [line, {"text": f"good, number {len(rows)}"}]
    result = import_lines(dataset, *rows)
    bad = len(HOSTILE_LINES)
    assert result.counts == (2 * bad, bad, 0, bad)
    assert list(result.reasons) == list(range(1, 2 * bad, 2))


def test_the_rejected_row_is_kept_as_it_was(dataset):
    result = import_lines(dataset, b'{"text": "caf\xe9"', {"text": "good"})
    assert result.rejects[0].row.original == '{"text": "caf\\xe9"'


HEADER = b"id,text,year,sentiment\n"
HOSTILE_ROWS = [
    (b"2,too,few\n", "3 cells where the header has 4"),
    (b"2,far,too,many,cells\n", "5 cells where the header has 4"),
    (b"2,latin \xe9,1999,mixed\n", "not valid UTF-8 at byte 9 of line 3"),
    (b"2,nul \x00,1999,mixed\n", "NUL"),
    (b'2,"never closed,1999,mixed\n', "quote"),
    (b'2,"closed" early,1999,mixed\n', "text follows a closing quote"),
    (b"2,text,MCMXCIX,mixed\n", "not a number"),
    (b"2,text,1999.5,mixed\n", "not a whole number"),
    (b"2,text,nan,mixed\n", "not a number"),
    (b"2,text,1e999,mixed\n", "too large"),
    (b"2,text,1999,bored\n", "not a valid label"),
    (b"2,,1999,mixed\n", "fields cannot be empty"),
    (b"2," + b"x" * 10_000_000 + b",1999,mixed\n", "longer than 1000000 characters"),
    (b"2," + b"x" * MAX_ROW + b",1999,mixed\n", "longer than 16777216 bytes"),
]


@pytest.mark.parametrize(("line", "reason"), HOSTILE_ROWS, ids=[r for _, r in HOSTILE_ROWS])
def test_a_hostile_csv_row_is_one_reject_between_good_ones(dataset, line, reason):
    file = HEADER + b"1,first,1999,mixed\n" + line + b'3,"and, last",2000,positive\n'
    result = import_bytes(dataset, file, "csv")
    assert result.counts == (3, 2, 0, 1), result.reasons
    assert list(result.reasons) == [3]
    assert reason in result.reasons[3]


def test_rows_of_several_lines_count_by_the_line_they_start_on(dataset):
    file = HEADER + b'1,"two\nlines",1999,mixed\n\n2,b,x,mixed\r\n3,"c\r\nd",1,mixed'
    result = import_bytes(dataset, file, "csv")
    assert list(result.reasons) == [5]
    assert Record.objects.get(external_id="3").fields["text"] == "c\r\nd"


def test_an_open_quote_at_the_end_loses_one_line_only(dataset):
    rows = b"".join(b'%d,"text, %d",1999,mixed\n' % (n, n) for n in range(1_000))
    file = HEADER + b'x,"open,1999,mixed\n' + rows + b'y,"open,1999,mixed\nz,z,1,mixed\n'
    result = import_bytes(dataset, file, "csv")
    assert result.counts == (1_003, 1_001, 0, 2)


def test_a_file_that_makes_a_habit_of_open_quotes_ends_in_time(dataset, monkeypatch):
    monkeypatch.setattr("apps.exchange.csv_rows.REREAD_BUDGET", 50_000)
    file = HEADER + b'a","\n' * 5_000
    result = import_bytes(dataset, file, "csv")
    assert result.summary.rejected == result.summary.read < 10
    assert "never closed" in result.rejects[-1].reason


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (b"", "empty"),
        (b"text,text\na,b\n", "names columns twice: text"),
        (b'"text\n', "header line cannot be read"),
        (b"t\xe9xt\n", "header line cannot be read"),
        ("text\nä\n".encode("utf-16"), "UTF-16"),
        (b"title,rating\na,5\n", "No column goes to a field; the dataset has: text"),
    ],
)
def test_a_csv_file_that_makes_no_sense_is_refused_as_a_whole(dataset, file, reason):
    with pytest.raises(InvalidError, match=reason):
        import_bytes(dataset, file, "csv")


def test_bad_rows_do_not_take_their_chunk_with_them(dataset, monkeypatch):
    monkeypatch.setattr("apps.exchange.importer.CHUNK", 7)
    rows = [{"id": str(n), "text": "x" if n % 5 else 7} for n in range(50)]
    result = import_lines(dataset, *rows)
    assert result.counts == (50, 40, 0, 10)
    assert [number - 1 for number in result.reasons] == list(range(0, 50, 5))


def test_rejects_come_in_the_order_of_the_file(dataset):
    rows = [b"no json", {"text": 1}, {"id": "u", "sentiment": "mixed"}, b"[]", {"text": 2}]
    assert list(import_lines(dataset, *rows).reasons) == [1, 2, 3, 4, 5]


def test_a_draft_takes_no_records(dataset):
    Dataset.objects.update(status=DatasetStatus.DRAFT)
    with pytest.raises(InvalidError, match="publish it first"):
        import_lines(dataset, {"text": "x"})


def test_the_plan_limit_ends_the_import_and_keeps_whole_chunks(dataset, monkeypatch):
    monkeypatch.setattr("apps.exchange.importer.CHUNK", 4)
    RecordVolume.objects.update(record_limit=10)
    with pytest.raises(LimitReachedError):
        import_lines(dataset, *({"text": str(n)} for n in range(20)))
    assert Record.objects.count() == RecordVolume.objects.get().records == 8


def test_a_dataset_that_is_gone_ends_the_import(dataset):
    table = Table(None, iter([Row(1, b"{}", {"text": "x"})]), from_text=False)
    with pytest.raises(NotFoundError):
        import_table(
            organization_id=dataset.organization_id,
            dataset_id=uuid7(),
            table=table,
            mapping=ColumnMapping(load_schema(dataset)),
        )
