"""Whatever a file holds, each row is stored or rejected, and nothing falls over."""

import csv
import io
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.core.errors import InvalidError
from apps.records.models import DatasetCounter, Record
from tests.exchange.conftest import import_bytes, import_lines

quickly = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
columns = st.sampled_from(
    [
        *("id", "text", "chat", "extra", "picture", "metadata", "source", "year", "certainty"),
        *("sentiment", "genre", "quality", "order", "comment", "entities", "v", "genre.score"),
        *("sentiment.agent", "sentiment.type", "response:order@anna", "response-status@anna"),
        *("response-user", "response:quality", "response-status", "field:text", "?"),
    ]
)
own_keys = st.sampled_from(
    ["id", "fields", "metadata", "status", "suggestions", "responses", "vectors"]
)
own_values = (
    values
    | st.fixed_dictionaries({"text": values})
    | st.lists(
        st.fixed_dictionaries(
            {
                "question": st.sampled_from(["sentiment", "order", "entities", "?"]),
                "user": st.sampled_from(["anna", "nobody"]),
                "status": st.sampled_from(["draft", "submitted", "lost"]),
                "value": values,
                "values": values | st.fixed_dictionaries({"quality": values}),
                "score": values,
            }
        ),
        max_size=2,
    )
)
csv_bytes = st.lists(
    st.sampled_from([b'"', b",", b"\n", b"\r", b"a", b"1", b"\0", b"\xff", b"'", b"=", b" "]),
    max_size=60,
).map(b"".join)


@pytest.fixture(autouse=True)
def _anna(make_member):
    make_member(username="anna")


def check(dataset, result):
    one = result.summary
    assert one.read == one.created + one.updated + one.rejected
    assert one.rejected == len(result.rejects)
    assert all(reject.reason for reject in result.rejects)
    count = Record.objects.filter(dataset=dataset).count()
    assert count == DatasetCounter.objects.get(dataset=dataset).records


@quickly
@given(rows=st.lists(st.dictionaries(columns, values, max_size=6), max_size=4))
def test_any_values_in_any_columns(dataset, rows):
    result = import_lines(dataset, *rows, {"id": "good", "text": "good"})
    check(dataset, result)
    assert Record.objects.get(external_id="good").fields == {"text": "good"}


@quickly
@given(rows=st.lists(st.dictionaries(own_keys, own_values, max_size=7), max_size=4))
def test_anything_in_the_form_of_our_export(dataset, rows):
    rows.append({"id": "good", "fields": {"text": "good"}})
    check(dataset, import_lines(dataset, *rows))


@quickly
@given(cells=st.lists(st.tuples(columns, st.text(max_size=8) | values.map(json.dumps)), max_size=6))
def test_any_texts_in_any_csv_columns(dataset, cells):
    named = dict(cells)
    text = io.StringIO()
    csv.writer(text).writerows([["id", "text", *named], ["good", "good", *named.values()]])
    try:
        file = text.getvalue().encode()
        check(dataset, import_bytes(dataset, file, "csv"))
    except (InvalidError, UnicodeEncodeError):
        pass  # a header that names a column twice; a text that no file can hold


@quickly
@given(file=csv_bytes | st.binary(max_size=80))
def test_any_bytes(dataset, file):
    check(dataset, import_bytes(dataset, b"text,sentiment\n" + file, "csv"))
    check(dataset, import_bytes(dataset, b'{"text": "t"}\n' + file, "jsonl"))
