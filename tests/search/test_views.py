"""Searches that people keep."""

import pytest
from django.db import IntegrityError, transaction

from apps.core.errors import InvalidError
from apps.organizations.models import Membership
from apps.search import services
from apps.search.models import SavedView
from apps.search.services import delete_view, save_view
from apps.workspaces.models import Workspace
from tests import factories


@pytest.fixture
def people(workspace: Workspace) -> list[Membership]:
    return [factories.make_member(workspace=workspace) for _ in range(2)]


def test_a_view_is_ones_own_until_it_is_shared(
    workspace: Workspace, people: list[Membership]
) -> None:
    dataset = factories.make_dataset(workspace)
    one, other = people
    view = save_view(dataset=dataset, owner=one, name="  lost   cards ", query="q=card")
    assert (view.name, view.is_shared) == ("lost cards", False)
    assert not SavedView.objects.visible_to(other).exists()
    again = save_view(dataset=dataset, owner=one, name="lost cards", query="q=x", is_shared=True)
    assert again.id == view.id
    assert [seen.query for seen in SavedView.objects.visible_to(other)] == ["q=x"]
    stranger = factories.make_member(workspace=factories.make_workspace())
    assert not SavedView.objects.visible_to(stranger).exists()
    save_view(dataset=dataset, owner=other, name="lost cards", query="")
    delete_view(view=again)
    assert [seen.owner_id for seen in SavedView.objects.in_order()] == [other.id]


@pytest.mark.parametrize(("name", "query"), [(" \0", ""), ("x" * 101, ""), ("x", "q" * 16_001)])
def test_a_view_needs_a_name_and_a_measure(
    people: list[Membership], workspace: Workspace, name: str, query: str
) -> None:
    dataset = factories.make_dataset(workspace)
    with pytest.raises(InvalidError):
        save_view(dataset=dataset, owner=people[0], name=name, query=query)


def test_views_are_limited(
    people: list[Membership], workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = factories.make_dataset(workspace)
    monkeypatch.setattr(services, "MAX_VIEWS", 1)
    for _ in range(2):
        save_view(dataset=dataset, owner=people[0], name="one", query="")
    with pytest.raises(InvalidError, match="1 views"):
        save_view(dataset=dataset, owner=people[0], name="two", query="")


def test_the_database_states_it_too(people: list[Membership], workspace: Workspace) -> None:
    dataset = factories.make_dataset(workspace)
    values = {"dataset": dataset, "owner": people[0]}
    SavedView.objects.create(**values, name="one")
    with pytest.raises(IntegrityError, match="saved_view_name_unique"), transaction.atomic():
        SavedView.objects.create(**values, name="one")
    with pytest.raises(IntegrityError, match="saved_view_name_given"), transaction.atomic():
        SavedView.objects.create(**values, name="")
