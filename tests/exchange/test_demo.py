"""``load_demo`` makes what ``up --demo`` shows, once."""

import io
import json
import stat

import numpy as np
import pytest
from django.contrib.auth import authenticate
from django.core.management import call_command

from apps.annotation.models import Response
from apps.core.tenancy import enter
from apps.datasets.models import Dataset
from apps.datasets.schema import load_schema
from apps.exchange.demo.datasets import DATASETS, FILM_REVIEWS
from apps.exchange.demo.load import SAMPLES
from apps.jobs.models import Job
from apps.organizations.directory import find_api_key, find_organization
from apps.organizations.models import Membership
from apps.quality.models import SuggesterSettings
from apps.records.models import DatasetCounter, Record, RecordVector, Suggestion

pytestmark = pytest.mark.django_db


def load(directory):
    out = io.StringIO()
    arguments = ["--data-dir", str(directory), "--url", "http://127.0.0.1:6900", "--json"]
    call_command("load_demo", *arguments, stdout=out)
    return json.loads(out.getvalue())


def credentials(directory):
    return json.loads((directory / "credentials.json").read_text())


def test_the_credentials_open_every_door(tmp_path):
    assert load(tmp_path)["datasets"] == [demo.name for demo in DATASETS]
    told = credentials(tmp_path)
    assert list(told) == ["url", "organization", "owner", "reviewer", "annotators"]
    assert (told["url"], told["organization"]) == ("http://127.0.0.1:6900", "demo")
    assert stat.S_IMODE((tmp_path / "credentials.json").stat().st_mode) == 0o600
    people = [told["owner"], told["reviewer"], *told["annotators"]]
    assert [one["email"] is None for one in people] == [False, False, False, True, True]
    for one in people:
        assert list(one) == ["email", "password", "username", "api_key"]
        door = {"email": one["email"]} if one["email"] else {"organization": "demo"}
        door |= {} if one["email"] else {"username": one["username"]}
        assert authenticate(None, **door, password=one["password"])
        holder = find_api_key(one["api_key"])
        with enter(holder.organization_id):
            assert Membership.objects.get(id=holder.membership_id).username == one["username"]


def test_the_datasets_hold_the_samples_and_some_answers(tmp_path):
    load(tmp_path)
    with enter(find_organization("demo")):
        for demo in DATASETS:
            dataset = Dataset.objects.get(name=demo.name)
            lines = (SAMPLES / f"{demo.name}.jsonl").read_text().splitlines()
            assert Record.objects.filter(dataset=dataset).count() == len(lines)
            assert Response.objects.filter(dataset=dataset).exists()
            assert dataset.guidelines.startswith("# ")
        films = DatasetCounter.objects.get(dataset__name=FILM_REVIEWS.name)
        assert (films.records, films.completed) == (258, 60)
        corrections = Suggestion.objects.filter(question__name="correction")
        assert {(one.agent, one.type) for one in corrections} == {("larkspur-mini", "model")}
        assert all(one.value == one.record.fields["response"] for one in corrections)


def test_every_record_is_embedded(tmp_path):
    load(tmp_path)
    with enter(find_organization("demo")):
        assert RecordVector.objects.count() == Record.objects.count()
        vectors = np.array([list(one.embedding) for one in RecordVector.objects.all()])
        assert vectors.shape[1] == 256
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)


def test_the_film_reviews_learn_from_the_answers(tmp_path):
    load(tmp_path)
    with enter(find_organization("demo")):
        assert Job.objects.filter(kind="suggest_few_shot").count() == 1
        assert SuggesterSettings.objects.get().enabled


def test_a_second_run_changes_nothing(tmp_path):
    load(tmp_path)
    first = credentials(tmp_path)
    assert load(tmp_path)["datasets"] == []
    assert credentials(tmp_path) == first
    with enter(find_organization("demo")):
        assert Membership.objects.count() == 5
        assert Dataset.objects.count() == len(DATASETS)


def test_lost_credentials_are_made_anew(tmp_path):
    load(tmp_path)
    first = credentials(tmp_path)
    (tmp_path / "credentials.json").write_text("{")
    load(tmp_path)
    again = credentials(tmp_path)
    assert again["owner"]["password"] != first["owner"]["password"]
    for one in (again["owner"], again["annotators"][0]):
        assert authenticate(None, email=one["email"], password=one["password"])
    ben = again["annotators"][1]
    assert authenticate(None, organization="demo", username="ben", password=ben["password"])


def test_names_of_fields_and_vectors_differ(tmp_path):
    """The client keeps both in one schema, where one would hide the other."""
    load(tmp_path)
    with enter(find_organization("demo")):
        for dataset in Dataset.objects.all():
            schema = load_schema(dataset)
            assert not schema.fields.keys() & schema.vectors.keys(), dataset.name
