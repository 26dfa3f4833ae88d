"""Who came in, and who did not, in the log of the organization; nothing of what was typed."""

import pytest
from django.test import Client

from apps.core.tenancy import enter
from apps.events.models import Event
from apps.organizations.login import log_in
from apps.organizations.models import Membership, Organization
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = "/accounts/login/member/"
WRONG = "a-wrong-password-of-mine"


@pytest.fixture
def acme() -> Organization:
    organization = factories.make_organization()
    with enter(organization.id):
        factories.make_member(role="owner")
        factories.make_member(username="bo", password=factories.PASSWORD)
    return organization


def told(organization: Organization) -> list[tuple[str, bool, str | None]]:
    with enter(organization.id):
        events = Event.objects.filter(kind__startswith="member.log").order_by("id")
        bo = Membership.objects.get(username="bo")
        assert {event.object_id for event in events} <= {bo.id}
        assert WRONG not in str([event.payload for event in events])
        return [(event.kind, event.actor_id == bo.id, event.address) for event in events]


def enter_page(organization: Organization, password: str, username: str = "bo") -> None:
    given = {"organization": organization.slug, "username": username, "password": password}
    Client().post(PAGE, given, REMOTE_ADDR="192.0.2.44")


def test_the_page(acme: Organization) -> None:
    enter_page(acme, WRONG)
    enter_page(acme, factories.PASSWORD)
    enter_page(acme, WRONG, username="nobody-there")
    assert told(acme) == [
        ("member.login_failed", False, "192.0.2.44"),
        ("member.logged_in", True, "192.0.2.44"),
    ]


def test_the_api(acme: Organization) -> None:
    for password in (WRONG, factories.PASSWORD):
        log_in(name="bo", password=password, organization=acme.slug, address="192.0.2.5")
    assert told(acme) == [
        ("member.login_failed", False, "192.0.2.5"),
        ("member.logged_in", True, "192.0.2.5"),
    ]


def test_an_account_leaves_its_trace_wherever_it_is_a_member(acme: Organization) -> None:
    email = f"ana-{acme.slug}@example.com"
    other = factories.make_organization("Other")
    for organization in (acme, other):
        with enter(organization.id):
            factories.make_member(username="ana", email=email, password=factories.PASSWORD)
    Client().post("/accounts/login/", {"login": email, "password": WRONG})
    for organization in (acme, other):
        with enter(organization.id):
            assert Event.objects.filter(kind="member.login_failed").count() == 1
