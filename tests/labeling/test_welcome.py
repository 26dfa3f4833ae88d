"""From a new account to a first labelled record, and what is left to do."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from apps.annotation.services import save_response
from apps.core.tenancy import enter
from apps.datasets.models import Dataset
from apps.labeling.checklist import find_checklist
from apps.organizations import directory
from apps.organizations.models import Membership, Organization
from apps.records.models import Record
from apps.users.models import User
from apps.workspaces.models import Workspace
from tests import factories
from tests.labeling.conftest import BACKEND

WELCOME = "/welcome/"
SignIn = Callable[[Membership], Client]


@pytest.fixture
def newcomer(db: None, settings: Any) -> Client:
    """An account without an organization, where people may sign up."""
    settings.SIGNUP = "open"
    client = Client()
    user = User.objects.create_user("nia@example.com", factories.PASSWORD)
    client.force_login(user, backend=BACKEND)
    return client


def test_three_steps_lead_to_the_first_record(newcomer: Client) -> None:
    answer = newcomer.get("/", follow=True)
    assert answer.redirect_chain[-1][0] == WELCOME
    assert "What is your organization called?" in answer.content.decode()
    assert newcomer.post(WELCOME, {"name": "Nia & Friends <b>"}).headers["Location"] == WELCOME
    page = newcomer.get(WELCOME).content.decode()
    assert "Name the first workspace" in page
    assert newcomer.post(WELCOME, {"name": "team"}).headers["Location"] == WELCOME
    page = newcomer.get(WELCOME).content.decode()
    assert "Where are your records?" in page
    assert "2 of 5" in page
    there = newcomer.post(WELCOME, {"source": "sample"}).headers["Location"]
    assert "/annotate/" in there
    assert "data-" in newcomer.get(there).content.decode()
    place = directory.find_memberships(User.objects.get(email="nia@example.com").id)[0]
    assert place.slug == "nia-friends-b"
    with enter(place.organization_id):
        assert Record.objects.filter(dataset=Dataset.objects.get()).count() == 258
        member = Membership.objects.get()
        left = find_checklist(member)
    assert member.role == "owner"
    assert left is not None
    assert left.done == 3
    home = newcomer.get("/").content.decode()
    assert "Left to do" in home
    assert "3 of 5" in home
    again = newcomer.post(WELCOME, {"source": "sample"})
    assert again.headers["Location"] == there


def test_a_name_that_is_taken_gets_another_address(newcomer: Client) -> None:
    factories.create_organization(name="Acme", slug="acme")
    newcomer.post(WELCOME, {"name": "Acme"})
    place = directory.find_memberships(User.objects.get(email="nia@example.com").id)[0]
    assert place.slug == "acme-2"


@pytest.mark.parametrize("name", ["", " ", "x" * 201])
def test_no_name_is_said_to_be_needed(newcomer: Client, name: str) -> None:
    answer = newcomer.post(WELCOME, {"name": name})
    assert answer.status_code == 422
    assert "1 to 200 characters" in answer.content.decode()


def test_a_workspace_has_a_name_that_clients_take(newcomer: Client) -> None:
    newcomer.post(WELCOME, {"name": "Acme"})
    answer = newcomer.post(WELCOME, {"name": "our team!"})
    assert answer.status_code == 422
    assert "letters, digits, dashes" in answer.content.decode()


def test_where_sign_up_is_closed_nobody_founds_an_organization(
    newcomer: Client, settings: Any
) -> None:
    settings.SIGNUP = "closed"
    assert newcomer.post(WELCOME, {"name": "Acme"}).headers["Location"] == "/organizations/"
    assert newcomer.get("/organizations/").status_code == 403
    assert directory.find_memberships(User.objects.get(email="nia@example.com").id) == []


def test_only_who_makes_workspaces_is_led_through(
    organization: Organization, sign_in: SignIn
) -> None:
    bo = factories.make_member(username="bo", password=factories.PASSWORD)
    assert sign_in(bo).get(WELCOME).status_code == 403
    assert find_checklist(bo) is None


def test_the_list_goes_when_all_is_done(organization: Organization, owner: Membership) -> None:
    left = find_checklist(owner)
    assert left is not None
    assert [done for _, _, done in left.rows] == [True, False, False, False, False]
    workspace: Workspace = factories.make_workspace()
    dataset = factories.make_dataset(workspace)
    factories.make_member()
    for record in factories.make_records(dataset, 10):
        values = {"sentiment": {"value": "positive"}}
        save_response(record=record, annotator=owner, status="submitted", values=values)
    assert find_checklist(owner) is None
