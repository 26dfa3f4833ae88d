"""Posting deliveries: one attempt, what it means, and when the next one is due."""

import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from random import uniform
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from apps.core import outbound
from apps.core.errors import DomainError
from apps.core.ids import uuid7
from apps.core.tenancy import enter
from apps.webhooks.messages import compose, sign
from apps.webhooks.models import DeliveryStatus, Webhook, WebhookDelivery, message_id
from apps.webhooks.services import disable_webhook, take_turns

TIMEOUT: Final = 20.0  # seconds for an answer
PING_TIMEOUT: Final = 5.0  # somebody waits, and holds a connection to the database
SLICE: Final = 20.0  # seconds until a webhook makes room for others
HOLD = timedelta(seconds=60)  # when a worker with an attempt in hand is believed dead
GIVE_UP: Final = timedelta(days=5)  # of failing, and the webhook is disabled
_MINUTE, _HOUR = 60, 3600
# Seconds between attempts; after the last one the message is dead.
DELAYS: Final = (
    5,
    5 * _MINUTE,
    30 * _MINUTE,
    *(hours * _HOUR for hours in (2, 5, 10, 14, 20, 24)),
)
JITTER: Final = 0.2
EXCERPT: Final = 1000  # characters kept of an answer
LONGEST_REST: Final = timedelta(minutes=5)

# Addresses that hang must not take all threads of a worker.
_seats = threading.BoundedSemaphore(max(1, settings.CELERY_WORKER_CONCURRENCY // 2))
_closing = threading.Event()


@dataclass(frozen=True, slots=True)
class Attempt:
    """A delivery in hand; ``delivery.attempts`` fences the outcome."""

    organization_id: UUID
    webhook: Webhook
    delivery: WebhookDelivery


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt; without a status code nobody answered."""

    status_code: int | None = None
    excerpt: str | None = None
    error: str | None = None

    @property
    def is_success(self) -> bool:
        return self.status_code is not None and 200 <= self.status_code < 300


def close() -> None:
    """End this process's slices after the attempts in work: the worker is about to stop."""
    _closing.set()


def run_slice(*, organization_id: UUID, webhook_id: UUID, seconds: float = SLICE) -> bool:
    """Send what is due for a while; True when there is more.

    Does nothing while enough other threads of the process are sending: a sweep comes back.
    """
    if not _seats.acquire(blocking=False):
        return False
    try:
        deadline = time.monotonic() + seconds
        while not _closing.is_set():
            attempt = take(organization_id, webhook_id)
            if attempt is None:
                return False
            record(attempt, post(attempt.webhook, attempt.delivery))
            if time.monotonic() > deadline:
                return True
        return False
    finally:
        _seats.release()


def take(organization_id: UUID, webhook_id: UUID) -> Attempt | None:
    """The next due delivery, out of everybody else's hands for as long as ``HOLD``.

    None while the organization is suspended.
    """
    now = timezone.now()
    with enter(organization_id):
        awake = Q(webhook__resting_until=None) | Q(webhook__resting_until__lte=now)
        due = (
            WebhookDelivery.objects.pending()
            .of_open_organizations()
            .filter(awake, webhook_id=webhook_id, webhook__enabled=True, next_attempt_at__lte=now)
        )
        delivery = (
            due.select_related("webhook")
            .select_for_update(of=("self",), skip_locked=True)
            .order_by("next_attempt_at", "id")
            .first()
        )
        if delivery is None:
            return None
        delivery.attempts += 1
        WebhookDelivery.objects.filter(id=delivery.id).update(
            attempts=delivery.attempts, next_attempt_at=now + HOLD
        )
        return Attempt(organization_id, delivery.webhook, delivery)


def post(webhook: Webhook, delivery: WebhookDelivery) -> Outcome:
    """Send the message, signed now; nothing is raised."""
    return _post(webhook, delivery.message_id, delivery.body.encode(), timeout=TIMEOUT)


def ping(*, webhook: Webhook, document: bytes) -> Outcome:
    """Send a message that tells of nothing, once."""
    body = compose("ping", timezone.now(), document).encode()
    return _post(webhook, message_id(uuid7()), body, timeout=PING_TIMEOUT)


def _post(webhook: Webhook, id: str, body: bytes, *, timeout: float) -> Outcome:
    now = timezone.now()
    secrets = webhook.secrets(now)
    if not secrets:
        return Outcome(error="The secret can no longer be read: rotate it.")
    timestamp = int(now.timestamp())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"{settings.SITE_NAME}-Webhooks",
        "Webhook-Id": id,
        "Webhook-Timestamp": str(timestamp),
        "Webhook-Signature": sign(secrets, message_id=id, timestamp=timestamp, body=body),
    }
    try:
        answer = outbound.post(webhook.url, body, headers, timeout=timeout, max_bytes=EXCERPT)
    except DomainError as error:
        return Outcome(error=error.message[:500])
    return _read(answer)


def _read(answer: outbound.Answer) -> Outcome:
    excerpt = answer.body.decode(errors="replace").replace("\x00", "\ufffd")
    outcome = Outcome(answer.status, excerpt or None)
    if outcome.is_success:
        return outcome
    return Outcome(answer.status, excerpt or None, f"The address answered {answer.status}.")


def record(attempt: Attempt, outcome: Outcome) -> None:
    """Note the outcome, unless another worker has taken the delivery meanwhile."""
    now = timezone.now()
    with enter(attempt.organization_id):
        seems_useless = _reason_to_disable(attempt.webhook, outcome, now)
        if seems_useless:
            take_turns()  # before any row is locked
        rows = Webhook.objects.select_for_update(of=("self",), no_key=True)
        webhook = rows.filter(id=attempt.webhook.id).first()
        if webhook is None:
            return
        own = WebhookDelivery.objects.filter(
            id=attempt.delivery.id, attempts=attempt.delivery.attempts
        )
        if outcome.is_success:
            if own.update(status=DeliveryStatus.DELIVERED, **_told(outcome, now)):
                _note_health(webhook, failing_since=None, resting_until=None)
            return
        failures = attempt.delivery.failures + 1
        if own.pending().update(**after_failure(failures, now), **_told(outcome, now)):
            since = webhook.failing_since or now
            rest = _rest(since, now) if outcome.status_code is None else None
            reason = _reason_to_disable(webhook, outcome, now)  # it may have recovered meanwhile
            _note_health(webhook, failing_since=since, resting_until=rest)
            if seems_useless and reason:
                disable_webhook(webhook=webhook, reason=reason)


def after_failure(failures: int, now: datetime) -> dict[str, Any]:
    """What becomes of a delivery that has failed so often: due again, or dead."""
    if failures > len(DELAYS):
        return {"failures": failures, "status": DeliveryStatus.DEAD, "next_attempt_at": None}
    spread = uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  (no secret)
    due = now + timedelta(seconds=DELAYS[failures - 1] * spread)
    return {"failures": failures, "next_attempt_at": due}


def _told(outcome: Outcome, now: datetime) -> dict[str, Any]:
    told: dict[str, Any] = {
        "status_code": outcome.status_code,
        "error": outcome.error,
        "excerpt": outcome.excerpt,
        "updated_at": now,
    }
    return told | ({"next_attempt_at": None} if outcome.is_success else {})


def _reason_to_disable(webhook: Webhook, outcome: Outcome, now: datetime) -> str | None:
    if outcome.status_code == HTTPStatus.GONE:
        return "The address answered 410: it wants no more messages."
    since = webhook.failing_since
    if not outcome.is_success and since is not None and now - since >= GIVE_UP:
        return f"Every attempt failed for {GIVE_UP.days} days."
    return None


def _rest(since: datetime, now: datetime) -> datetime:
    """Until when an address that does not answer is left alone: longer the longer it is away."""
    return now + min(max(now - since, timedelta(seconds=DELAYS[0])), LONGEST_REST)


def _note_health(webhook: Webhook, **health: datetime | None) -> None:
    """Written only when it changed: most attempts succeed as the one before did."""
    if any(getattr(webhook, name) != value for name, value in health.items()):
        Webhook.objects.filter(id=webhook.id).update(**health)
