"""Webhooks: the contract's routes; beside them rotation of the secret, deliveries, sending again.

Secrets are told whenever a webhook is: clients verify with what they read.
"""

from typing import Annotated, Any, TypeAlias
from uuid import UUID

from django.conf import settings
from django.urls import path
from pydantic import AfterValidator, AnyHttpUrl, Field, PlainSerializer, StringConstraints
from rest_framework.response import Response as ApiResponse

from apps.api import wire
from apps.api.errors import InvalidRequestError
from apps.api.lookup import find
from apps.api.v1.status import VERSION
from apps.api.views import LEFT_OUT, ApiRequest, ApiView, ApiViewSet, Schema
from apps.core.errors import InvalidError, NotFoundError
from apps.organizations.models import Scope
from apps.webhooks.models import (
    CONTRACT,
    DeliveryStatus,
    Webhook,
    WebhookDelivery,
    WebhookEvent,
)
from apps.webhooks.sending import ping
from apps.webhooks.services import (
    create_webhook,
    delete_webhook,
    resend,
    rotate_secret,
    update_webhook,
)
from apps.workspaces.permissions import Action, check

MAX_URL = 2000


def _short(url: AnyHttpUrl) -> AnyHttpUrl:
    if len(str(url)) > MAX_URL:
        raise ValueError(f"URL should have at most {MAX_URL} characters")
    return url


def _unique(events: list[WebhookEvent]) -> list[WebhookEvent]:
    if len(set(events)) < len(events):
        raise ValueError("events must be unique")
    return events


# Normalised: ``http://HOST:80`` is ``http://host/``.
Url: TypeAlias = Annotated[AnyHttpUrl, AfterValidator(_short), PlainSerializer(str)]
Events: TypeAlias = Annotated[list[WebhookEvent], Field(min_length=1), AfterValidator(_unique)]
Description: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class WebhookCreate(Schema):
    url: Url
    events: Events
    description: Description | None = None


class WebhookUpdate(Schema):
    """Any may be left out; only the description may be null.

    A client of the contract reads and writes ``events`` alone, so the others stay with them;
    ``stoneware_events`` sets all.
    """

    url: Url = LEFT_OUT
    events: Annotated[list[WebhookEvent], AfterValidator(_unique)] = LEFT_OUT
    stoneware_events: Events = LEFT_OUT
    enabled: bool = LEFT_OUT
    description: Description | None = None


class DeliveryQuery(Schema):
    status: DeliveryStatus | None = None
    offset: int = Field(default=0, ge=0, le=2**31 - 1)
    limit: int = Field(default=50, ge=1, le=1000)


def webhook_document(webhook: Webhook) -> dict[str, Any]:
    return {
        "id": webhook.id,
        "url": webhook.url,
        "secret": webhook.secret,
        # A client that finds a name it does not know in here reads nothing at all.
        "events": [event for event in webhook.events if event in CONTRACT],
        "stoneware_events": webhook.events,
        "enabled": webhook.enabled,
        "description": webhook.description,
        "inserted_at": webhook.inserted_at,
        "updated_at": webhook.updated_at,
        "previous_secret_until": webhook.previous_secret_until,
        "failing_since": webhook.failing_since,
        "disabled_reason": webhook.disabled_reason,
    }


def delivery_document(delivery: WebhookDelivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "message_id": delivery.message_id,
        "type": delivery.type,
        "status": delivery.status,
        "attempts": delivery.attempts,
        "next_attempt_at": delivery.next_attempt_at,
        "status_code": delivery.status_code,
        "error": delivery.error,
        "response": delivery.excerpt,
        "body": delivery.body,
        "inserted_at": delivery.inserted_at,
        "updated_at": delivery.updated_at,
    }


class ManagedView(ApiView):
    """For owners only, with a key that manages: what is read tells secrets and records."""

    read_scope = Scope.MANAGE
    write_scope = Scope.MANAGE


class Webhooks(ApiViewSet):
    """For owners only, with a key that manages."""

    read_scope = Scope.MANAGE
    write_scope = Scope.MANAGE

    def list(self, request: ApiRequest) -> ApiResponse:
        check(self.member, Action.MANAGE_WEBHOOKS)
        webhooks = Webhook.objects.visible_to(self.member).in_order()
        return ApiResponse({"items": [webhook_document(webhook) for webhook in webhooks]})

    def create(self, request: ApiRequest) -> ApiResponse:
        body = self.read_body(WebhookCreate)
        check(self.member, Action.MANAGE_WEBHOOKS)
        webhook = create_webhook(**body.model_dump())
        return ApiResponse(webhook_document(webhook), status=201)

    def update(self, request: ApiRequest, webhook_id: UUID) -> ApiResponse:
        """The changed webhook. Enabled again, it starts with a clean record."""
        body = self.read_body(WebhookUpdate)
        webhook = find_webhook(self, webhook_id)
        changes = body.model_dump(exclude_unset=True)
        if "events" in changes:
            others = [event for event in webhook.events if event not in CONTRACT]
            changes["events"] = list(dict.fromkeys([*body.events, *others]))
        if (every := changes.pop("stoneware_events", None)) is not None:
            changes["events"] = every
        if changes.get("events") == []:
            told = "List should have at least 1 item after validation, not 0"
            raise InvalidRequestError.at("body", "events", type="too_short", msg=told)
        return ApiResponse(webhook_document(update_webhook(webhook=webhook, changes=changes)))

    def destroy(self, request: ApiRequest, webhook_id: UUID) -> ApiResponse:
        webhook = find_webhook(self, webhook_id)
        delete_webhook(webhook=webhook)
        return ApiResponse(webhook_document(webhook))


class WebhookPing(ManagedView):
    def post(self, request: ApiRequest, webhook_id: UUID) -> ApiResponse:
        """Send a message now. Any answer will do; 422 when there is none."""
        webhook = find_webhook(self, webhook_id)
        document = wire.write({"agent": settings.SITE_NAME, "version": VERSION})
        outcome = ping(webhook=webhook, document=document)
        if outcome.status_code is None:
            raise InvalidError(f"The webhook could not be pinged: {outcome.error}")
        return ApiResponse(status=204)


class WebhookRotation(ManagedView):
    def post(self, request: ApiRequest, webhook_id: UUID) -> ApiResponse:
        """A new secret; the previous one signs too, until ``previous_secret_until``."""
        webhook = find_webhook(self, webhook_id)
        return ApiResponse(webhook_document(rotate_secret(webhook=webhook)))


class WebhookDeliveries(ManagedView):
    def get(self, request: ApiRequest, webhook_id: UUID) -> ApiResponse:
        """A page of messages, the newest first."""
        query = self.read_query(DeliveryQuery)
        rows = WebhookDelivery.objects.filter(webhook=find_webhook(self, webhook_id))
        if query.status:
            rows = rows.filter(status=query.status)
        page = rows.newest_first()[query.offset : query.offset + query.limit]
        items = [delivery_document(delivery) for delivery in page]
        return ApiResponse({"items": items, "total": rows.count()})


class DeliveryResend(ManagedView):
    def post(self, request: ApiRequest, webhook_id: UUID, delivery_id: UUID) -> ApiResponse:
        """Send the message again, under the same id."""
        rows = WebhookDelivery.objects.filter(webhook=find_webhook(self, webhook_id))
        delivery = rows.filter(id=delivery_id).first()
        if delivery is None:
            raise NotFoundError(f"Delivery with id `{delivery_id}` not found")
        return ApiResponse(delivery_document(resend(delivery=delivery)), status=202)


def find_webhook(view: ApiView | ApiViewSet, webhook_id: UUID) -> Webhook:
    """The webhook, if the caller manages webhooks."""
    webhook = find(Webhook.objects.all(), webhook_id)
    check(view.member, Action.MANAGE_WEBHOOKS)
    return webhook


urlpatterns = [
    path("webhooks", Webhooks.as_view({"get": "list", "post": "create"})),
    path("webhooks/<webhook_id>", Webhooks.as_view({"patch": "update", "delete": "destroy"})),
    path("webhooks/<webhook_id>/ping", WebhookPing.as_view()),
    path("webhooks/<webhook_id>/rotate-secret", WebhookRotation.as_view()),
    path("webhooks/<webhook_id>/deliveries", WebhookDeliveries.as_view()),
    path("webhooks/<webhook_id>/deliveries/<delivery_id>/resend", DeliveryResend.as_view()),
]
