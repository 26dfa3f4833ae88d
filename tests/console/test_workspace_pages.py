"""Workspaces on their pages: made, renamed, deleted; people let in and taken out."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.datasets.models import Dataset
from apps.events.models import Event
from apps.llms.budgets import Amount, Payer, reserve, set_budget, settle, standing_of
from apps.llms.models import BudgetScope, LedgerEntry
from apps.organizations.models import Membership
from apps.workspaces.models import Workspace, WorkspaceMembership
from tests import factories

SignIn = Callable[[Membership], Client]


def url(name: str, *arguments: Any) -> str:
    return reverse(f"console:{name}", args=arguments)


def places(workspace: Workspace) -> dict[str, str | None]:
    rows = WorkspaceMembership.objects.filter(workspace=workspace)
    return dict(rows.values_list("membership__username", "role"))


def test_an_owner_makes_one_and_lets_people_in(client: Client, olga: Membership) -> None:
    made = client.post(url("workspaces"), {"name": "film-club"})
    workspace = Workspace.objects.get(name="film-club")
    assert made.headers["Location"] == f"{url('workspace', workspace.id)}?saved=1"
    ann = factories.make_member(username="ann")
    page = client.get(url("workspace", workspace.id)).content.decode()
    assert "Nobody yet" in page
    assert f'<option value="{ann.id}">' in page
    assert f'<option value="{olga.id}">' not in page  # owners are in every workspace
    path = url("workspace_people", workspace.id)
    for role, expected in (("inherited", None), ("reviewer", "reviewer")):
        assert client.post(path, {"member": ann.id, "role": role}).status_code == 302
        assert places(workspace) == {"ann": expected}
    listed = client.get(url("workspaces")).content.decode()
    assert "film-club" in listed
    assert client.post(path, {"member": ann.id, "role": ""}).status_code == 302
    assert places(workspace) == {}


@pytest.mark.parametrize("name", ["", "two words", "dot.ted", "ü", "x" * 201, "reviews", "a\n"])
def test_a_bad_name_is_refused(client: Client, workspace: Workspace, name: str) -> None:
    factories.make_workspace("reviews")
    before = list(Workspace.objects.order_by("id").values_list("name", flat=True))
    for path in (url("workspaces"), url("workspace_rename", workspace.id)):
        answer = client.post(path, {"name": name})
        if name == "a\n":  # what stands around a name does not count
            assert answer.status_code in {302, 422}
            continue
        assert answer.status_code == 422
        assert list(Workspace.objects.order_by("id").values_list("name", flat=True)) == before


def test_it_is_called_otherwise(client: Client, workspace: Workspace) -> None:
    before = workspace.name
    assert client.post(url("workspace_rename", workspace.id), {"name": "films"}).status_code == 302
    workspace.refresh_from_db()
    assert workspace.name == "films"
    event = Event.objects.get(kind="workspace.renamed")
    assert event.payload["changes"] == {"name": [before, "films"]}


def test_only_an_empty_one_is_deleted(client: Client, dataset: Dataset) -> None:
    full, empty = dataset.workspace, factories.make_workspace()
    answer = client.post(url("workspace_delete", full.id))
    assert answer.status_code == 409
    assert "still holds datasets" in answer.content.decode()
    assert client.post(url("workspace_delete", empty.id)).status_code == 302
    assert list(Workspace.objects.all()) == [full]


def test_an_admin_lets_in_where_they_are_and_makes_none(
    sign_in: SignIn, workspace: Workspace
) -> None:
    hidden = factories.make_workspace()
    bo = factories.make_member(role="admin", username="bo", workspace=workspace)
    ann = factories.make_member(username="ann")
    chief = factories.make_member(role="owner", username="chief", workspace=workspace)
    client = sign_in(bo)
    assert hidden.name not in client.get(url("workspaces")).content.decode()
    assert client.get(url("workspace", hidden.id)).status_code == 404
    sent = {"member": ann.id, "role": "admin"}
    assert client.post(url("workspace_people", hidden.id), sent).status_code == 404
    assert client.post(url("workspace_people", workspace.id), sent).status_code == 302
    assert places(workspace)["ann"] == "admin"
    for member, role, code in ((ann, "owner", 422), (ann, "king", 422), (chief, "", 403)):
        sent = {"member": member.id, "role": role}
        assert client.post(url("workspace_people", workspace.id), sent).status_code == code
    for member in ("", "x", uuid4()):
        sent = {"member": member, "role": "annotator"}
        assert client.post(url("workspace_people", workspace.id), sent).status_code == 404
    assert client.post(url("workspaces"), {"name": "mine"}).status_code == 403
    for name in ("workspace_rename", "workspace_delete"):
        assert client.post(url(name, workspace.id), {"name": "mine"}).status_code == 403
    assert not Workspace.objects.filter(name="mine").exists()


def test_who_manages_one_workspace_manages_no_people(
    sign_in: SignIn, workspace: Workspace, dataset: Dataset
) -> None:
    """They get the workspace's datasets with the quotas of its people, and keys of their own."""
    chief = factories.make_member(username="chief")
    WorkspaceMembership.objects.create(workspace=workspace, membership=chief, role="admin")
    ann = factories.make_member(username="ann", workspace=workspace)
    client = sign_in(chief)
    for name in ("members", "invite", "workspaces", "webhooks", "webhook_new", "audit"):
        assert client.get(url(name)).status_code == 403
    assert client.get(url("workspace", workspace.id)).status_code == 403
    assert client.get(url("member", ann.id)).status_code == 403
    sent = {"role": "admin", "member": ann.id}
    assert client.post(url("member_role", ann.id), sent).status_code == 403
    assert client.post(url("workspace_people", workspace.id), sent).status_code == 403
    assert client.get(url("keys")).status_code == 200
    assert client.get(url("settings_tab", dataset.id, "general")).status_code == 200
    assert client.get(url("team", dataset.id)).status_code == 200
    side = client.get("/").content.decode()
    assert "settings/keys/" in side
    assert not any(f"settings/{name}/" in side for name in ("members", "webhooks", "workspaces"))


def test_the_number_of_queries_does_not_grow(
    client: Client, workspace: Workspace, django_assert_max_num_queries: Any
) -> None:
    for _ in range(12):
        factories.make_member(workspace=workspace)
        factories.make_workspace()
    client.get(url("workspaces"))
    with django_assert_max_num_queries(14):
        client.get(url("workspaces"))
    with django_assert_max_num_queries(14):
        client.get(url("workspace", workspace.id))


def test_many_people_stand_on_several_pages(client: Client, workspace: Workspace) -> None:
    names = [f"m{n:03}" for n in range(51)]
    for name in names:
        factories.make_member(username=name, workspace=workspace)
    path = url("workspace", workspace.id)
    first, second = (client.get(path, {"page": page}).content.decode() for page in (1, 2))
    assert "Page 1 of 2" in first
    assert "?page=2" in first
    assert (names[0] in first, names[-1] in first) == (True, False)
    assert names[-1] in second


# --- What models may cost ------------------------------------------------------------------------
def test_an_admin_sets_the_budget_of_their_workspace(sign_in: SignIn, workspace: Workspace) -> None:
    ada = sign_in(factories.make_member(role="admin", workspace=workspace))
    page, place = url("workspace", workspace.id), url("workspace_budget", workspace.id)
    assert "no limit" in ada.get(page).content.decode()
    assert ada.post(place, {"usd": "12.50", "tokens": "2000"}).status_code == 302
    payer = Payer(None, workspace.id)
    reserve(payer, Amount(Decimal(10), 100))
    settle(payer, reserved=Amount(Decimal(8), 50), spent=Amount(Decimal(8), 50))
    text = ada.get(page).content.decode()
    for said in ("$8.00", "of $12.50 at most", "$2.00", "of 2,000 at most", "80 % of the budget"):
        assert said in text, said
    assert 'class="thin warn" value="80"' in text
    assert 'value="12.5"' in text
    event = Event.objects.get(kind="budget.set")
    assert event.payload["changes"] == {"usd": [None, "12.50"], "tokens": [None, 2000]}
    assert ada.post(place, {"usd": "", "tokens": ""}).status_code == 302
    assert standing_of(workspace.id).usd is None


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"usd": "-1"}, "greater than or equal to 0"),
        ({"usd": "a lot"}, "Enter a number."),
        ({"usd": "NaN"}, "Enter a number."),
        ({"usd": "1000000"}, "less than or equal to 999999"),
        ({"usd": "1e99"}, "less than or equal to 999999"),
        ({"usd": "0.123456789"}, "decimal places"),
        ({"tokens": "-1"}, "greater than or equal to 0"),
        ({"tokens": "1.5"}, "Enter a whole number."),
        ({"tokens": "9" * 30}, "less than or equal to 1000000000000000"),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused(
    client: Client, workspace: Workspace, sent: dict[str, str], words: str
) -> None:
    set_budget(scope=BudgetScope.WORKSPACE, subject_id=workspace.id, usd=Decimal(3))
    answer = client.post(url("workspace_budget", workspace.id), sent)
    text = answer.content.decode()
    assert answer.status_code == 422
    assert words in text
    assert "The budget is as it was." in text
    assert f'value="{next(iter(sent.values()))}"' in text
    assert standing_of(workspace.id).usd == 3


def test_what_was_spent_without_a_limit_is_shown(client: Client, workspace: Workspace) -> None:
    spend(workspace, Decimal("1.25"))
    spend(factories.make_workspace(), Decimal(7))
    text = client.get(url("workspace", workspace.id)).content.decode()
    assert "$1.25" in text
    assert "$8.25" not in text


def spend(workspace: Workspace, usd: Decimal) -> None:
    LedgerEntry.objects.create(
        id=uuid4(),
        inserted_at=timezone.now(),
        kind="call",
        key=b"k" * 32,
        workspace_id=workspace.id,
        provider_id=uuid4(),
        model="tiny",
        usd=usd,
    )


@pytest.mark.parametrize("here", ["reviewer", "annotator"])
def test_who_is_no_admin_here_sets_no_budget(
    sign_in: SignIn, workspace: Workspace, here: str
) -> None:
    member = factories.make_member(role="admin", workspace=workspace)
    WorkspaceMembership.objects.filter(membership=member).update(role=here)
    client = sign_in(member)
    assert 'id="budget"' not in client.get(url("workspace", workspace.id)).content.decode()
    answer = client.post(url("workspace_budget", workspace.id), {"usd": "1"})
    assert answer.status_code == 403
    assert standing_of(workspace.id).usd is None


def test_the_budget_of_a_strangers_workspace_is_not_there(
    sign_in: SignIn, workspace: Workspace
) -> None:
    client = sign_in(factories.make_member(role="admin"))
    assert client.post(url("workspace_budget", workspace.id), {"usd": "1"}).status_code == 404
    assert client.post(url("workspace_budget", uuid4()), {"usd": "1"}).status_code == 404
