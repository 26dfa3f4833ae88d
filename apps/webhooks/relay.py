"""From the outbox to deliveries: what happened becomes what each webhook is to be told."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID

from django.utils import timezone

from apps.core.tenancy import enter
from apps.events.models import Event, WaitingEvent
from apps.webhooks.documents import build
from apps.webhooks.messages import Notice, compose, notices_of
from apps.webhooks.models import Webhook, WebhookDelivery
from apps.webhooks.services import write_deliveries

PAGE: Final = 100  # events in one transaction …
NOTICES: Final = 500  # … unless they tell of more than this, as bulk writes do


def relay(organization_id: UUID) -> int:
    """Relay all that waits; returns how many deliveries came of it.

    An event leaves the outbox in the transaction that writes its deliveries. Several may do this
    at once: each takes other events.
    """
    total = 0
    while True:
        with enter(organization_id):
            events = _take()
            if not events:
                return total
            # Read after the events: a webhook that was there before one of them is seen.
            webhooks = list(Webhook.objects.enabled())
            wanted = {type for webhook in webhooks for type in webhook.events}
            notices = [notice for event in events for notice in notices_of(event, wanted)]
            deliveries = _deliveries(notices, webhooks)
            write_deliveries(deliveries)
            total += len(deliveries)


def _take() -> list[Event]:
    """The next events, out of the outbox."""
    waiting = WaitingEvent.objects.select_for_update(skip_locked=True, of=("self",))
    ids = list(waiting.order_by("event_id").values_list("event_id", flat=True)[:PAGE])
    events: list[Event] = []
    count = 0
    for event in Event.objects.filter(id__in=ids).order_by("id"):
        count += len(event.payload.get("records", "1"))
        if events and count > NOTICES:
            break
        events.append(event)
    WaitingEvent.objects.filter(event_id__in=[event.id for event in events]).delete()
    return events


def _deliveries(notices: Sequence[Notice], webhooks: Sequence[Webhook]) -> list[WebhookDelivery]:
    """One a notice and webhook that wants it and was there at the time."""
    documents = _documents(notices)
    now = timezone.now()
    deliveries = []
    for notice in notices:
        document = documents[notice.resource].get(notice.object_id)
        if document is None:  # gone meanwhile: its deletion tells of it
            continue
        body = compose(notice.type, notice.at, document)
        deliveries += [
            WebhookDelivery(webhook=webhook, type=notice.type, body=body, next_attempt_at=now)
            for webhook in webhooks
            if notice.type in webhook.events and webhook.inserted_at <= notice.at
        ]
    return deliveries


def _documents(notices: Iterable[Notice]) -> dict[str, Mapping[UUID, bytes]]:
    ids: dict[str, dict[UUID, None]] = {}
    for notice in notices:
        ids.setdefault(notice.resource, {})[notice.object_id] = None
    return {resource: build(resource, list(found)) for resource, found in ids.items()}
