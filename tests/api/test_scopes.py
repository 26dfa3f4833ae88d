"""What an API key is good for, when it ends, and how one makes keys for oneself."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.urls import URLPattern
from django.utils import timezone

from apps.api.urls import urlpatterns
from apps.core.tenancy import enter
from apps.organizations.directory import find_api_key
from apps.organizations.models import ApiKey, Scope
from apps.organizations.services import create_api_key
from tests.api.conftest import Api, Cast
from tests.factories import make_dataset, make_records

VALUES = {"sentiment": {"value": "positive"}}


@pytest.fixture
def keyed(cast: Cast) -> Callable[..., Api]:
    """The owner's client with a key of these scopes."""

    def make(*scopes: str, **values: Any) -> Api:
        with cast.inside():
            owner = cast.people["owner"]
            return Api(create_api_key(member=owner, scopes=scopes, **values)[1])

    return make


@pytest.fixture
def record(cast: Cast) -> Any:
    with cast.inside():
        return make_records(make_dataset(cast.workspace))[0]


def requests_of(cast: Cast, record: Any) -> dict[str, Callable[[Api], Any]]:
    """A request for each scope."""
    dataset = f"/datasets/{record.dataset_id}"
    answer = {"status": "submitted", "values": VALUES}
    return {
        "read": lambda api: api.get(dataset),
        "annotate": lambda api: api.post(f"/records/{record.id}/responses", answer),
        "write": lambda api: api.patch(dataset, {"guidelines": "Be kind."}),
        "manage": lambda api: api.post("/workspaces", {"name": f"w-{uuid4()}"}),
    }


@pytest.mark.parametrize("scope", Scope.values)
def test_a_key_may_do_what_it_is_for_and_nothing_else(
    cast: Cast, keyed: Callable[..., Api], record: Any, scope: str
) -> None:
    api = keyed(scope)
    for wanted, send in requests_of(cast, record).items():
        answer = send(api)
        if wanted == scope:
            assert answer.status_code in {200, 201}, (wanted, answer.content)
            continue
        detail = {
            "code": "argilla.api.errors::ForbiddenOperationError",
            "params": {"detail": f"The API key lacks the scope `{wanted}`"},
        }
        assert (answer.status_code, answer.json()) == (403, {"detail": detail})


def test_a_key_without_a_word_about_scopes_has_them_all(cast: Cast, record: Any) -> None:
    for send in requests_of(cast, record).values():
        assert send(cast["owner"]).status_code in {200, 201}


def test_a_scope_gives_no_more_than_the_role(cast: Cast, record: Any) -> None:
    for name in ("annotator_in", "stranger"):
        answer = requests_of(cast, record)["write"](cast[name])
        assert answer.status_code == (404 if name == "stranger" else 403)
        assert "scope" not in answer.content.decode()


def test_the_scope_is_asked_before_anything_is_told(cast: Cast, keyed: Callable[..., Api]) -> None:
    api = keyed("annotate")
    assert api.get(f"/datasets/{uuid4()}").status_code == 403
    assert api.post("/workspaces", {}).status_code == 403
    assert api.post("/workspaces", raw=b"{").status_code == 422


# Routes whose writes, or even whose reads, are not of the ordinary kind.
OTHERWISE = {
    "users": Scope.MANAGE,
    "users/<user_id>": Scope.MANAGE,
    "workspaces": Scope.MANAGE,
    "workspaces/<workspace_id>": Scope.MANAGE,
    "workspaces/<workspace_id>/users": Scope.MANAGE,
    "workspaces/<workspace_id>/users/<user_id>": Scope.MANAGE,
    "me/api-keys": Scope.MANAGE,
    "me/api-keys/<api_key_id>": Scope.MANAGE,
    "webhooks": Scope.MANAGE,
    "webhooks/<webhook_id>": Scope.MANAGE,
    "webhooks/<webhook_id>/ping": Scope.MANAGE,
    "webhooks/<webhook_id>/rotate-secret": Scope.MANAGE,
    "webhooks/<webhook_id>/deliveries": Scope.MANAGE,
    "webhooks/<webhook_id>/deliveries/<delivery_id>/resend": Scope.MANAGE,
    "llm/providers": Scope.MANAGE,
    "llm/providers/<llm_provider_id>": Scope.MANAGE,
    "llm/providers/<llm_provider_id>/test": Scope.MANAGE,
    "records/<record_id>/responses": Scope.ANNOTATE,
    "responses/<response_id>": Scope.ANNOTATE,
    "me/responses/bulk": Scope.ANNOTATE,
    "me/datasets/<dataset_id>/claim": Scope.ANNOTATE,
    "datasets/<dataset_id>/records/search": Scope.READ,
    "me/datasets/<dataset_id>/records/search": Scope.READ,
}


def views() -> Iterator[tuple[str, Any]]:
    for pattern in urlpatterns:
        assert isinstance(pattern, URLPattern)
        callback: Any = pattern.callback
        yield str(pattern.pattern), getattr(callback, "cls", None) or callback.view_class


def test_every_route_has_its_scopes() -> None:
    found = dict(views())
    assert set(OTHERWISE) <= set(found)
    for route, view in found.items():
        assert {view.read_scope, view.write_scope} <= set(Scope), route
        if route in OTHERWISE:
            assert view.write_scope == OTHERWISE[route], route


# --- One's own keys ------------------------------------------------------------------------------


def test_a_key_is_made_shown_once_listed_and_revoked(cast: Cast) -> None:
    owner = cast["owner"]
    end = (timezone.now() + timedelta(days=3)).replace(microsecond=7)
    body = {"name": "ci", "scopes": ["write", "read"], "expires_at": end.isoformat()}
    made = owner.post("/me/api-keys", body)
    assert made.status_code == 201
    assert made.json()["scopes"] == ["read", "write"]
    assert made.json()["expires_at"] == end.replace(tzinfo=None).isoformat()
    key = made.json()["api_key"]
    assert Api(key).get("/me").json()["username"] == "owner"

    listed = owner.get("/me/api-keys").json()["items"]
    assert [one["name"] for one in listed] == ["default", "ci"]
    assert key not in owner.get("/me/api-keys").content.decode()
    assert key.startswith(listed[1]["api_key"].rstrip("…"))

    gone = owner.delete(f"/me/api-keys/{made.json()['id']}")
    assert (gone.status_code, gone.json()["id"]) == (200, made.json()["id"])
    assert Api(key).get("/me").status_code == 401
    assert owner.delete(f"/me/api-keys/{made.json()['id']}").status_code == 404
    assert len(owner.get("/me/api-keys").json()["items"]) == 1


def test_keys_of_others_are_not_found(cast: Cast) -> None:
    with cast.inside():
        theirs = ApiKey.objects.get(membership_id=cast.id("annotator_in")).id
    for name in ("owner", "stranger"):
        answer = cast[name].delete(f"/me/api-keys/{theirs}")
        assert (answer.status_code, answer.json()) == (
            404,
            {"detail": f"ApiKey with id `{theirs}` not found"},
        )
        ids = [one["id"] for one in cast[name].get("/me/api-keys").json()["items"]]
        assert str(theirs) not in ids
    assert cast["annotator_in"].get("/me").status_code == 200


def test_a_key_begets_none_that_is_mightier_or_lives_longer(
    cast: Cast, keyed: Callable[..., Api]
) -> None:
    end = timezone.now() + timedelta(hours=1)
    api = keyed("manage", "read", expires_at=end)
    refused = [
        {"scopes": ["write"]},
        {"scopes": list(Scope.values)},
        {"expires_at": (end + timedelta(seconds=1)).isoformat()},
    ]
    for body in refused:
        assert api.post("/me/api-keys", body).status_code == 403, body
    child = api.post("/me/api-keys", {}).json()
    assert child["scopes"] == ["read", "manage"]
    with cast.inside():
        assert ApiKey.objects.get(id=child["id"]).expires_at == end
    assert keyed("read").post("/me/api-keys", {}).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {"scopes": []},
        {"scopes": ["everything"]},
        {"scopes": "read"},
        {"name": ""},
        {"name": "x" * 101},
        {"expires_at": "soon"},
        {"expires_at": "2020-01-01T00:00:00"},
        {"expires_at": 1e300},
    ],
)
def test_bad_wishes_are_422(cast: Cast, body: dict[str, Any]) -> None:
    assert cast["owner"].post("/me/api-keys", body).status_code == 422
    assert len(cast["owner"].get("/me/api-keys").json()["items"]) == 1


def test_an_expired_key_is_no_key(cast: Cast, keyed: Callable[..., Api]) -> None:
    api = keyed("read", expires_at=timezone.now() + timedelta(hours=1))
    assert api.get("/me").status_code == 200
    with cast.inside():
        ApiKey.objects.filter(scopes=["read"]).update(
            expires_at=timezone.now() - timedelta(hours=1)
        )
    assert api.get("/me").status_code == 401


# --- The operator's command ----------------------------------------------------------------------


def run(*arguments: str) -> Any:
    out = StringIO()
    call_command("create_api_key", *arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_the_command_makes_a_key(cast: Cast) -> None:
    slug = cast.organization.slug
    made = run(
        *("--organization", slug, "--username", "owner", "--name", "nightly"),
        *("--scope", "read", "--scope", "annotate", "--days", "30"),
    )
    assert (made["slug"], made["username"]) == (slug, "owner")
    holder = find_api_key(made["key"]["api_key"])
    assert holder is not None
    assert holder.scopes == {"read", "annotate"}
    assert holder.membership_id == cast.id("owner")
    assert holder.expires_at is not None
    assert timedelta(days=29) < holder.expires_at - timezone.now() < timedelta(days=31)
    full = run("--organization", slug, "--username", "owner")["key"]
    assert (full["scopes"], full["expires_at"]) == (list(Scope.values), None)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--organization", "nowhere", "--username", "owner"),
        ("--organization", "{slug}", "--username", "nobody"),
        ("--organization", "{slug}", "--username", "owner", "--days", "0"),
    ],
)
def test_the_command_says_what_is_wrong(cast: Cast, arguments: tuple[str, ...]) -> None:
    given = [one.format(slug=cast.organization.slug) for one in arguments]
    with pytest.raises(CommandError):
        run(*given)
    with enter(cast.organization.id):
        assert ApiKey.objects.filter(membership_id=cast.id("owner")).count() == 1
