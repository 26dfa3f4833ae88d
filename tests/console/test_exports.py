"""The records of a dataset as a file, from the page."""

import csv
import io
import json
from collections.abc import Callable

import pytest
from django.test import Client

from apps.datasets.models import Dataset
from apps.events.models import Event
from apps.organizations.models import Membership
from apps.records.models import Record
from apps.workspaces.models import Workspace
from tests import factories
from tests.console.conftest import TEXTS

pytestmark = pytest.mark.django_db(transaction=True)

SignIn = Callable[[Membership], Client]


@pytest.fixture
def page(dataset: Dataset) -> str:
    return f"/datasets/{dataset.id}/export/"


def test_the_page_says_how_many_there_are(client: Client, dataset: Dataset, page: str) -> None:
    told = client.get(page).content.decode()
    assert "Completed ones: 0" in told
    assert "All of them: 6" in told
    assert f'action="{page}file/"' in told


def test_a_file_of_each_format_holds_every_record(client: Client, page: str) -> None:
    answer = client.get(f"{page}file/?format=csv&status=")
    assert answer["Content-Disposition"] == 'attachment; filename="reviews.csv"'
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 6
    answer = client.get(f"{page}file/?format=jsonl")
    lines = b"".join(answer.streaming_content).decode().splitlines()
    assert [json.loads(line)["fields"]["text"] for line in lines] == list(TEXTS)


def test_only_completed_ones_when_asked_for(client: Client, dataset: Dataset, page: str) -> None:
    done = Record.objects.filter(dataset=dataset).in_order()[0]
    Record.objects.filter(id=done.id).update(status="completed")
    answer = client.get(f"{page}file/?format=jsonl&status=completed")
    (line,) = b"".join(answer.streaming_content).decode().splitlines()
    assert json.loads(line)["fields"] == done.fields
    event = Event.objects.get(kind="dataset.exported")
    assert event.payload["format"] == "jsonl"


@pytest.mark.parametrize("query", ["", "format=parquet", "format=csv&status=done", "format=%00"])
def test_no_other_file_is_made(client: Client, page: str, query: str) -> None:
    assert client.get(f"{page}file/?{query}").status_code == 404


@pytest.mark.parametrize("role", ["annotator", "reviewer"])
def test_who_may_not_export_gets_nothing(
    sign_in: SignIn, workspace: Workspace, page: str, role: str
) -> None:
    client = sign_in(factories.make_member(role=role, workspace=workspace))
    assert client.get(page).status_code == 403
    assert client.get(f"{page}file/?format=csv").status_code == 403
