"""What a member sees first: their queues and the datasets of their workspaces."""

from collections.abc import Callable
from typing import Any

from django.test import Client
from django.urls import reverse

from apps.datasets.models import Dataset, DatasetStatus
from apps.organizations.models import Membership
from apps.workspaces.models import Workspace
from tests import factories

SignIn = Callable[[Membership], Client]


def test_home_counts_what_is_pending_and_done(workspace: Workspace, sign_in: SignIn) -> None:
    dataset = factories.make_dataset(workspace, name="reviews", daily_quota=5)
    first, _ = factories.make_records(dataset, 2)
    client = sign_in(factories.make_member(workspace=workspace, username="mara"))
    assert "Start" in client.get("/").content.decode()
    client.post(
        reverse("labeling:save", args=[dataset.id, first.id]),
        {"do": "submit", "q.sentiment": "positive"},
    )
    text = client.get("/").content.decode()
    assert "Hello, mara" in text
    assert "1 record submitted today." in text
    assert "1 of 5 today" in text
    assert '<b class="num">1</b>' in text
    assert "Continue" in text


def test_only_datasets_of_ones_workspaces_are_listed(workspace: Workspace, sign_in: SignIn) -> None:
    factories.make_dataset(workspace, name="mine")
    factories.make_dataset(name="theirs")
    annotator = sign_in(factories.make_member(workspace=workspace))
    owner = sign_in(factories.make_member(role="owner"))
    for path in ("/", "/datasets/"):
        assert "theirs" not in annotator.get(path).content.decode()
        assert "mine" in annotator.get(path).content.decode()
        assert "theirs" in owner.get(path).content.decode()


def test_a_draft_dataset_is_no_queue(workspace: Workspace, sign_in: SignIn) -> None:
    dataset = factories.make_dataset(workspace, name="unfinished")
    Dataset.objects.filter(pk=dataset.pk).update(status=DatasetStatus.DRAFT)
    client = sign_in(factories.make_member(workspace=workspace))
    assert "unfinished" not in client.get("/").content.decode()
    assert "not published yet" in client.get("/datasets/").content.decode()


def test_without_datasets_the_page_says_whom_to_ask(sign_in: SignIn) -> None:
    client = sign_in(factories.make_member())
    for path in ("/", "/datasets/"):
        assert "No datasets yet" in client.get(path).content.decode()


def test_search_answers_a_script_with_the_table_alone(
    workspace: Workspace, sign_in: SignIn
) -> None:
    factories.make_dataset(workspace, name="film-reviews")
    client = sign_in(factories.make_member(workspace=workspace))
    found = client.get("/datasets/?q=FILM", headers={"HX-Request": "true"}).content.decode()
    assert "film-reviews" in found
    assert "<html" not in found
    missing = client.get("/datasets/?q=%3Cb%3E").content.decode()
    assert "No dataset has “&lt;b&gt;” in its name." in missing


def test_the_list_costs_the_same_however_long_it_is(
    workspace: Workspace, sign_in: SignIn, django_assert_num_queries: Any
) -> None:
    client = sign_in(factories.make_member(workspace=workspace))
    for _ in range(2):
        factories.make_dataset(workspace)
    client.get("/")
    for path in ("/", "/datasets/"):
        with django_assert_num_queries(10):
            client.get(path)
    for _ in range(8):
        factories.make_dataset(workspace)
    for path in ("/", "/datasets/"):
        with django_assert_num_queries(10):
            client.get(path)
