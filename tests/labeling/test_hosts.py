"""Each organization at its own host: whose it is, whose sessions and keys are good there."""

from dataclasses import dataclass
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from apps.core.tenancy import enter
from apps.labeling.hosts import address_of
from apps.organizations.models import Membership, Organization
from apps.organizations.services import create_api_key
from tests import factories

BASE = "stoneware.example"
LOGIN = "/accounts/login/"


@dataclass
class Place:
    organization: Organization
    owner: Membership
    key: str

    @property
    def host(self) -> str:
        return f"{self.organization.slug}.{BASE}"


def make_place(name: str, email: str) -> Place:
    organization = factories.make_organization(name)
    with enter(organization.id):
        owner = factories.make_member(role="owner", email=email, password=factories.PASSWORD)
        return Place(organization, owner, create_api_key(member=owner)[1])


@pytest.fixture
def places(db: None, settings: Any) -> tuple[Place, Place]:
    """Ours and theirs, each at its host."""
    settings.BASE_DOMAIN = BASE
    settings.SITE_HOSTS = ["localhost"]
    return make_place("Ours", "mara@example.com"), make_place("Theirs", "eve@example.com")


def at(host: str) -> Client:
    return Client(headers={"Host": host})


def sign_in(client: Client, email: str = "mara@example.com") -> Any:
    return client.post(LOGIN, {"login": email, "password": factories.PASSWORD})


def test_a_member_works_at_the_organizations_host(places: tuple[Place, Place]) -> None:
    ours, _ = places
    client = at(ours.host)
    assert "Sign in to Ours" in client.get(LOGIN).content.decode()
    sign_in(client)
    assert client.get("/").status_code == 200
    assert client.session["organization_id"] == str(ours.organization.id)


def test_cookies_are_for_the_host_alone(places: tuple[Place, Place]) -> None:
    client = at(places[0].host)
    client.get(LOGIN)
    sign_in(client)
    assert {"sessionid", "csrftoken"} <= set(client.cookies)
    assert {morsel["domain"] for morsel in client.cookies.values()} == {""}


def test_a_session_is_none_at_another_host(places: tuple[Place, Place]) -> None:
    ours, theirs = places
    client = at(ours.host)
    sign_in(client)
    client.get("/")
    stolen = client.cookies["sessionid"].value
    other = at(theirs.host)
    other.cookies["sessionid"] = stolen
    assert other.get("/").headers["Location"].startswith(LOGIN)
    assert client.get("/").status_code == 200  # and it still is one where it was made


def test_a_stranger_is_no_member_there(places: tuple[Place, Place]) -> None:
    client = at(places[1].host)
    sign_in(client)
    assert client.get("/").headers["Location"] == "/organizations/"
    page = client.get("/organizations/")
    assert page.status_code == 403
    assert "Ours" not in page.content.decode()


def test_a_key_is_none_at_another_host(places: tuple[Place, Place]) -> None:
    ours, theirs = places
    answers = [
        Client(headers={"Host": host, "X-Argilla-Api-Key": ours.key}).get("/api/v1/me").status_code
        for host in (ours.host, theirs.host, BASE, "localhost")
    ]
    assert answers == [200, 401, 200, 200]


@pytest.mark.parametrize(
    "host",
    [
        f"nobody.{BASE}",
        f"operator.{BASE}",
        f"a.b.{BASE}",
        "evil.example",
        f"{BASE}.evil.example",
        f"evil{BASE}",
        "10.0.0.1",
    ],
)
def test_a_host_of_nobody_is_not_found(places: tuple[Place, Place], host: str) -> None:
    client = Client(headers={"Host": host, "X-Argilla-Api-Key": places[0].key})
    assert client.get(LOGIN).status_code == 404
    answer = client.get("/api/v1/me")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
    client.post("/accounts/password/reset/", {"email": "mara@example.com"})
    assert mail.outbox == []


@pytest.mark.parametrize("host", ["bad host", "a.example\x00.com", "a@b.example", "x" * 5000])
def test_a_host_that_is_none_is_refused(places: tuple[Place, Place], host: str) -> None:
    answer = Client(raise_request_exception=False, headers={"Host": host}).get(LOGIN)
    assert answer.status_code in {400, 404}


def test_forwarded_hosts_are_not_believed(places: tuple[Place, Place]) -> None:
    ours, theirs = places
    forged = {"X-Forwarded-Host": theirs.host, "Forwarded": f"host={theirs.host}"}
    client = Client(headers={"Host": ours.host, **forged})
    assert "Sign in to Ours" in client.get(LOGIN).content.decode()
    key = {"X-Argilla-Api-Key": theirs.key}
    assert Client(headers={"Host": ours.host, **forged, **key}).get("/api/v1/me").status_code == 401


def test_a_forged_host_does_not_get_into_mail(
    places: tuple[Place, Place], django_capture_on_commit_callbacks: Any
) -> None:
    client = Client(headers={"Host": places[0].host, "X-Forwarded-Host": "evil.example"})
    with django_capture_on_commit_callbacks(execute=True):
        client.post("/accounts/password/reset/", {"email": "mara@example.com"})
    assert f"//{places[0].host}/" in mail.outbox[0].body
    assert "evil.example" not in mail.outbox[0].body


def test_a_proven_domain_is_the_organizations_host(places: tuple[Place, Place]) -> None:
    ours, _ = places
    with enter(ours.organization.id):
        Organization.objects.filter(id=ours.organization.id).update(domain="labels.example.com")
    assert at("labels.example.com").get(LOGIN).status_code == 404  # claimed, not proven
    with enter(ours.organization.id):
        Organization.objects.filter(id=ours.organization.id).update(
            domain_verified_at=timezone.now()
        )
    for host in ("labels.example.com", "LABELS.example.com:8443", "labels.example.com."):
        assert "Sign in to Ours" in at(host).get(LOGIN).content.decode()


def test_the_operators_pages_are_the_sites(places: tuple[Place, Place]) -> None:
    assert at(places[0].host).get("/operator/").status_code == 404


def test_one_host_for_all_stays_as_it_is(places: tuple[Place, Place], settings: Any) -> None:
    settings.BASE_DOMAIN = ""
    for host in ("testserver", "anything.example"):
        client = at(host)
        sign_in(client)
        assert client.get("/").status_code == 200


def _prove(organization: Organization, **more: Any) -> Organization:
    """Its own domain is in use."""
    facts = {"domain": "labels.example.com", "domain_verified_at": timezone.now(), **more}
    with enter(organization.id):
        Organization.objects.filter(id=organization.id).update(**facts)
        organization.refresh_from_db()
    return organization


def test_a_reset_link_never_leads_to_a_domain_of_others(
    places: tuple[Place, Place], django_capture_on_commit_callbacks: Any
) -> None:
    """Who owns it could lead it anywhere, and the key in the link with it."""
    _prove(places[1].organization)
    with django_capture_on_commit_callbacks(execute=True):
        at("labels.example.com").post("/accounts/password/reset/", {"email": "mara@example.com"})
    (told,) = mail.outbox
    assert f"//{BASE}/accounts/password/reset/key/" in told.body
    assert "labels.example.com" not in told.body
    assert "labels.example.com" not in told.alternatives[0][0]


def test_an_address_is_what_is_stored(places: tuple[Place, Place], settings: Any, rf: Any) -> None:
    ours = places[0].organization
    asked = rf.get("/", headers={"Host": places[1].host})
    assert address_of(asked, ours) == f"http://{places[0].host}"
    settings.SITE_URL = f"https://{BASE}:8443"
    assert address_of(asked, ours) == f"https://{places[0].host}:8443"
    _prove(ours)
    assert address_of(asked, ours) == "https://labels.example.com:8443"
    _prove(ours, domain_missing_since=timezone.now())
    assert address_of(asked, ours) == f"https://{places[0].host}:8443"
    settings.BASE_DOMAIN = ""
    assert address_of(asked, ours) == f"https://{BASE}:8443"


def test_an_invitation_leads_to_the_organizations_host(
    places: tuple[Place, Place], django_capture_on_commit_callbacks: Any
) -> None:
    ours, _ = places
    with enter(ours.organization.id):
        factories.make_workspace("team")
    client = at(BASE)
    sign_in(client)
    client.get("/")
    form = {"emails": "nia@example.com", "role": "owner"}
    with django_capture_on_commit_callbacks(execute=True):
        assert client.post("/settings/members/invite/", form).status_code == 302
    assert f"http://{ours.host}/invitations/" in mail.outbox[0].body
