"""The end of an organization: not before its time, all of it, and with a certificate."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, connections
from django.utils import timezone

from apps.core.errors import ConflictError, InvalidError
from apps.core.tenancy import enter
from apps.exchange.creation import uploads
from apps.exchange.organization import deletion
from apps.exchange.organization.tables import tables
from apps.exchange.tasks import delete_organizations
from apps.organizations.models import DeletionCertificate, Organization
from apps.users.models import User
from tests import factories
from tests.trouble import refusing

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner", "operator"])


@pytest.fixture
def acme(settings: Any, tmp_path: Path) -> Organization:
    settings.EXPORTS_DIR = tmp_path
    return make("Acme")


def make(name: str) -> Organization:
    organization = factories.make_organization(name)
    with enter(organization.id):
        factories.make_member(role="owner", username="olga", password="long enough")
        factories.make_records(factories.make_dataset(), 25)
    return organization


def ask(organization: Organization, *, days_ago: float = 0) -> Organization:
    with enter(organization.id):
        row = deletion.ask_for_deletion(organization=organization, typed_name=organization.name)
        row.deletion_due_at -= timedelta(days=days_ago)
        row.save()
        return row


def upload(organization: Organization) -> Path:
    """A file that somebody has begun a dataset with."""
    part = uploads.part_path(uuid4())
    part.write_text("text\nsecret\n")
    return uploads.keep(part, organization_id=organization.id, sketch_id=uuid4())


def counts(organization_id: UUID) -> dict[str, int]:
    """How many rows of it are in each table."""
    with enter(organization_id):
        found = tables()
    with connections["operator"].cursor() as cursor:
        result = {}
        for table in found:
            cursor.execute(
                f'SELECT count(*) FROM "{table.name}" WHERE "{table.tenant_column}" = %s',  # noqa: S608
                [organization_id],
            )
            result[table.name] = cursor.fetchone()[0]
        return result


def certificate(organization: Organization) -> DeletionCertificate:
    return DeletionCertificate.objects.using("operator").get(subject_id=organization.id)


def test_all_of_it_goes_and_nothing_else(acme: Organization, monkeypatch: Any) -> None:
    monkeypatch.setattr(deletion, "BATCH", 7)
    other = make("Other")
    theirs = counts(other.id)
    before = counts(acme.id)
    with enter(acme.id):
        users = list(User.objects.filter(memberships__organization_id=acme.id))
    assert before["record"] == 25
    files = [upload(one) for one in (acme, other)]
    ask(acme, days_ago=31)
    assert delete_organizations() == 1
    assert [file.exists() for file in files] == [False, True]
    assert set(counts(acme.id).values()) == {0}
    assert counts(other.id) == theirs
    assert not User.objects.filter(id__in=[user.id for user in users]).exists()
    gone = certificate(acme)
    assert deletion.is_genuine(gone)
    told = json.loads(gone.text)
    assert told["tables"]["record"]["rows"] == 25
    assert len(told["tables"]["record"]["sha256"]) == 64
    assert told["organization"]["slug"] == acme.slug
    gone.text = gone.text.replace("25", "24")
    assert not deletion.is_genuine(gone)
    assert delete_organizations() == 0


def test_one_that_cannot_be_deleted_keeps_no_other(acme: Organization, caplog: Any) -> None:
    other = make("Other")
    for organization in (acme, other):
        ask(organization, days_ago=31)
    with refusing(acme, "DELETE", "record"):
        assert delete_organizations() == 1
    assert f"failed for organization {acme.id}" in caplog.text
    assert (counts(acme.id)["record"], counts(other.id)["record"]) == (25, 0)
    assert delete_organizations() == 1


def test_not_before_its_time(acme: Organization) -> None:
    with pytest.raises(ConflictError):
        deletion.delete_organization(organization_id=acme.id)
    ask(acme, days_ago=29.9)
    assert delete_organizations() == 0
    with pytest.raises(ConflictError):
        deletion.delete_organization(organization_id=acme.id)
    assert counts(acme.id)["record"] == 25


def test_a_run_that_was_killed_is_taken_up(acme: Organization, monkeypatch: Any) -> None:
    ask(acme, days_ago=31)
    with enter(acme.id):
        (account,) = User.objects.filter(memberships__organization_id=acme.id)

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    for step in ("_forget_accounts", "_finish"):
        with monkeypatch.context() as patch:
            patch.setattr(deletion, step, die)
            with pytest.raises(KeyboardInterrupt):
                deletion.delete_organization(organization_id=acme.id)
    assert delete_organizations() == 1
    assert set(counts(acme.id).values()) == {0}
    assert not User.objects.filter(id=account.id).exists()
    assert json.loads(certificate(acme).text)["tables"]["record"]["rows"] == 25


def test_the_wish_is_taken_back(acme: Organization) -> None:
    with enter(acme.id), pytest.raises(ConflictError):
        deletion.keep_organization(organization=acme)
    ask(acme)
    with enter(acme.id), pytest.raises(ConflictError):
        deletion.ask_for_deletion(organization=acme, typed_name=acme.name)
    with enter(acme.id):
        row = deletion.keep_organization(organization=acme)
    assert (row.suspended_at, row.suspended_reason, row.deletion_due_at) == (None, "", None)


def test_what_the_operator_suspended_stays_so(acme: Organization) -> None:
    with enter(acme.id):
        Organization.objects.update(suspended_at=timezone.now(), suspended_reason="unpaid")
    ask(acme)
    with enter(acme.id):
        row = deletion.keep_organization(organization=acme)
    assert row.suspended_reason == "unpaid"
    assert row.suspended_at is not None


@pytest.mark.parametrize("name", ["", "acme", "Acme2", "Acme\\0"])
def test_only_the_name_itself_will_do(acme: Organization, name: str) -> None:
    with enter(acme.id), pytest.raises(InvalidError):
        deletion.ask_for_deletion(organization=acme, typed_name=name)


def test_an_account_that_is_needed_elsewhere_stays(acme: Organization) -> None:
    with enter(acme.id):
        both = factories.make_member(email=f"both-{acme.slug}@example.com", password="long enough")
    other = factories.make_organization("Other")
    with enter(other.id):
        factories.make_member(email=f"both-{acme.slug}@example.com")
    ask(acme, days_ago=31)
    delete_organizations()
    assert User.objects.filter(id=both.user_id).exists()


def test_the_application_sees_no_certificate(acme: Organization) -> None:
    with pytest.raises(DatabaseError, match="permission denied"):
        DeletionCertificate.objects.count()


def test_the_constraints_hold(acme: Organization) -> None:
    rows = DeletionCertificate.objects.using("operator")
    rows.create(subject_id=acme.id, slug="a", text="")
    with pytest.raises(IntegrityError, match="deletion_certificate_once"):
        rows.create(subject_id=acme.id, slug="a", text="")
    rows.all().delete()
    with pytest.raises(IntegrityError, match="organization_deleted_is_suspended"), enter(acme.id):
        Organization.objects.update(deletion_due_at=timezone.now())


def test_the_command(acme: Organization, capsys: Any) -> None:
    def run(*arguments: str) -> Any:
        call_command("delete_organization", "--slug", acme.slug, "--json", *arguments)
        return json.loads(capsys.readouterr().out)

    assert run("--ask", acme.name)["due_at"]
    with pytest.raises(CommandError, match="not due"):
        run("--due")
    assert run("--keep")["due_at"] is None
    ask(acme, days_ago=31)
    told = run("--due")
    assert json.loads(told["certificate"])["organization"]["slug"] == acme.slug
    with pytest.raises(CommandError, match="no organization"):
        run("--keep")
