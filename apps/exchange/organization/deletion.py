"""The end of an organization: a wish, a month in which it can be taken back, and then nothing.

From the wish on the organization is suspended. When it is due its rows go in batches, children
first, then the accounts that nobody else knows, and last what is append-only with the organization
itself. The operator keeps a certificate: what there was, in counts and digests, signed.
"""

import json
import logging
import shutil
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import connections, transaction
from django.db.models import QuerySet
from django.utils import timezone

from apps.core.errors import ConflictError, InvalidError
from apps.core.rounds import find, for_each
from apps.core.sealing import is_signed, sign
from apps.core.tenancy import enter
from apps.events.log import emit
from apps.exchange.creation import uploads
from apps.exchange.organization.export import describe_organization
from apps.exchange.organization.tables import tables
from apps.organizations.models import DeletionCertificate, Membership, Organization
from apps.users.models import User

WAIT: Final = timedelta(days=30)
BATCH: Final = 5_000  # rows
REASON: Final = "Deletion was asked for."
PURPOSE: Final = "deletion certificate"
# Rows that only the cascade of their organization takes away; and members, whose accounts a run
# that was taken up again must still find.
_WITH_THE_ORGANIZATION: Final = {
    "organization",
    "membership",
    "event",
    "event_seal",
    "llm_ledger",
}

logger = logging.getLogger(__name__)


@transaction.atomic
def ask_for_deletion(*, organization: Organization, typed_name: str) -> Organization:
    """Freeze the entered organization at once, and delete it in 30 days.

    Raises ``InvalidError`` unless the name was typed as it is, ``ConflictError`` the second time.
    """
    row = Organization.objects.select_for_update().get(id=organization.id)
    if typed_name.strip() != row.name:
        raise InvalidError("The name is not the organization's.")
    if row.deletion_due_at is not None:
        raise ConflictError("The organization is due for deletion already.")
    now = timezone.now()
    row.deletion_due_at = now + WAIT
    if row.suspended_at is None:
        row.suspended_at, row.suspended_reason = now, REASON
    row.save(update_fields=["deletion_due_at", "suspended_at", "suspended_reason", "updated_at"])
    payload = {"name": row.name, "due_at": row.deletion_due_at.isoformat()}
    emit("organization.deletion_asked", object_id=row.id, payload=payload)
    return row


@transaction.atomic
def keep_organization(*, organization: Organization) -> Organization:
    """Take the wish back; everything is as before. Raises ``ConflictError`` without one.

    What the operator suspended for another reason stays suspended.
    """
    row = Organization.objects.select_for_update().get(id=organization.id)
    if row.deletion_due_at is None:
        raise ConflictError("Nobody asked for the organization's deletion.")
    row.deletion_due_at = None
    if row.suspended_reason == REASON:
        row.suspended_at, row.suspended_reason = None, ""
    row.save(update_fields=["deletion_due_at", "suspended_at", "suspended_reason", "updated_at"])
    emit("organization.deletion_cancelled", object_id=row.id, payload={"name": row.name})
    return row


def delete_due() -> int:
    """Delete the organizations whose time has come; returns how many."""
    due = find("SELECT id AS organization_id FROM organization WHERE deletion_due_at <= now()")
    return len(for_each(due, delete_organization))


def delete_organization(*, organization_id: UUID) -> DeletionCertificate:
    """Delete it for good, now; a run that was killed is taken up where it was.

    Raises ``ConflictError`` when its deletion is not due.
    """
    with enter(organization_id):
        names = [table.name for table in tables()]
        organization = Organization.objects.get(id=organization_id)
    if organization.deletion_due_at is None or organization.deletion_due_at > timezone.now():
        raise ConflictError("The organization's deletion is not due.")
    certificate = _begin_certificate(organization)
    for name in reversed(names):
        if name not in _WITH_THE_ORGANIZATION:
            _delete_rows(name, organization_id)
    _forget_accounts(organization_id)  # while their memberships still tell whose they are
    _finish(certificate, organization_id)
    for directory in (settings.EXPORTS_DIR, uploads.directory()):
        shutil.rmtree(directory / str(organization_id), ignore_errors=True)
    logger.info("Deleted the organization %s (%s)", organization_id, organization.slug)
    return certificate


def _begin_certificate(organization: Organization) -> DeletionCertificate:
    """What there is, before any of it goes; the one that a killed run has begun is kept."""
    rows = DeletionCertificate.objects.using("operator")
    begun = rows.filter(subject_id=organization.id).first()
    if begun is not None:
        return begun
    manifest = describe_organization(organization_id=organization.id)
    due = organization.deletion_due_at
    facts = {
        "organization": manifest["organization"],
        "due_at": due.isoformat() if due else None,
        "tables": manifest["files"],
        "event_log": manifest["event_log"],
    }
    text = json.dumps(facts, indent=1, ensure_ascii=False)
    return rows.create(subject_id=organization.id, slug=organization.slug, text=text)


def _delete_rows(table: str, organization_id: UUID) -> None:
    """In batches, each a transaction, so that nobody waits for long."""
    statement = (
        f'DELETE FROM "{table}" WHERE organization_id = %s AND ctid = ANY(ARRAY('  # noqa: S608
        f'SELECT ctid FROM "{table}" WHERE organization_id = %s LIMIT {BATCH}))'
    )
    while True:
        with connections["operator"].cursor() as cursor:
            cursor.execute(statement, [organization_id, organization_id])
            if cursor.rowcount < BATCH:
                return


def _finish(certificate: DeletionCertificate, organization_id: UUID) -> None:
    """The organization's row with what goes along, and the signature, in one transaction."""
    with transaction.atomic(using="operator"):
        with connections["operator"].cursor() as cursor:
            cursor.execute("DELETE FROM organization WHERE id = %s", [organization_id])
        now = timezone.now()
        facts: dict[str, Any] = {**json.loads(certificate.text), "deleted_at": now.isoformat()}
        certificate.text = json.dumps(facts, indent=1, ensure_ascii=False)
        certificate.deleted_at = now
        certificate.signature = sign(certificate.text, purpose=PURPOSE)
        certificate.save(using="operator")


def certificates() -> QuerySet[DeletionCertificate]:
    """Those of organizations that are gone, the last one first."""
    rows = DeletionCertificate.objects.using("operator").filter(deleted_at__isnull=False)
    return rows.order_by("-deleted_at")


def is_genuine(certificate: DeletionCertificate) -> bool:
    """Whether the text is the one that was signed here."""
    return is_signed(certificate.text, certificate.signature, purpose=PURPOSE)


def _forget_accounts(organization_id: UUID) -> None:
    """Those that are a member of nothing else, and not the operator's own."""
    with enter(organization_id):
        people = Membership.objects.filter(user__isnull=False)
        ids = set(people.values_list("user_id", flat=True))
    with connections["operator"].cursor() as cursor:
        cursor.execute(
            "SELECT user_id FROM membership WHERE user_id = ANY(%s) AND organization_id <> %s",
            [list(ids), organization_id],
        )
        elsewhere = {row[0] for row in cursor.fetchall()}
    with enter(organization_id):
        accounts = User.objects.filter(id__in=ids - elsewhere, is_staff=False)
        Membership.objects.filter(user__in=accounts).update(user=None)
        accounts.delete()
