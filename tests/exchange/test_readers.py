"""Rows of JSON, Parquet and CoNLL files, and reading on where somebody stopped."""

import io
import json
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from apps.core.errors import InvalidError
from apps.exchange import arrow_rows, cells, json_rows
from apps.exchange.foreign.documents import read_documents
from apps.exchange.formats import FileFormat, Position, format_of, read_on, read_table
from apps.exchange.rows import Row
from apps.exchange.strict_json import read_json
from tests.real_data import clinc150, path_to


def rows_of(file: bytes, format: str = "json") -> list[Row]:
    return list(read_table(io.BytesIO(file), FileFormat(format)).rows)


def values_of(file: bytes, format: str = "json") -> list[Any]:
    return [row.problem or row.values for row in rows_of(file, format)]


def parquet_of(rows: list[dict[str, Any]], **options: Any) -> bytes:
    file = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), file, **options)
    return file.getvalue()


# --- JSON -------------------------------------------------------------------------------------
def test_a_list_of_objects_is_rows() -> None:
    given = [{"text": "à", "n": 1}, {"text": "b", "tags": ["x", {"y": None}]}]
    assert values_of(json.dumps(given, indent=2).encode()) == given


def test_a_number_is_the_same_in_every_format() -> None:
    for digits in ("9223372036854775807", "9223372036854775808", "1" * 30, "-" + "1" * 30):
        line = f'{{"n": {digits}}}'.encode()
        assert values_of(b"[" + line + b"]") == values_of(line, "jsonl"), digits
        [foreign] = read_documents(io.BytesIO(b"[" + line + b"]"))
        assert [foreign.problem or foreign.values] == values_of(line, "jsonl"), digits
        assert cells.read_number(digits) == read_json(digits)


def test_a_whole_number_has_64_bits() -> None:
    assert cells.read_whole(str(-(2**63))) == -(2**63)
    for cell in (str(2**63), "1e30", "-" + "9" * 30):
        with pytest.raises(InvalidError, match="more than 64 bits"):
            cells.read_whole(cell)
    with pytest.raises(InvalidError, match="too large"):
        cells.read_number("1" * 30 + "e999")


def test_lists_in_an_object_are_rows_that_know_their_list() -> None:
    file = b'\xef\xbb\xbf{"about": {"by": "us"}, "val": [["hi", "hello"]], "test": [{"t": 1}, 7]}'
    assert values_of(file) == [
        {"part": "val", "column_1": "hi", "column_2": "hello"},
        {"part": "test", "t": 1},
        {"part": "test", "value": 7},
    ]


def test_pieces_end_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    given = [{"text": f'é😀 “{n}” \\ "', "n": n * 1.5, "m": [n, None, True]} for n in range(50)]
    file = json.dumps(given, ensure_ascii=False).encode()
    for size in (1, 2, 3, 7, 64):
        monkeypatch.setattr(json_rows, "PIECE", size)
        assert values_of(file) == given


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (b'[{"a": 1}, {"a": ', "not valid JSON"),
        (b'[{"a": 1} {"a": 2}]', "expected"),
        (b'[{"a": 1}, ' + b"[" * 100_000, "nested deeper"),
        (b'[{"a": 1}, NaN]', "NaN"),
    ],
)
def test_what_breaks_off_is_one_bad_row(file: bytes, reason: str) -> None:
    good, bad = rows_of(file)
    assert good.values == {"a": 1}
    assert bad.number == 2
    assert reason in str(bad.problem)


def test_a_bad_item_is_alone() -> None:
    nul, latin, good = values_of(b'[{"a": "\\u0000"}, {"a": "\xe4"}, {"a": "b"}]')
    assert "NUL" in nul
    assert latin == "not valid UTF-8"
    assert good == {"a": "b"}


@pytest.mark.parametrize("file", [b"", b"  ", b'"text"', b"12", b"<html>"])
def test_a_document_without_a_list_is_refused(file: bytes) -> None:
    with pytest.raises(InvalidError):
        rows_of(file)


# --- Parquet ----------------------------------------------------------------------------------
def test_parquet_keeps_its_types() -> None:
    given = [
        {"text": "a", "n": 1, "x": 0.5, "tags": ["b"]},
        {"text": None, "n": 2, "x": float("nan")},
    ]
    assert values_of(parquet_of(given), "parquet") == [
        {"text": "a", "n": 1, "x": 0.5, "tags": ["b"]},
        {"text": None, "n": 2, "x": None, "tags": None},
    ]


def test_parquet_that_is_none_is_refused() -> None:
    for file in (b"PAR1" + b"\0" * 50 + b"PAR1", b"", b"text,label\n"):
        with pytest.raises(InvalidError, match="cannot be read"):
            rows_of(file, "parquet")


def test_parquet_that_unfolds_to_far_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    same = [{"text": "a" * 100_000} for _ in range(400)]
    file = parquet_of(same, compression="zstd", use_dictionary=False)
    assert len(file) < 100_000  # for 40 MB
    with pytest.raises(InvalidError, match="unfolds to"):
        rows_of(file, "parquet")
    monkeypatch.setattr(arrow_rows, "LARGEST_COLUMN", 1_000)
    with pytest.raises(InvalidError, match="unfolds to"):
        rows_of(parquet_of([{"text": str(n)} for n in range(1_000)]), "parquet")


def test_parquet_from_a_pipe_is_refused() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    with pytest.raises(InvalidError, match="standard input"):
        read_table(Pipe(b"PAR1"), FileFormat.PARQUET)


# --- CoNLL ------------------------------------------------------------------------------------
def test_tagged_words_become_a_text_with_spans() -> None:
    file = b"Ada\tB-person\nKing\tI-person\nleft\tO\nTurin\tB-place\n\nNo\tO\n"
    first, second = rows_of(file, "conll")
    assert first.values == {
        "text": "Ada King left Turin",
        "spans": [
            {"start": 0, "end": 8, "label": "person"},
            {"start": 14, "end": 19, "label": "place"},
        ],
    }
    assert (second.number, second.values) == (6, {"text": "No", "spans": []})


def test_comments_before_a_sentence_are_no_words() -> None:
    file = (
        b"#begin document (a); part 000\n# sent_id = 1\n# text = Ada left\nAda B-person\nleft O\n\n"
        b"# O\n#win B-place\n# NN B-NP O\n\n#\tO\n# no\tO\n\n#end document\n\n# newpar\n\nTurin\n"
    )
    assert [row.values["text"] for row in rows_of(file, "conll")] == [
        *("Ada left", "# #win #", "# # no", "Turin")
    ]


def test_real_conll_is_read() -> None:
    rows = rows_of(path_to("wnut17-dev.conll").read_bytes(), "conll")
    assert len(rows) == 1009
    assert all(row.problem is None for row in rows)
    for row in rows:
        for span in row.values["spans"]:
            marked = row.values["text"][span["start"] : span["end"]]
            assert marked == marked.strip() != ""


def test_real_json_is_read() -> None:
    rows = rows_of(path_to("clinc150.json").read_bytes())
    train = [row for row in rows if row.values["part"] == "train"]
    assert [(row.values["column_1"], row.values["column_2"]) for row in train] == clinc150()


# --- Reading on -------------------------------------------------------------------------------
LINES = {
    "csv": b'text,n\r\n"one\ntwo",1\r\nthree\r\nfour,"2\n"x\nfive,3\n\nsix,4',
    "jsonl": b'\xef\xbb\xbf{"a": 1}\n\n{"a":\n{"a": "\xff"}\n{"a": 4}',
    "conll": b"a\tO\n\n\nb\tB-x\nc\tI-x\n\nd\tO",
    "json": b'{"x": [1, [2], {"a": 3}], "y": [4]}',
    "parquet": parquet_of([{"n": n} for n in range(250)], row_group_size=40),
}


@pytest.mark.parametrize("format", LINES)
def test_reading_on_gives_the_same_rows(format: str) -> None:
    file = LINES[format]
    rows = rows_of(file, format)
    for passed in range(1, len(rows) + 1):
        position = Position(passed, rows[passed - 1].after)
        rest = list(read_on(io.BytesIO(file), FileFormat(format), position).rows)
        told = [(row.number, row.values, row.problem) for row in rest]
        assert told == [(row.number, row.values, row.problem) for row in rows[passed:]]


def test_endings_tell_the_format() -> None:
    known = {"a.TSV": "csv", "b.json": "json", "c.parquet": "parquet", "d.conll": "conll"}
    assert {name: format_of(name).value for name in known} == known
    with pytest.raises(InvalidError, match=r"\.parquet"):
        format_of("a.xlsx")
