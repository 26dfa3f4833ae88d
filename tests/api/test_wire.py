"""JSON in and out."""

import json
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from apps.api import wire


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def test_times_are_naive_utc_with_six_digits() -> None:
    moment = datetime(2026, 11, 21, 5, 5, 49, tzinfo=UTC)
    assert wire.timestamp(moment) == "2026-11-21T05:05:49.000000"
    assert wire.timestamp(moment.astimezone(timezone(timedelta(hours=2)))) == (
        "2026-11-21T05:05:49.000000"
    )


def test_documents_are_compact_and_keep_their_letters() -> None:
    document = {"id": UUID(int=1), "text": "žluťoučký 🐎", "none": None}
    assert wire.write(document).decode() == (
        '{"id":"00000000-0000-0000-0000-000000000001","text":"žluťoučký 🐎","none":null}'
    )


def test_no_infinity_is_ever_written() -> None:
    assert wire.write({"score": float("inf")}) == b'{"score":null}'


def test_an_integer_beyond_64_bits_is_read_as_a_double_and_any_can_be_written() -> None:
    assert wire.read(b"[9223372036854775807999]") == [9223372036854775807999.0]
    assert wire.write({"n": 10**30}) == b'{"n":1000000000000000000000000000000}'


@pytest.mark.parametrize(
    "document",
    [{}, [], None, 1, "text", {"a": [1, 2.5, "x", None, True, {"b": []}]}, [[1.0, 2.0]], "🐎"],
)
def test_what_can_be_stored_is_read_as_it_is(document: object) -> None:
    assert wire.read(json.dumps(document).encode()) == document


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\xff",
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b'{"a": NaN}',
        b"[1.5, Infinity]",
        b"[1.5, -Infinity]",
        b"[1.5, 1e999]",
        b"[-1e999]",
        b"[1, 1e999]",
        b'{"a": 1e999}',
        b"1e999",
        b"9" * 5000,
        b'"\\u0000"',
        b'["a", "\\u0000"]',
        b'{"\\u0000": 1}',
        b'{"a": {"b": ["x", 1, "\\ud800"]}}',
        b'{"\\udfff": 1}',
        b'"a\x00b"',
        nested(65),
        nested(1_000),
        nested(200_000),
        b'{"a":' * 1_000 + b"1" + b"}" * 1_000,
        b'{"a":' * 65 + b"1" + b"}" * 65,
    ],
    ids=lambda raw: repr(raw[:24]),
)
def test_what_cannot_be_stored_is_refused(raw: bytes) -> None:
    with pytest.raises(wire.UnreadableError):
        wire.read(raw)


@pytest.mark.parametrize(
    "raw", [nested(64), b"[18446744073709551615]", b'"\\ud83d\\udc0e \\u0001"']
)
def test_the_limits_themselves_are_accepted(raw: bytes) -> None:
    wire.read(raw)


def test_a_sum_that_overflows_is_not_an_infinity() -> None:
    assert wire.read(b"[1e308, 1e308]") == [1e308, 1e308]
