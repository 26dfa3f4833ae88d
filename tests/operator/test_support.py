"""Suspension and support access: who gets in, what they may do, and what the organization sees."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from apps.core.tenancy import enter
from apps.events.models import Event
from apps.exchange.organization.deletion import ask_for_deletion
from apps.organizations.models import Membership, Organization, SupportAccess
from apps.organizations.operating import end_old_support
from apps.organizations.services import create_api_key
from apps.users.models import User
from tests import factories
from tests.operator.conftest import EVERYWHERE, make_user, signed_in

pytestmark = EVERYWHERE


@pytest.fixture
def owner(acme: Organization, member_of: Callable[..., Membership]) -> Membership:
    return member_of(acme, "owner", username="olga")


def page_of(client: Client, organization: Organization) -> str:
    return client.get(f"/operator/organizations/{organization.id}/").content.decode()


def begin(client: Client, member: Membership, reason: str = "Ticket 7: page is slow") -> Client:
    path = f"/operator/organizations/{member.organization_id}/support/"
    answer = client.post(path, {"member": str(member.id), "reason": reason})
    assert answer.status_code == 302
    return client


def events(organization: Organization, prefix: str) -> list[Event]:
    with enter(organization.id):
        return list(Event.objects.filter(kind__startswith=prefix).order_by("id"))


# --- Suspension --------------------------------------------------------------------------------
def test_a_suspended_organization_is_closed_and_nothing_is_lost(
    console: Client, operator: User, acme: Organization, owner: Membership
) -> None:
    with enter(acme.id):
        key = create_api_key(member=owner)[1]
        dataset = factories.make_dataset()
    assert owner.user is not None
    browser, api = signed_in(owner.user), Client(headers={"X-Argilla-Api-Key": key})
    path = f"/operator/organizations/{acme.id}/"
    assert console.post(f"{path}suspend/", {"reason": "Unpaid since May"}).status_code == 302

    page = browser.get("/datasets/")
    assert page.status_code == 403
    assert "is suspended" in page.content.decode()
    assert "Unpaid since May" not in page.content.decode()
    answer = api.get(f"/api/v1/datasets/{dataset.id}")
    assert answer.status_code == 403
    assert "suspended" in answer.json()["detail"]["params"]["detail"]
    assert api.post("/api/v1/workspaces", {}, content_type="application/json").status_code == 403
    assert "Unpaid since May" in page_of(console, acme)

    assert console.post(f"{path}unsuspend/").status_code == 302
    assert browser.get("/datasets/").status_code == 200
    assert api.get(f"/api/v1/datasets/{dataset.id}").status_code == 200
    told = events(acme, "organization.")
    assert [one.kind for one in told][-2:] == ["organization.suspended", "organization.unsuspended"]
    assert told[-2].payload["changes"] == {"suspended": [False, True]}
    assert [one.payload["operator"] for one in told[-2:]] == [str(operator)] * 2
    assert told[-1].address == "127.0.0.1"
    shown = browser.get("/settings/audit/?by=operator").content.decode()
    assert shown.count(str(operator)) >= 2
    assert "lifted the suspension" in shown


def test_others_notice_nothing(
    console: Client, acme: Organization, member_of: Callable[..., Membership]
) -> None:
    other = factories.make_organization("Other")
    member = member_of(other)
    console.post(f"/operator/organizations/{acme.id}/suspend/", {"reason": "x"})
    assert member.user is not None
    assert signed_in(member.user).get("/datasets/").status_code == 200


def test_twice_is_a_conflict_and_no_reason_invalid(console: Client, acme: Organization) -> None:
    path = f"/operator/organizations/{acme.id}/"
    assert console.post(f"{path}suspend/", {"reason": " "}).status_code == 422
    assert console.post(f"{path}unsuspend/").status_code == 409
    assert console.post(f"{path}suspend/", {"reason": "x"}).status_code == 302
    again = console.post(f"{path}suspend/", {"reason": "x"})
    assert again.status_code == 409
    assert "suspended already" in again.content.decode()


def test_what_is_due_for_deletion_is_its_owner_s_to_take_back(
    console: Client, acme: Organization, owner: Membership
) -> None:
    with enter(acme.id):
        ask_for_deletion(organization=acme, typed_name=acme.name)
    answer = console.post(f"/operator/organizations/{acme.id}/unsuspend/")
    assert answer.status_code == 409
    assert "due for deletion" in answer.content.decode()


# --- Support access ----------------------------------------------------------------------------
def test_support_sees_what_the_member_sees_and_everybody_is_told(
    console: Client, operator: User, acme: Organization, owner: Membership
) -> None:
    with enter(acme.id):
        dataset = factories.make_dataset(name="seen-by-support")
    begin(console, owner)
    page = console.get(f"/datasets/{dataset.id}/explore/").content.decode()
    assert dataset.name in page
    assert "Support access" in page
    assert str(operator) in page
    (told,) = events(acme, "support.")
    assert told.kind == "support.began"
    assert told.payload["operator"] == str(operator)
    assert told.payload["reason"] == "Ticket 7: page is slow"
    assert "Ticket 7" in page_of(console, acme)

    assert console.post("/operator/support/end/").status_code == 302
    assert [one.kind for one in events(acme, "support.")] == ["support.began", "support.ended"]
    after = console.get(f"/datasets/{dataset.id}/explore/", follow=True).content.decode()
    assert "seen-by-support" not in after


def test_support_changes_nothing(
    console: Client, acme: Organization, owner: Membership, operator: User
) -> None:
    with enter(acme.id):
        dataset = factories.make_dataset()
        factories.make_records(dataset, 2)
    begin(console, owner)
    for path in ("/providers/budget/", "/me/", "/nowhere/", f"/datasets/{dataset.id}/annotate/"):
        for method in ("post", "put", "patch", "delete"):
            answer = getattr(console, method)(path)
            assert answer.status_code == 403, (path, method)
    # A page that stores something on its way: the annotator's lease.
    answer = console.get(f"/datasets/{dataset.id}/annotate/")
    assert answer.status_code == 403
    assert "only looks" in answer.content.decode()
    with enter(acme.id):
        from apps.annotation.models import Lease

        assert not Lease.objects.exists()
    assert console.get("/datasets/").status_code == 200


def test_support_opens_a_suspended_organization(
    console: Client, acme: Organization, owner: Membership
) -> None:
    console.post(f"/operator/organizations/{acme.id}/suspend/", {"reason": "x"})
    begin(console, owner)
    assert console.get("/datasets/").status_code == 200


def test_support_ends_by_itself(console: Client, acme: Organization, owner: Membership) -> None:
    begin(console, owner)
    with enter(acme.id):
        past = timezone.now() - timedelta(minutes=1)
        SupportAccess.objects.update(inserted_at=past - timedelta(minutes=30), ends_at=past)
    answer = console.get("/datasets/")
    assert (answer.status_code, answer["Location"]) == (302, "/operator/")
    assert end_old_support() == 1
    assert end_old_support() == 0
    assert [one.kind for one in events(acme, "support.")] == ["support.began", "support.ended"]


def test_the_session_of_another_account_opens_nothing(console: Client, owner: Membership) -> None:
    begin(console, owner)
    stranger = signed_in(make_user(is_staff=True))
    session = stranger.session
    session["support"] = console.session["support"]
    session.save()
    assert stranger.get("/datasets/").status_code == 302


def test_who_is_no_longer_staff_looks_no_more(
    console: Client, operator: User, owner: Membership
) -> None:
    begin(console, owner)
    User.objects.filter(pk=operator.pk).update(is_staff=False)
    assert console.get("/datasets/").status_code == 302


def test_a_reason_and_a_member_of_the_organization_are_needed(
    console: Client, acme: Organization, owner: Membership, member_of: Callable[..., Membership]
) -> None:
    path = f"/operator/organizations/{acme.id}/support/"
    assert console.post(path, {"member": str(owner.id), "reason": ""}).status_code == 422
    stranger = member_of(factories.make_organization("Other"))
    assert console.post(path, {"member": str(stranger.id), "reason": "x"}).status_code == 404
    assert console.post(path, {"member": "nonsense", "reason": "x"}).status_code == 404
    assert events(acme, "support.") == []


def test_a_second_access_ends_the_first(
    console: Client, acme: Organization, owner: Membership, member_of: Callable[..., Membership]
) -> None:
    begin(console, owner)
    other = factories.make_organization("Other")
    begin(console, member_of(other))
    assert [one.kind for one in events(acme, "support.")] == ["support.began", "support.ended"]
    assert [one.kind for one in events(other, "support.")] == ["support.began"]


def test_the_database_states_the_rules(acme: Organization, owner: Membership) -> None:
    now = timezone.now()
    good = {"operator_id": owner.id, "operator": "a", "reason": "b", "ends_at": now}
    bad = {
        "support_access_reason_given": {"reason": "", "ends_at": now + timedelta(hours=1)},
        "support_access_ends": {"ends_at": now - timedelta(hours=1)},
    }
    for name, values in bad.items():
        with enter(acme.id), pytest.raises(IntegrityError, match=name), transaction.atomic():
            SupportAccess.objects.create(membership=owner, **{**good, **values})
