"""The operator's door: whom it lets in, and that nobody else learns it is there."""

import json
import time
from collections.abc import Callable
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import (
    TOTP,
    format_hotp_value,
    hotp_value,
    yield_hotp_counters_from_time,
)
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import URLResolver, get_resolver, reverse

from apps.core.rate_limits import refill
from apps.operator.access import PROVED
from apps.organizations.models import Membership, Organization
from apps.users.models import User
from tests.factories import PASSWORD
from tests.operator.conftest import EVERYWHERE, make_user, signed_in

pytestmark = EVERYWHERE

SECRET = "JBSWY3DPEHPK3PXP"
ID = "0192f0c0-0000-7000-8000-000000000001"


def paths() -> list[str]:
    """Every address below ``/operator/``."""
    found: list[str] = []

    def walk(resolver: Any, before: str) -> None:
        for entry in resolver.url_patterns:
            route = before + str(entry.pattern)
            if isinstance(entry, URLResolver):
                walk(entry, route)
            elif route.startswith("operator/"):
                for one in (
                    "organization_id",
                    "job_id",
                    "webhook_delivery_id",
                    "announcement_id",
                    "invoice_id",
                    "certificate_id",
                ):
                    route = route.replace(f"<uuid:{one}>", ID)
                route = route.replace("<uuid:account_id>", ID).replace("<str:step>", "retry")
                route = route.replace("<path:object_id>", ID).replace("<int:content_type_id>", "1")
                route = route.replace("(?P<app_label>", "users").replace("^", "")
                found.append("/" + route.split("(?P")[0].removesuffix("$"))

    walk(get_resolver(), "")
    return found


PATHS = paths()


def code_of_now() -> str:
    counter = next(iter(yield_hotp_counters_from_time()))
    return str(format_hotp_value(hotp_value(SECRET, counter)))


def test_there_is_something_to_walk() -> None:
    assert len(PATHS) > 40
    assert "/operator/admin/organizations/organization/" in PATHS


def test_nobody_but_staff_learns_of_it(
    acme: Organization, member_of: Callable[..., Membership]
) -> None:
    owner = member_of(acme, "owner").user
    assert owner is not None
    clients = [Client(), signed_in(owner), signed_in(make_user(is_superuser=True))]
    for client in clients:
        for path in PATHS:
            for method in ("get", "post"):
                answer = getattr(client, method)(path)
                assert answer.status_code == 404, f"{method} {path}: {answer.status_code}"


def test_staff_must_prove_themselves_again(operator: User) -> None:
    client = signed_in(operator)
    for path in PATHS:
        if path in {"/operator/sign-in/", "/operator/leave/"}:
            continue
        answer = client.get(path)
        assert answer.status_code == 302, f"{path}: {answer.status_code}"
        assert answer["Location"].startswith("/operator/"), path


def test_the_proof_ends(operator: User, settings: Any) -> None:
    client = signed_in(operator, proved=True)
    assert client.get("/operator/").status_code == 200
    session = client.session
    session[PROVED] = [str(operator.pk), time.time() - settings.OPERATOR_SESSION_MINUTES * 60 - 1]
    session.save()
    assert client.get("/operator/").status_code == 302


def test_the_proof_of_another_account_is_none(operator: User) -> None:
    client = signed_in(operator)
    session = client.session
    session[PROVED] = [str(make_user(is_staff=True).pk), time.time()]
    session.save()
    assert client.get("/operator/").status_code == 302


def test_leaving_closes_the_door(console: Client) -> None:
    assert console.post("/operator/leave/").status_code == 302
    assert console.get("/operator/").status_code == 302


def test_who_is_no_longer_staff_is_out_at_once(operator: User, console: Client) -> None:
    User.objects.filter(pk=operator.pk).update(is_staff=False)
    assert console.get("/operator/").status_code == 404


def test_a_second_factor_is_needed(operator: User, settings: Any) -> None:
    settings.OPERATOR_MFA_REQUIRED = True
    client = signed_in(operator)
    answer = client.post("/operator/sign-in/", {"password": PASSWORD})
    assert answer.status_code == 403
    assert "second factor" in answer.content.decode()
    assert client.get("/operator/").status_code == 302


def test_password_and_code(operator: User, settings: Any) -> None:
    settings.OPERATOR_MFA_REQUIRED = True
    TOTP.activate(operator, SECRET)
    client = signed_in(operator)
    assert 'name="code"' in client.get("/operator/sign-in/").content.decode()
    for password, code in ((PASSWORD, ""), (PASSWORD, "000000"), ("wrong", code_of_now())):
        answer = client.post("/operator/sign-in/", {"password": password, "code": code})
        assert answer.status_code == 422
    assert client.get("/operator/").status_code == 302
    given = {"password": PASSWORD, "code": code_of_now(), "next": "/operator/jobs/"}
    answer = client.post("/operator/sign-in/", given)
    assert (answer.status_code, answer["Location"]) == (302, "/operator/jobs/")
    assert client.get("/operator/jobs/").status_code == 200


def test_an_account_with_a_factor_needs_it_everywhere(operator: User, settings: Any) -> None:
    settings.OPERATOR_MFA_REQUIRED = False
    TOTP.activate(operator, SECRET)
    client = signed_in(operator)
    assert client.post("/operator/sign-in/", {"password": PASSWORD}).status_code == 422


def test_a_recovery_code_is_good_once(operator: User) -> None:
    TOTP.activate(operator, SECRET)
    code = RecoveryCodes.activate(operator).get_unused_codes()[0]
    for expected in (302, 422):
        given = {"password": PASSWORD, "code": code}
        answer = signed_in(operator).post("/operator/sign-in/", given)
        assert answer.status_code == expected


def test_guessing_is_counted(operator: User) -> None:
    client = signed_in(operator)
    statuses = [
        client.post("/operator/sign-in/", {"password": "wrong"}).status_code for _ in range(12)
    ]
    refill(f"operator:{operator.pk}")
    assert statuses[0] == 422
    assert statuses[-1] == 429


@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example/operator/", "/me/"])
def test_it_leads_nowhere_else(operator: User, wanted: str) -> None:
    given = {"password": PASSWORD, "next": wanted}
    assert signed_in(operator).post("/operator/sign-in/", given)["Location"] == "/operator/"


def test_raw_tables_are_read_and_hold_no_secret(
    console: Client, acme: Organization, member_of: Callable[..., Membership]
) -> None:
    from django.contrib import admin

    from apps.core.tenancy import enter
    from apps.organizations.services import create_api_key

    owner = member_of(acme)
    with enter(acme.id):
        row, key = create_api_key(member=owner)
    assert owner.user is not None
    hidden = [row.digest, key, owner.user.password]
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
        answer = console.get(reverse(name))
        assert answer.status_code == 200, model
        assert not any(text in answer.content.decode() for text in hidden), model
    page = console.get(reverse("admin:organizations_apikey_change", args=[row.pk]))
    assert page.status_code == 200
    assert row.prefix in page.content.decode()
    assert not any(text in page.content.decode() for text in hidden)
    page = console.get(reverse("admin:users_user_change", args=[owner.user.pk]))
    assert page.status_code == 200
    assert owner.user.password not in page.content.decode()


def test_raw_tables_are_never_written(console: Client, acme: Organization) -> None:
    base = f"/operator/admin/organizations/organization/{acme.pk}"
    assert console.post(f"{base}/change/", {"name": "Mine"}).status_code == 403
    assert console.post(f"{base}/delete/", {"post": "yes"}).status_code == 403
    assert console.get("/operator/admin/organizations/organization/add/").status_code == 403


def told_by(*arguments: str) -> dict[str, Any]:
    told = StringIO()
    call_command("create_operator", *arguments, "--json", stdout=told)
    found: dict[str, Any] = json.loads(told.getvalue())
    return found


def test_an_operator_is_made_and_unmade_by_a_command(transactional_db: None) -> None:
    email = f"op-{uuid4().hex[:8]}@example.com"
    new = told_by("--email", email)
    assert (new["email"], new["operator"]) == (email, True)
    client = Client()
    client.post("/accounts/login/", {"login": email, "password": new["password"]})
    assert client.get("/operator/").status_code == 302
    assert told_by("--email", email.upper()) == {"email": email, "operator": True}
    assert told_by("--email", email, "--remove") == {"email": email, "operator": False}
    assert client.get("/operator/").status_code == 404
    for wrong in (["--email", "nobody"], ["--email", "no@example.com", "--remove"]):
        with pytest.raises(CommandError):
            told_by(*wrong)
