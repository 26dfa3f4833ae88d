"""The list of datasets: what narrows it, its order, its pages, and where a new one begins."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.annotation.services import save_response
from apps.datasets.models import Dataset, DatasetStatus
from apps.organizations.models import Membership
from apps.workspaces.models import Workspace
from tests import factories

SignIn = Callable[[Membership], Client]


@pytest.fixture
def member(workspace: Workspace) -> Membership:
    return factories.make_member(role="admin", workspace=workspace)


@pytest.fixture
def client(member: Membership, sign_in: SignIn) -> Client:
    return sign_in(member)


def names(client: Client, query: str = "") -> list[str]:
    answer = client.get(f"/datasets/?{query}")
    assert answer.status_code == 200
    return [row.dataset.name for row in answer.context["list"].rows]


def test_tabs_tell_how_many_they_hold(
    client: Client, member: Membership, workspace: Workspace
) -> None:
    factories.make_records(factories.make_dataset(workspace, name="open"), 2)
    done = factories.make_dataset(workspace, name="done")
    [record] = factories.make_records(done)
    values = {"sentiment": {"value": "mixed"}}
    save_response(record=record, annotator=member, status="submitted", values=values)
    Dataset.objects.create(workspace=workspace, name="draft", status=DatasetStatus.DRAFT)
    archived = factories.make_dataset(workspace, name="archived")
    Dataset.objects.filter(id=archived.id).update(archived_at=timezone.now())
    assert sorted(names(client)) == ["done", "draft", "open"]
    for tab in ("open", "done", "draft", "archived"):
        assert names(client, f"show={tab}") == [tab]
    tabs = client.get("/datasets/").context["list"].tabs
    assert {tab.name: tab.count for tab in tabs} == {
        "": 3,
        "open": 1,
        "done": 1,
        "draft": 1,
        "archived": 1,
    }


def test_workspaces_narrow_and_strangers_ones_do_not(
    client: Client, member: Membership, workspace: Workspace
) -> None:
    from apps.workspaces.services import add_workspace_member

    other, foreign = factories.make_workspace("b"), factories.make_workspace("c")
    add_workspace_member(workspace=other, member=member)
    for place, name in ((workspace, "one"), (other, "two"), (foreign, "three")):
        factories.make_dataset(place, name=name)
    assert sorted(names(client)) == ["one", "two"]
    assert names(client, f"workspace={other.id}") == ["two"]
    assert names(client, f"workspace={foreign.id}") == []
    assert "three" not in client.get("/datasets/").content.decode()


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("name", ["alpha", "Beta", "gamma"]),
        ("records", ["gamma", "Beta", "alpha"]),
        ("left", ["alpha", "Beta", "gamma"]),
        ("mine", ["gamma", "Beta", "alpha"]),
        ("active", ["gamma", "alpha", "Beta"]),
        ("nonsense", ["gamma", "alpha", "Beta"]),
    ],
)
def test_the_order_is_chosen(
    client: Client, workspace: Workspace, sort: str, expected: list[str]
) -> None:
    for name, count in (("Beta", 2), ("alpha", 1), ("gamma", 3)):
        factories.make_records(factories.make_dataset(workspace, name=name), count)
    assert names(client, f"sort={sort}") == expected


def test_long_lists_have_pages(client: Client, workspace: Workspace) -> None:
    for number in range(30):
        factories.make_dataset(workspace, name=f"d{number:02}")
    first, second = names(client, "sort=name"), names(client, "sort=name&page=2")
    assert (len(first), len(second)) == (25, 5)
    assert first + second == sorted(first + second)
    assert names(client, "sort=name&page=99") == second
    assert "sort=name&amp;page=2" in client.get("/datasets/?sort=name").content.decode()


@pytest.mark.parametrize("query", ["q=%00", "workspace=x", "show=%27", "page=-1", "page=x"])
def test_no_question_breaks_the_list(client: Client, workspace: Workspace, query: str) -> None:
    factories.make_dataset(workspace, name="one")
    assert names(client, query) == ["one"]


@pytest.mark.parametrize(("role", "may"), [("owner", True), ("admin", True), ("annotator", False)])
def test_who_may_create_is_led_to_it(
    workspace: Workspace, sign_in: SignIn, role: str, may: bool
) -> None:
    client = sign_in(factories.make_member(role=role, workspace=workspace))
    empty: Any = client.get("/datasets/").content.decode()
    assert ("/datasets/new/" in empty) is may
    assert ("Ask an admin" in empty) is not may
    factories.make_dataset(workspace)
    assert ("/datasets/new/" in client.get("/datasets/").content.decode()) is may
