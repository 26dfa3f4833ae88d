"""Name, slug, a proven domain, who gets in: and what the database forbids."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core import mail
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.core.dns import UnresolvedError
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.tenancy import enter
from apps.events.models import Event
from apps.organizations.directory import find_host
from apps.organizations.domains import (
    GRACE,
    claim_domain,
    look_again,
    record_name,
    record_text,
    rename_organization,
    set_access,
    verify_domain,
)
from apps.organizations.models import Organization
from apps.workspaces.admission import Identity, admit
from tests import factories
from tests.conftest import ALL_DATABASES
from tests.meanwhile import meanwhile


def test_the_proof_makes_the_domain_count(organization: Organization) -> None:
    claim_domain(organization=organization, domain=" Labels.Example.com. ")
    assert (organization.domain, organization.domain_verified_at) == ("labels.example.com", None)
    assert find_host(domain="labels.example.com") is None
    texts = {record_name("labels.example.com"): ["v=spf1", record_text(organization)]}
    verify_domain(organization=organization, read=lambda name: texts[name])
    found = find_host(domain="labels.example.com")
    assert found is not None
    assert found.organization_id == organization.id
    told = str(Event.objects.filter(kind="organization.updated").values_list("payload"))
    assert organization.domain_token not in told
    claim_domain(organization=organization, domain="")
    assert find_host(domain="labels.example.com") is None


def _unresolved(name: str) -> list[str]:
    raise UnresolvedError


def test_without_the_proof_it_does_not(organization: Organization) -> None:
    with pytest.raises(InvalidError):
        verify_domain(organization=organization, read=lambda name: [])
    claim_domain(organization=organization, domain="labels.example.com")
    old = record_text(organization)
    claim_domain(organization=organization, domain="other.example.com")
    for read in (lambda name: [], lambda name: [old], _unresolved):
        with pytest.raises(InvalidError):
            verify_domain(organization=organization, read=read)
    assert organization.domain_verified_at is None


def test_one_of_two_claimants_proves_it(db: None) -> None:
    first, second = factories.make_organization("One"), factories.make_organization("Two")
    for place in (first, second):
        with enter(place.id):
            claim_domain(organization=place, domain="labels.example.com")
    with enter(first.id):
        verify_domain(organization=first, read=lambda name: [record_text(first)])
    with enter(second.id), pytest.raises(ConflictError):
        verify_domain(organization=second, read=lambda name: [record_text(second)])


@pytest.mark.parametrize(
    "domain",
    ["example", "-a.example.com", "a_b.example.com", "1.2.3.4", "a b.com", "a.com/x", "x" * 250],
)
def test_what_is_no_domain_is_refused(organization: Organization, domain: str) -> None:
    with pytest.raises(InvalidError):
        claim_domain(organization=organization, domain=domain)


def test_hosts_of_the_site_are_nobodys_domain(organization: Organization, settings: Any) -> None:
    settings.BASE_DOMAIN = "stoneware.example"
    for domain in ("stoneware.example", "other.stoneware.example"):
        with pytest.raises(InvalidError):
            claim_domain(organization=organization, domain=domain)


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"domain": "No Host"}, "organization_domain_is_a_host"),
        ({"domain_verified_at": timezone.now()}, "organization_domain_verified_given"),
        ({"domain_missing_since": timezone.now()}, "organization_domain_missing_was_proven"),
    ],
)
def test_the_database_keeps_domains_sound(
    organization: Organization, values: dict[str, Any], constraint: str
) -> None:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Organization.objects.filter(id=organization.id).update(**values)


def test_a_proven_domain_is_unique(db: None) -> None:
    places = [factories.make_organization(name) for name in ("One", "Two")]
    proven = {"domain": "labels.example.com", "domain_verified_at": timezone.now()}
    with enter(places[0].id):
        Organization.objects.filter(id=places[0].id).update(**proven)
    with (
        enter(places[1].id),
        pytest.raises(IntegrityError, match="organization_domain_unique"),
        transaction.atomic(),
    ):
        Organization.objects.filter(id=places[1].id).update(**proven)


def test_an_organization_is_renamed(organization: Organization) -> None:
    rename_organization(organization=organization, name="Acme Pay", slug="acme-pay")
    found = find_host(slug="acme-pay")
    assert found is not None
    assert found.name == "Acme Pay"
    with pytest.raises(InvalidError):
        rename_organization(organization=organization, name=" ", slug="acme-pay")
    for slug in ("www", "operator", "Acme", "a_b", ""):
        with pytest.raises(InvalidError):
            rename_organization(organization=organization, name="Acme", slug=slug)


def test_a_taken_slug_is_refused(db: None) -> None:
    one, two = factories.make_organization("One"), factories.make_organization("Two")
    with enter(two.id), pytest.raises(ConflictError):
        rename_organization(organization=two, name="Two", slug=one.slug)


def test_newcomers_of_a_provider_may_need_an_invitation(
    organization: Organization, settings: Any
) -> None:
    settings.OAUTH_ORGANIZATION = organization.slug
    set_access(organization=organization, requires_mfa=False, invitation_only=True)
    with pytest.raises(NotAllowedError):
        admit(Identity(provider="company", uid="1", email="ada@example.org"))
    set_access(organization=organization, requires_mfa=False, invitation_only=False)
    assert admit(Identity(provider="company", uid="1", email="ada@example.org"))


# --- Naming and proving at once ------------------------------------------------------------------

committed = pytest.mark.django_db(transaction=True, databases=ALL_DATABASES)


@committed
def test_a_domain_named_while_another_is_proven_needs_its_own_proof(db: None) -> None:
    organization = factories.make_organization("Acme")
    with enter(organization.id):
        claim_domain(organization=organization, domain="mine.example.net")
    proof = record_text(organization)

    def name_another() -> None:
        own = Organization.objects.get(pk=organization.id)
        claim_domain(organization=own, domain="theirs.example.org")

    def answer_late(asked: str) -> list[str]:
        meanwhile(organization.id, name_another)
        return [proof]

    with enter(organization.id), pytest.raises(InvalidError, match="named meanwhile"):
        verify_domain(organization=organization, read=answer_late)
    assert find_host(domain="theirs.example.org") is None
    assert find_host(domain="mine.example.net") is None


@committed
def test_a_proof_that_arrives_while_another_domain_is_named_is_not_its(db: None) -> None:
    organization = factories.make_organization("Acme")
    with enter(organization.id):
        claim_domain(organization=organization, domain="mine.example.net")

    def prove() -> None:
        own = Organization.objects.get(pk=organization.id)
        verify_domain(organization=own, read=lambda name: [record_text(own)])

    with enter(organization.id):
        slow = Organization.objects.get(pk=organization.id)
        meanwhile(organization.id, prove)
        claim_domain(organization=slow, domain="theirs.example.org")
    assert find_host(domain="theirs.example.org") is None


# --- Looking again -------------------------------------------------------------------------------


@pytest.fixture
def proven(db: None) -> Iterator[Organization]:
    """Committed, with an owner, an annotator and a domain in use."""
    organization, mark = factories.make_organization("Acme"), uuid4().hex
    with enter(organization.id):
        for role in ("owner", "annotator"):
            factories.make_member(role=role, email=f"{role}-{mark}@example.com")
        claim_domain(organization=organization, domain=f"{mark}.example.com")
        verify_domain(organization=organization, read=_holding(organization))
    yield organization
    with enter(organization.id):
        organization.refresh_from_db()
        claim_domain(organization=organization, domain="")


def _holding(organization: Organization, *texts: str) -> Callable[[str], list[str]]:
    """A name server that knows this organization's record alone; without ``texts`` its proof."""
    name, found = record_name(organization.domain or ""), list(texts) or [record_text(organization)]
    return lambda asked: found if asked == name else _unresolved(asked)


def _missing_since(organization: Organization, ago: timedelta | None = None) -> Any:
    """When the proof was first missed; ``ago`` sets it."""
    with enter(organization.id):
        rows = Organization.objects.filter(id=organization.id)
        if ago is not None:
            rows.update(domain_missing_since=timezone.now() - ago)
        return rows.get().domain_missing_since


def _counts(organization: Organization) -> bool:
    return find_host(domain=organization.domain or "") is not None


@committed
def test_a_proof_that_stands_changes_nothing(proven: Organization) -> None:
    assert look_again(read=_holding(proven)) == 0
    assert _missing_since(proven) is None
    assert mail.outbox == []


@committed
def test_a_lost_proof_ends_the_domain_after_a_grace(proven: Organization) -> None:
    for _ in range(2):  # owners are told once
        assert look_again(read=_holding(proven, "v=spf1")) == 0
    (told,) = mail.outbox
    assert told.to[0].startswith("owner-")
    assert record_text(proven) in told.body
    assert _counts(proven)
    _missing_since(proven, GRACE + timedelta(minutes=1))
    assert look_again(read=_holding(proven, "v=spf1")) == 1
    assert not _counts(proven)
    assert [message.to for message in mail.outbox] == [told.to] * 2
    assert look_again(read=_holding(proven, "v=spf1")) == 0
    with enter(proven.id):
        proven.refresh_from_db()
        verify_domain(organization=proven, read=_holding(proven))
    assert _counts(proven)


@committed
def test_a_proof_that_is_back_in_time_is_as_good_as_before(proven: Organization) -> None:
    look_again(read=_holding(proven, "v=spf1"))
    assert _missing_since(proven) is not None
    look_again(read=_holding(proven))
    assert _missing_since(proven) is None
    assert _counts(proven)


@committed
def test_a_name_server_that_is_silent_proves_nothing(proven: Organization) -> None:
    assert look_again(read=_unresolved) == 0
    assert _missing_since(proven, GRACE * 2) is not None
    assert look_again(read=_unresolved) == 0
    assert _counts(proven)


@committed
def test_a_domain_that_was_changed_meanwhile_is_left_alone(proven: Organization) -> None:
    name = record_name(proven.domain or "")

    def change(asked: str) -> list[str]:
        if asked != name:
            return _unresolved(asked)
        with enter(proven.id):
            claim_domain(organization=proven, domain=f"new-{proven.domain}")
        return []

    assert look_again(read=change) == 0
    with enter(proven.id):
        proven.refresh_from_db()
    assert (proven.domain or "").startswith("new-")
    assert proven.domain_missing_since is None
    assert mail.outbox == []
