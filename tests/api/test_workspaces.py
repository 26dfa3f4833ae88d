"""Workspaces on the wire."""

from decimal import Decimal
from typing import Any

import pytest

from apps.llms.budgets import Amount, Payer, reserve, settle, this_month
from apps.llms.models import Budget
from tests import factories
from tests.api.conftest import OVERHEAD, Cast

KEYS = ["id", "inserted_at", "name", "updated_at"]
UNKNOWN = "00000000-0000-0000-0000-000000000000"


def test_a_workspace_is_made_read_and_deleted(cast: Cast) -> None:
    answer = cast["owner"].post("/workspaces", {"name": "new", "id": None})
    assert answer.status_code == 201
    workspace = answer.json()
    assert sorted(workspace) == KEYS
    path = f"/workspaces/{workspace['id']}"
    assert cast["owner"].get(path).json() == workspace
    gone = cast["owner"].delete(path)
    assert (gone.status_code, gone.json()) == (200, workspace)
    assert cast["owner"].get(path).status_code == 404
    assert cast["owner"].delete(path).status_code == 404


def test_a_preset_id_is_kept(cast: Cast) -> None:
    id = "0f8fad5b-d9cb-469f-a165-70867728950e"
    assert cast["owner"].post("/workspaces", {"name": "new", "id": id}).json()["id"] == id
    again = cast["owner"].post("/workspaces", {"name": "newer", "id": id})
    assert again.status_code == 409


def test_a_used_name_conflicts_within_the_organization(cast: Cast) -> None:
    answer = cast["owner"].post("/workspaces", {"name": "reviews"})
    assert answer.status_code == 409
    assert answer.json() == {"detail": "Workspace with name `reviews` is not unique"}
    assert cast["stranger"].post("/workspaces", {"name": "reviews"}).status_code == 201


@pytest.mark.parametrize("name", ["a b", "é", "a/b", "x" * 201, "."])
def test_a_name_the_client_cannot_read_is_refused(cast: Cast, name: str) -> None:
    answer = cast["owner"].post("/workspaces", {"name": name})
    assert answer.status_code == 422
    assert isinstance(answer.json()["detail"], str)


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": None}, {"name": 1}])
def test_a_wrong_body_is_a_422(cast: Cast, body: Any) -> None:
    answer = cast["owner"].post("/workspaces", body)
    (problem,) = answer.json()["detail"]["params"]["errors"]
    assert (answer.status_code, problem["loc"]) == (422, ["body", "name"])


def test_a_workspace_with_datasets_stays(cast: Cast) -> None:
    with cast.inside():
        factories.make_dataset(cast.workspace)
    answer = cast["owner"].delete(f"/workspaces/{cast.workspace.id}")
    assert answer.status_code == 409
    assert str(cast.workspace.id) in answer.json()["detail"]


def test_my_workspaces(cast: Cast, django_assert_num_queries: Any) -> None:
    def names(who: str) -> list[str]:
        items = cast[who].get("/me/workspaces").json()["items"]
        return [item["name"] for item in items]

    assert names("owner") == ["reviews", "elsewhere"]
    assert names("admin_in") == ["reviews"]
    assert names("annotator_out") == ["elsewhere"]
    assert names("stranger") == []
    with django_assert_num_queries(OVERHEAD + 1):
        names("admin_in")


def test_who_is_in_a_workspace_by_the_time_they_came(
    cast: Cast, django_assert_num_queries: Any
) -> None:
    path = f"/workspaces/{cast.workspace.id}/users"
    added = cast["owner"].post(path, {"user_id": str(cast.id("annotator_out"))})
    assert added.status_code == 201
    assert added.json()["username"] == "annotator_out"
    cast["admin_in"].get(path)
    with django_assert_num_queries(OVERHEAD + 4):  # role, workspace, members, keys
        items = cast["admin_in"].get(path).json()["items"]
    assert [item["username"] for item in items] == [
        "annotator_in",
        "reviewer_in",
        "admin_in",
        "annotator_out",
    ]


def test_adding_somebody_twice_conflicts_and_somebody_unknown_is_invalid(cast: Cast) -> None:
    path = f"/workspaces/{cast.workspace.id}/users"
    twice = cast["owner"].post(path, {"user_id": str(cast.id("annotator_in"))})
    assert twice.status_code == 409
    for unknown in (UNKNOWN, str(cast.id("stranger"))):
        answer = cast["owner"].post(path, {"user_id": unknown})
        assert answer.status_code == 422
        assert answer.json() == {"detail": f"User with id `{unknown}` not found"}
    assert cast["owner"].post(f"/workspaces/{UNKNOWN}/users", {}).status_code == 422
    body = {"user_id": str(cast.id("owner"))}
    assert cast["owner"].post(f"/workspaces/{UNKNOWN}/users", body).status_code == 404


def test_somebody_leaves_a_workspace(cast: Cast) -> None:
    path = f"/workspaces/{cast.workspace.id}/users/{cast.id('annotator_in')}"
    answer = cast["admin_in"].delete(path)
    assert answer.status_code == 200
    assert answer.json()["username"] == "annotator_in"
    again = cast["admin_in"].delete(path)
    assert again.status_code == 404
    assert again.json() == {
        "detail": f"WorkspaceUser not found filtering by workspace_id={cast.workspace.id},"
        f" user_id={cast.id('annotator_in')}"
    }


def test_a_removed_user_cannot_be_let_in(cast: Cast) -> None:
    user = str(cast.id("annotator_out"))
    cast["owner"].delete(f"/users/{user}")
    path = f"/workspaces/{cast.workspace.id}/users"
    assert cast["owner"].post(path, {"user_id": user}).status_code == 422


# --- What models may cost ------------------------------------------------------------------------
def test_a_workspace_has_a_budget(cast: Cast) -> None:
    place, admin = f"/workspaces/{cast.workspace.id}/budget", cast["admin_in"]
    free = admin.get(place).json()
    assert (free["usd"], free["tokens"], free["spent_usd"]) == (None, None, 0)
    answer = admin.put(place, {"usd": 12.5, "tokens": 1000})
    assert answer.status_code == 200
    assert (answer.json()["usd"], answer.json()["tokens"]) == (12.5, 1000)
    with cast.inside():
        payer = Payer(None, cast.workspace.id)
        assert reserve(payer, Amount(Decimal("1.5"), 100))
        settle(payer, reserved=Amount(Decimal(1), 60), spent=Amount(Decimal("0.25"), 40))
    found = admin.get(place).json()
    assert (found["spent_usd"], found["spent_tokens"]) == (0.25, 40)
    assert (found["reserved_usd"], found["reserved_tokens"]) == (0.5, 40)
    assert found["month"] == this_month().isoformat()
    lifted = admin.put(place, {}).json()
    assert (lifted["usd"], lifted["tokens"], lifted["spent_usd"]) == (None, None, 0.25)


@pytest.mark.parametrize(
    "body",
    [
        {"usd": -1},
        {"usd": "a lot"},
        {"usd": "NaN"},
        {"usd": 1_000_000},
        {"usd": 1e300},
        {"tokens": -1},
        {"tokens": 1.5},
        {"tokens": 10**16},
        {"tokens": [1]},
        [],
        None,
    ],
)
def test_a_budget_that_makes_no_sense_is_refused(cast: Cast, body: Any) -> None:
    answer = cast["owner"].put(f"/workspaces/{cast.workspace.id}/budget", body)
    assert answer.status_code == 422, answer.content
    with cast.inside():
        assert not Budget.objects.exists()
