"""Users on the wire."""

from typing import Any

import pytest

from apps.organizations.models import ApiKey, Membership
from apps.organizations.services import create_member
from tests.api.conftest import OVERHEAD, Api, Cast

KEYS = [
    "api_key",
    "first_name",
    "id",
    "inserted_at",
    "last_name",
    "role",
    "stoneware_role",
    "updated_at",
    "username",
]
NEW: dict[str, Any] = {"username": "new", "first_name": "New", "password": "long enough"}
UNKNOWN = "00000000-0000-0000-0000-000000000000"


def problems(answer: Any) -> list[tuple[str, list[Any]]]:
    assert answer.status_code == 422
    found = answer.json()["detail"]["params"]["errors"]
    return [(problem["type"], problem["loc"]) for problem in found]


def test_me_has_the_contracts_keys_and_a_masked_key(cast: Cast) -> None:
    me = cast["annotator_in"].get("/me").json()
    assert sorted(me) == KEYS
    assert (me["username"], me["role"], me["last_name"]) == ("annotator_in", "annotator", None)
    assert me["api_key"] == cast.keys["annotator_in"][:7] + "…"


def test_a_reviewer_is_reported_as_an_annotator(cast: Cast) -> None:
    me = cast["reviewer_in"].get("/me").json()
    assert (me["role"], me["stoneware_role"]) == ("annotator", "reviewer")


def test_a_new_user_gets_a_key_that_works_and_is_shown_once(cast: Cast) -> None:
    answer = cast["owner"].post("/users", NEW | {"id": None, "inserted_at": None, "junk": 1})
    assert answer.status_code == 201
    user = answer.json()
    assert sorted(user) == KEYS
    assert user["role"] == "annotator"
    assert Api(user["api_key"]).get("/me").json()["id"] == user["id"]
    again = cast["owner"].get(f"/users/{user['id']}").json()
    assert again["api_key"] == user["api_key"][:7] + "…"
    assert again == user | {"api_key": again["api_key"]}


def test_users_are_listed_as_they_came_with_masked_keys(
    cast: Cast, django_assert_num_queries: Any
) -> None:
    owner = cast["owner"]
    owner.get("/me")
    with django_assert_num_queries(OVERHEAD + 2):
        items = owner.get("/users").json()["items"]
    assert [item["username"] for item in items] == [
        "annotator_in",
        "annotator_out",
        "reviewer_in",
        "admin_in",
        "admin_out",
        "owner",
    ]
    assert all(item["api_key"].endswith("…") for item in items)


def test_a_member_without_a_key_or_a_name(cast: Cast) -> None:
    with cast.inside():
        member = create_member(username="quiet")
    user = cast["owner"].get(f"/users/{member.id}").json()
    assert (user["api_key"], user["first_name"]) == ("", "quiet")


def test_only_a_valid_key_is_ever_masked_into_an_answer(cast: Cast) -> None:
    with cast.inside():
        key = ApiKey.objects.get(membership_id=cast.id("annotator_in"))
        prefix, digest = key.prefix, key.digest
    text = cast["owner"].get("/users").content.decode()
    assert prefix not in text
    assert digest not in text
    assert cast.keys["annotator_in"] not in text


def test_a_preset_id_is_kept_and_a_second_use_conflicts(cast: Cast) -> None:
    id = "0f8fad5b-d9cb-469f-a165-70867728950e"
    assert cast["owner"].post("/users", NEW | {"id": id}).json()["id"] == id
    for body in (NEW | {"id": id, "username": "other"}, NEW):
        answer = cast["owner"].post("/users", body)
        assert answer.status_code == 409
        assert isinstance(answer.json()["detail"], str)


@pytest.mark.parametrize(
    ("change", "type", "place"),
    [
        ({"username": ""}, "string_too_short", "username"),
        ({"username": "x" * 201}, "string_too_long", "username"),
        ({"username": 7}, "string_type", "username"),
        ({"first_name": "  "}, "string_too_short", "first_name"),
        ({"first_name": None}, "string_type", "first_name"),
        ({"last_name": ""}, "string_too_short", "last_name"),
        ({"password": "seven77"}, "string_too_short", "password"),
        ({"password": "x" * 101}, "string_too_long", "password"),
        ({"role": "reviewer"}, "literal_error", "role"),
        ({"role": "king"}, "literal_error", "role"),
        ({"id": "x"}, "uuid_parsing", "id"),
    ],
)
def test_a_wrong_user_is_a_422(cast: Cast, change: Any, type: str, place: str) -> None:
    assert problems(cast["owner"].post("/users", NEW | change)) == [(type, ["body", place])]


def test_what_is_missing_is_named_at_once(cast: Cast) -> None:
    assert problems(cast["owner"].post("/users", {})) == [
        ("missing", ["body", name]) for name in ("first_name", "username", "password")
    ]


def test_roles_at_creation(cast: Cast) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"role": None}, "annotator"),
        ({"role": "admin"}, "admin"),
        ({"role": "owner"}, "owner"),
        ({"stoneware_role": "reviewer"}, "reviewer"),
        ({"role": "annotator", "stoneware_role": "reviewer"}, "reviewer"),
    ]
    for number, (role, expected) in enumerate(cases):
        body = NEW | role | {"username": f"user-{number}"}
        assert cast["owner"].post("/users", body).json()["stoneware_role"] == expected


def test_names_are_stripped(cast: Cast) -> None:
    user = cast["owner"].post("/users", NEW | {"first_name": "  Ana "}).json()
    assert user["first_name"] == "Ana"


def test_an_update_changes_what_was_sent(cast: Cast) -> None:
    path = f"/users/{cast.id('annotator_in')}"
    before = cast["owner"].get(path).json()
    answer = cast["owner"].patch(path, {"last_name": "X", "role": "admin", "junk": 1})
    assert answer.status_code == 200
    after = answer.json()
    assert after["updated_at"] > before["updated_at"]
    assert after == before | {
        "last_name": "X",
        "role": "admin",
        "stoneware_role": "admin",
        "updated_at": after["updated_at"],
    }
    assert cast["owner"].patch(path, {"last_name": None}).json()["last_name"] is None
    assert cast["owner"].patch(path, {}).status_code == 200


@pytest.mark.parametrize("name", ["first_name", "username", "role", "password", "stoneware_role"])
def test_null_is_no_value_for_these(cast: Cast, name: str) -> None:
    answer = cast["owner"].patch(f"/users/{cast.id('annotator_in')}", {name: None})
    ((_, place),) = problems(answer)
    assert place == ["body", name]


def test_a_used_username_is_a_422_in_an_update(cast: Cast) -> None:
    answer = cast["owner"].patch(f"/users/{cast.id('annotator_in')}", {"username": "owner"})
    assert answer.status_code == 422
    assert isinstance(answer.json()["detail"], str)


def test_saving_a_reviewer_as_read_keeps_the_role(cast: Cast) -> None:
    path = f"/users/{cast.id('reviewer_in')}"
    assert cast["owner"].patch(path, {"role": "annotator"}).json()["stoneware_role"] == "reviewer"
    demoted = cast["owner"].patch(path, {"stoneware_role": "annotator"}).json()
    assert demoted["stoneware_role"] == "annotator"


def test_a_deleted_user_is_answered_as_it_was_and_is_gone(cast: Cast) -> None:
    path = f"/users/{cast.id('annotator_in')}"
    before = cast["owner"].get(path).json()
    answer = cast["owner"].delete(path)
    assert (answer.status_code, answer.json()) == (200, before)
    for method in ("GET", "PATCH", "DELETE"):
        assert cast["owner"].send(method, path, {}).status_code == 404
    usernames = [item["username"] for item in cast["owner"].get("/users").json()["items"]]
    assert "annotator_in" not in usernames
    people = cast["owner"].get(f"/workspaces/{cast.workspace.id}/users").json()["items"]
    assert "annotator_in" not in [person["username"] for person in people]
    with cast.inside():
        assert not Membership.objects.get(pk=cast.id("annotator_in")).is_active


def test_the_username_of_a_deleted_user_is_free_again(cast: Cast) -> None:
    cast["owner"].delete(f"/users/{cast.id('annotator_in')}")
    assert cast["owner"].post("/users", NEW | {"username": "annotator_in"}).status_code == 201


def test_the_last_owner_stays(cast: Cast) -> None:
    path = f"/users/{cast.id('owner')}"
    assert cast["owner"].delete(path).status_code == 422
    assert cast["owner"].patch(path, {"role": "admin"}).status_code == 422


def test_a_users_workspaces(cast: Cast) -> None:
    def names(who: str) -> list[str]:
        items = cast["owner"].get(f"/users/{cast.id(who)}/workspaces").json()["items"]
        return [item["name"] for item in items]

    assert names("annotator_in") == ["reviews"]
    assert names("owner") == ["reviews", "elsewhere"]
    assert cast["owner"].get(f"/users/{UNKNOWN}/workspaces").status_code == 404


def test_organizations_share_no_usernames_and_no_ids(cast: Cast) -> None:
    id = "0f8fad5b-d9cb-469f-a165-70867728950e"
    assert cast["owner"].post("/users", NEW | {"id": id}).status_code == 201
    assert cast["stranger"].post("/users", NEW | {"id": id}).status_code == 201
    cast["stranger"].delete(f"/users/{id}")
    assert cast["owner"].get(f"/users/{id}").status_code == 200
