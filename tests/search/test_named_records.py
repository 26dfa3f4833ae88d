"""Records that an address names one by one."""

import pytest

from apps.datasets.models import Dataset
from apps.datasets.schema import load_schema
from apps.search.asked import read_text
from apps.search.matching import FIRST
from apps.search.query import EVERYBODY
from apps.search.searching import matcher_for
from tests.factories import make_dataset, make_records

pytestmark = pytest.mark.django_db


@pytest.fixture
def dataset(organization: object) -> Dataset:
    return make_dataset()


def test_named_records_are_found_and_no_others(dataset: Dataset) -> None:
    records = make_records(dataset, 4)
    chosen = [records[0].id, records[2].id]
    schema = load_schema(dataset)
    text = "&".join(f"record={id}" for id in chosen)
    asked, problems = read_text(schema, text, EVERYBODY)
    assert problems == []
    assert asked.text == text
    found = matcher_for(schema, asked, FIRST, EVERYBODY, phrase=None)
    assert found.ids_after(FIRST, limit=9) == chosen


def test_what_is_no_id_is_said(dataset: Dataset) -> None:
    asked, problems = read_text(load_schema(dataset), "record=twelve", EVERYBODY)
    assert asked.values == {}
    assert problems == ["“twelve” is not the id of a record."]
