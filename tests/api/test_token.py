"""Log-in by username and password, and the bearer token as the second way in."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
from django.test import Client
from django.utils import timezone

from apps.core.tenancy import enter
from apps.organizations import tokens
from apps.organizations.models import Membership
from apps.organizations.services import create_member, remove_member, set_password
from apps.users.models import User
from tests.api.conftest import OVERHEAD, Api, Cast
from tests.factories import PASSWORD, make_member

BAD = {
    "detail": {
        "code": "argilla.api.errors::UnauthorizedError",
        "params": {"detail": "Could not validate credentials"},
    }
}


@pytest.fixture
def ann(cast: Cast) -> Membership:
    with cast.inside():
        return make_member(username="ann", role="admin", password=PASSWORD)


def ask(**form: str) -> Any:
    return Client(raise_request_exception=False).post(
        "/api/v1/token", urlencode(form), content_type="application/x-www-form-urlencoded"
    )


def token_of(cast: Cast, name: str = "ann", password: str = PASSWORD) -> str:
    answer = ask(username=f"{cast.organization.slug}/{name}", password=password)
    assert answer.status_code == 201, answer.content
    return str(answer.json()["access_token"])


def me(token: str, **headers: str) -> Any:
    return Api().get("/me", Authorization=f"Bearer {token}", **headers)


def test_a_form_makes_a_token_that_names_the_member(cast: Cast, ann: Membership) -> None:
    answer = ask(username=f"{cast.organization.slug}/ann", password=PASSWORD)
    assert (answer.status_code, answer.json()["token_type"]) == (201, "bearer")
    assert list(answer.json()) == ["access_token", "token_type"]
    claims = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
    assert jwt.get_unverified_header(answer.json()["access_token"])["alg"] == "HS256"
    assert claims["identity"] == str(ann.id)
    assert claims["organization"] == str(cast.organization.id)
    assert (claims["name"], claims["username"], claims["role"]) == ("ann", "ann", "admin")
    left = claims["exp"] - timezone.now().timestamp()
    assert 24 * 3600 - 60 < left <= 24 * 3600


def test_the_token_is_a_way_in_with_the_members_role(cast: Cast, ann: Membership) -> None:
    token = token_of(cast)
    answer = me(token)
    assert (answer.status_code, answer.json()["username"]) == (200, "ann")
    assert answer.json()["api_key"] == ""
    assert Api().get("/users", Authorization=f"bearer {token}").status_code == 403
    with cast.inside():
        Membership.objects.filter(pk=ann.pk).update(role="owner")
    assert Api().get("/users", Authorization=f"Bearer {token}").status_code == 200


def test_a_token_costs_no_more_queries_than_a_key(
    cast: Cast, ann: Membership, django_assert_num_queries: Any
) -> None:
    token = token_of(cast)
    path = "/me/workspaces"
    with django_assert_num_queries(OVERHEAD + 1):
        Api().get(path, Authorization=f"Bearer {token}")


def test_an_unknown_key_falls_through_and_a_good_one_comes_first(
    cast: Cast, ann: Membership
) -> None:
    token = token_of(cast)
    fallen = Api("sw_unknown").get("/me", Authorization=f"Bearer {token}")
    assert fallen.json()["username"] == "ann"
    both = cast["owner"].get("/me", Authorization=f"Bearer {token}")
    assert both.json()["username"] == "owner"
    stray = cast["owner"].get("/me", Authorization="Bearer hf_abc")
    assert stray.json()["username"] == "owner"


@pytest.mark.parametrize("token", ["hf_abc", "a.b.c", "é", "x" * 5_000, "e30.e30.", "\x00"])
def test_what_is_no_token_is_an_invalid_token(cast: Cast, token: str) -> None:
    for api in (Api(), Api("sw_unknown")):
        answer = api.get("/me", Authorization=f"Bearer {token}")
        assert answer.status_code == 401
        assert answer.json()["detail"]["params"]["detail"] == "Invalid token"


def test_a_forged_or_expired_token_is_invalid(cast: Cast, ann: Membership) -> None:
    claims = jwt.decode(token_of(cast), options={"verify_signature": False})
    forged = jwt.encode(claims, "another secret of thirty-two bytes", algorithm="HS256")
    unsigned = jwt.encode(claims, "", algorithm="none")
    assert ann.user is not None
    old = tokens.issue_token(member=ann, user=ann.user, now=timezone.now() - timedelta(days=2))
    lacking = {name: value for name, value in claims.items() if name != "stamp"}
    bare = jwt.encode(lacking, tokens._key(), algorithm="HS256")
    odd = jwt.encode({**claims, "identity": "x"}, tokens._key(), algorithm="HS256")
    for token in (forged, unsigned, old, bare, odd):
        assert me(token).json()["detail"]["params"]["detail"] == "Invalid token"


def test_a_token_ends_with_the_password_the_member_and_the_account(
    cast: Cast, ann: Membership
) -> None:
    token = token_of(cast)
    with cast.inside():
        set_password(member=ann, password="another password")
    assert (me(token).status_code, me(token).json()) == (401, BAD)
    token = token_of(cast, password="another password")
    User.objects.filter(pk=ann.user_id).update(is_active=False)
    assert me(token).status_code == 401
    User.objects.filter(pk=ann.user_id).update(is_active=True)
    assert me(token).status_code == 200
    with cast.inside():
        remove_member(member=ann)
    assert me(token).status_code == 401


def test_a_token_of_one_organization_reaches_no_other(cast: Cast, ann: Membership) -> None:
    with enter(cast.other.id):
        make_member(username="ann", role="owner", password="their password")
    claims = jwt.decode(token_of(cast), options={"verify_signature": False})
    moved = {**claims, "organization": str(cast.other.id)}
    assert me(jwt.encode(moved, tokens._key(), algorithm="HS256")).status_code == 401
    theirs = ask(username=f"{cast.other.slug}/ann", password="their password").json()
    assert me(theirs["access_token"]).json()["id"] != str(ann.id)
    assert ask(username=f"{cast.other.slug}/ann", password=PASSWORD).status_code == 401


# --- Whose name it is ----------------------------------------------------------------------------


def test_the_organization_may_come_by_itself(cast: Cast, ann: Membership) -> None:
    slug = cast.organization.slug
    for given in (slug, slug.upper()):
        assert ask(username="ann", password=PASSWORD, organization=given).status_code == 201
    assert ask(username="ann", password=PASSWORD, organization="nowhere").status_code == 401
    assert ask(username="ann", password=PASSWORD, organization=cast.other.slug).status_code == 401


def test_a_plain_username_is_enough_where_there_is_one_organization(
    organization: Any,
) -> None:
    make_member(username="ann", password=PASSWORD)
    make_member(username="team/bob", password=PASSWORD)
    assert ask(username="ann", password=PASSWORD).status_code == 201
    assert ask(username="team/bob", password=PASSWORD).status_code == 201


def test_a_plain_username_is_nobodys_where_there_are_more(cast: Cast, ann: Membership) -> None:
    assert ask(username="ann", password=PASSWORD).status_code == 401


def test_an_email_finds_its_only_organization(cast: Cast) -> None:
    mail = "mo@example.org"
    with cast.inside():
        create_member(username="mo", email=mail, password=PASSWORD)
    assert ask(username="MO@example.org", password=PASSWORD).status_code == 201
    assert ask(username=f"{cast.organization.slug}/mo", password=PASSWORD).status_code == 201
    with enter(cast.other.id):
        create_member(username="mo", email=mail)
    assert ask(username=mail, password=PASSWORD).status_code == 401
    for name in (cast.organization.slug, cast.other.slug):
        assert ask(username=f"{name}/{mail}", password=PASSWORD).status_code == 201


# --- What is refused -----------------------------------------------------------------------------


def test_wrong_credentials_are_all_the_same_401(cast: Cast, ann: Membership) -> None:
    slug = cast.organization.slug
    for name, password in [
        (f"{slug}/ann", "wrong"),
        (f"{slug}/nobody", PASSWORD),
        ("nowhere/ann", PASSWORD),
        (f"{slug}/annotator_in", ""),  # has no password at all
        ("nobody@example.org", PASSWORD),
        ("/", PASSWORD),
    ]:
        answer = ask(username=name, password=password)
        assert (answer.status_code, answer.json()) == (401, BAD), name


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"username": "ann", "password": "x"}', "application/json"),
        (b"username=ann", "application/x-www-form-urlencoded"),
        (b"", "application/x-www-form-urlencoded"),
        (b"username=&password=x", "application/x-www-form-urlencoded"),
        (b"username=a%00b&password=x", "application/x-www-form-urlencoded"),
        (b"username=ann&password=" + b"x" * 2_000, "application/x-www-form-urlencoded"),
        (b"\xff\xfe&=&&%", "application/x-www-form-urlencoded"),
        (b"&".join(b"a%d=1" % n for n in range(1_500)), "application/x-www-form-urlencoded"),
        (b"username=ann&password=x", "text/plain"),
    ],
)
def test_what_is_no_form_of_credentials_is_a_422(db: None, body: bytes, content_type: str) -> None:
    client = Client(raise_request_exception=False)
    answer = client.generic("POST", "/api/v1/token", body, content_type=content_type)
    assert answer.status_code == 422
    assert answer.json()["detail"]["code"] == "argilla.api.errors::ValidationError"


def test_a_long_form_is_a_413_and_other_methods_a_405(db: None) -> None:
    assert ask(username="x" * 20_000, password="x").status_code == 413
    assert Client().get("/api/v1/token").status_code == 405


def test_a_wrong_name_costs_a_hash_as_well(cast: Cast, monkeypatch: Any) -> None:
    hashed: list[str] = []
    monkeypatch.setattr("apps.organizations.login.make_password", lambda text: hashed.append(text))
    ask(username=f"{cast.organization.slug}/nobody", password="guess")
    ask(username="nowhere/ann", password="guess")
    assert hashed == ["guess", "guess"]
