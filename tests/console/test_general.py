"""The organization's own settings: for owners, each change said and told."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from apps.core import dns
from apps.events.models import Event
from apps.organizations.domains import record_name, record_text
from apps.organizations.models import Organization
from tests import factories
from tests.console.conftest import BACKEND
from tests.dns_server import Zone, serving

GENERAL, DOMAIN, SECURITY = (
    "/settings/general/",
    "/settings/general/domain/",
    "/settings/security/",
)


@pytest.fixture
def olga(organization: Organization) -> Client:
    """An owner, with an account."""
    member = factories.make_member(role="owner", email="olga@example.com")
    client = Client()
    assert member.user is not None
    client.force_login(member.user, backend=BACKEND)
    return client


@pytest.fixture
def zone(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Zone]:
    """A DNS server, and a site on which each organization has a host."""
    settings.BASE_DOMAIN, settings.SITE_HOSTS = "stoneware.example", ["testserver"]
    monkeypatch.setattr(dns, "TIMEOUT", 0.2)
    with serving() as zone:
        settings.DNS_SERVER = zone.address
        yield zone


@pytest.mark.parametrize("role", ["admin", "reviewer", "annotator"])
@pytest.mark.parametrize("path", [GENERAL, DOMAIN, SECURITY])
def test_they_are_for_owners(organization: Organization, role: str, path: str) -> None:
    member = factories.make_member(role=role, email=f"{role}@example.com")
    client = Client()
    assert member.user is not None
    client.force_login(member.user, backend=BACKEND)
    assert (
        client.post(path, {"name": "Mine", "slug": "mine", "requires_mfa": "1"}).status_code == 403
    )
    organization.refresh_from_db()
    assert (organization.name, organization.requires_mfa) == ("Acme", False)


def test_a_new_name_is_saved_and_told(olga: Client, organization: Organization) -> None:
    form = {"name": "Acme <script>", "slug": "acme-pay"}
    assert olga.post(GENERAL, form).status_code == 302
    page = olga.get(f"{GENERAL}?saved=1").content.decode()
    assert "Acme &lt;script&gt;" in page
    assert "<script>" not in page.replace("<script type", "").replace("<script src", "")
    event = Event.objects.filter(kind="organization.updated").latest("id")
    assert event.payload["changes"]["slug"][1] == "acme-pay"


@pytest.mark.parametrize("form", [{"name": "", "slug": "acme"}, {"name": "A", "slug": "No Slug"}])
def test_what_is_wrong_is_said_with_what_was_typed(olga: Client, form: dict[str, str]) -> None:
    answer = olga.post(GENERAL, form)
    assert answer.status_code == 422
    assert f'value="{form["slug"].lower()}"' in answer.content.decode()


@pytest.fixture
def other(db: None) -> Organization:
    return factories.make_organization("Other")


def test_a_short_name_of_others_is_taken(other: Organization, olga: Client) -> None:
    answer = olga.post(GENERAL, {"name": "Acme", "slug": other.slug})
    assert answer.status_code == 422
    assert "taken" in answer.content.decode()


def test_a_domain_is_claimed_and_proven(
    olga: Client, organization: Organization, zone: Zone
) -> None:
    assert olga.post(DOMAIN, {"do": "claim", "domain": "labels.example.com"}).status_code == 302
    organization.refresh_from_db()
    page = olga.get(GENERAL).content.decode()
    assert record_name("labels.example.com") in page
    assert record_text(organization) in page
    early = olga.post(DOMAIN, {"do": "verify"})
    assert early.status_code == 422
    assert "not there yet" in early.content.decode()
    zone.texts[record_name("labels.example.com")] = [record_text(organization)]
    assert olga.post(DOMAIN, {"do": "verify"}).status_code == 302
    organization.refresh_from_db()
    assert organization.domain_verified_at is not None
    assert olga.post(DOMAIN, {"do": "drop"}).status_code == 302
    organization.refresh_from_db()
    assert (organization.domain, organization.domain_verified_at) == (None, None)


def test_a_wrong_domain_is_refused(olga: Client, zone: Zone) -> None:
    answer = olga.post(DOMAIN, {"do": "claim", "domain": "no domain <b>"})
    assert answer.status_code == 422
    assert "no domain &lt;b&gt;" in answer.content.decode()
    zone.mode = "silent"
    olga.post(DOMAIN, {"do": "claim", "domain": "labels.example.com"})
    assert "did not answer" in olga.post(DOMAIN, {"do": "verify"}).content.decode()


def test_access_is_set(olga: Client, organization: Organization) -> None:
    assert "Members who have one: 0 of 1" in olga.get(SECURITY).content.decode()
    assert olga.post(SECURITY, {"requires_mfa": "1", "invitation_only": "1"}).status_code == 302
    organization.refresh_from_db()
    assert (organization.requires_mfa, organization.invitation_only) == (True, True)
    assert olga.get(SECURITY).headers["Location"] == "/accounts/2fa/?required=1"
