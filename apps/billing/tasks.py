"""Every night: count, correct, renew and collect, one organization after the other."""

import logging
from typing import Any
from uuid import UUID

from celery import shared_task
from django.utils import timezone

from apps.billing.collectors import CollectionError, get_collector
from apps.billing.models import Invoice
from apps.billing.reconcile import reconcile_volume
from apps.billing.services import (
    begin_subscription,
    find_subscription,
    renew,
    settle_standing,
)
from apps.billing.usage import keep_calls, measure, month_after, month_of, snapshot
from apps.core.rounds import find, for_each
from apps.core.tenancy import enter
from apps.organizations.models import Organization
from apps.organizations.volume import end_needless_grace

logger = logging.getLogger(__name__)


@shared_task(name="billing.count_usage", ignore_result=True)
def count_usage() -> None:
    """Keep the month's usage, correct the volume, and end a grace that is not needed."""
    for_each(_organizations(), _count)


@shared_task(name="billing.renew", ignore_result=True)
def renew_subscriptions() -> None:
    """Begin the terms that are due, issue their invoices, and try to have open ones paid."""
    organizations = _organizations()
    for_each(organizations, _renew)
    for_each(organizations, _collect)


def _organizations() -> list[dict[str, Any]]:
    return find("SELECT id AS organization_id FROM organization ORDER BY id")


def _count(organization_id: UUID) -> None:
    today = timezone.now().date()
    month = month_of(today)
    with enter(organization_id):
        if today.day <= 7:
            last = month_after(month, -1)
            snapshot(last, is_over=today.day > 1)
            keep_calls(last)
        snapshot(month)
        keep_calls(month)
    with enter(organization_id):
        measure(month)
    with enter(organization_id):
        reconcile_volume()
        end_needless_grace()


def _renew(organization_id: UUID) -> None:
    with enter(organization_id):
        organization = Organization.objects.get()
        if organization.suspended_at is not None:
            return
        begin_subscription(organization=organization)
        if present := find_subscription():
            renew(subscription=present)
        settle_standing()


def _collect(organization_id: UUID) -> None:
    """Each invoice by itself: what was paid stays so whatever becomes of the next."""
    with enter(organization_id):
        if Organization.objects.get().suspended_at is not None:
            return
        waiting = list(Invoice.objects.open().order_by("number"))
    for invoice in waiting:
        try:
            get_collector().collect(invoice)
        except CollectionError as error:
            logger.warning("%s was not collected: %s", invoice.name, error.message)
