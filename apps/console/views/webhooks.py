"""Webhooks on their pages: added, changed, paused; what was sent, and sending it again."""

from typing import Any, Final
from uuid import UUID

from django import forms
from django.conf import settings
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.core.documents import encode
from apps.core.errors import DomainError
from apps.labeling.http import LabelingRequest, for_members
from apps.webhooks.models import DeliveryStatus, Webhook, WebhookDelivery, WebhookEvent
from apps.webhooks.sending import ping
from apps.webhooks.services import (
    create_webhook,
    delete_webhook,
    resend,
    rotate_secret,
    update_webhook,
)
from apps.workspaces import permissions
from apps.workspaces.permissions import Action

PAGE: Final = 25


class WebhookForm(forms.Form):
    """Whom to tell, of what."""

    url = forms.CharField(label=_("Address"), max_length=2000)
    description = forms.CharField(label=_("What it is for"), max_length=1000, required=False)
    events = forms.MultipleChoiceField(
        label=_("Events"), choices=[(event.value, event.value) for event in WebhookEvent]
    )

    def clean_url(self) -> str:
        url = str(self.cleaned_data["url"]).strip()
        if not url.startswith(("https://", "http://")):
            raise forms.ValidationError(_("An address begins with https://."))
        return url


@never_cache
@require_GET
@for_members
def webhooks(request: LabelingRequest) -> HttpResponse:
    """All of them, with what waits and what was given up."""
    permissions.check(request.member, Action.MANAGE_WEBHOOKS)
    found = list(Webhook.objects.visible_to(request.member).in_order())
    context = {"here": "webhooks", "rows": [(one, _counts(one)) for one in found]}
    return render(request, "console/webhooks.html", context)


@never_cache
@require_http_methods(["GET", "POST"])
@for_members
def new(request: LabelingRequest) -> HttpResponse:
    """Add one; its secret is shown in the answer, and never again."""
    permissions.check(request.member, Action.MANAGE_WEBHOOKS)
    data = request.POST if request.method == "POST" else None
    form = WebhookForm(data)
    if data is None or not form.is_valid():
        return _show(request, None, form, code=200 if data is None else 422)
    try:
        made = create_webhook(
            url=form.cleaned_data["url"],
            events=form.cleaned_data["events"],
            description=form.cleaned_data["description"] or None,
        )
    except DomainError as error:
        form.add_error("url", error.message)
        return _show(request, None, form, code=422)
    return _show(request, made, _form_of(made), secret=made.secret)


@never_cache
@require_http_methods(["GET", "POST"])
@for_members
def webhook(request: LabelingRequest, webhook_id: UUID) -> HttpResponse:
    """One of them with its deliveries; a POST changes it."""
    found = _find(request, webhook_id)
    if request.method == "GET":
        return _show(request, found, _form_of(found))
    form = WebhookForm(request.POST)
    if not form.is_valid():
        return _show(request, found, form, code=422)
    changes = {**form.cleaned_data, "description": form.cleaned_data["description"] or None}
    try:
        update_webhook(webhook=found, changes=changes)
    except DomainError as error:
        form.add_error("url", error.message)
        return _show(request, found, form, code=422)
    return _back(found)


@never_cache
@require_POST
@for_members
def rotate(request: LabelingRequest, webhook_id: UUID) -> HttpResponse:
    """A new secret, shown this once; for a day messages are signed with the old one too."""
    changed = rotate_secret(webhook=_find(request, webhook_id))
    return _show(request, changed, _form_of(changed), secret=changed.secret)


@require_POST
@for_members
def switch(request: LabelingRequest, webhook_id: UUID) -> HttpResponse:
    """Pause it, or go on."""
    found = _find(request, webhook_id)
    update_webhook(webhook=found, changes={"enabled": request.POST.get("enabled") == "on"})
    return _back(found)


@never_cache
@require_POST
@for_members
def test(request: LabelingRequest, webhook_id: UUID) -> HttpResponse:
    """Send a message now, and say how it went."""
    found = _find(request, webhook_id)
    outcome = ping(webhook=found, document=encode({"agent": settings.SITE_NAME}))
    return _show(request, found, _form_of(found), outcome=outcome)


@require_POST
@for_members
def delete(request: LabelingRequest, webhook_id: UUID) -> HttpResponse:
    """Delete it with its deliveries, once ``delete`` was typed."""
    found = _find(request, webhook_id)
    if request.POST.get("word", "").strip().casefold() != gettext("delete").casefold():
        return _show(request, found, _form_of(found), misspelt=True, code=422)
    delete_webhook(webhook=found)
    return redirect("console:webhooks")


@require_POST
@for_members
def send_again(
    request: LabelingRequest, webhook_id: UUID, webhook_delivery_id: UUID
) -> HttpResponse:
    """Send a message again, under its id."""
    found = _find(request, webhook_id)
    rows = WebhookDelivery.objects.visible_to(request.member).filter(webhook=found)
    delivery = get_object_or_404(rows, pk=webhook_delivery_id)
    try:
        resend(delivery=delivery)
    except DomainError as error:
        return _show(request, found, _form_of(found), problem=error.message, code=409)
    return _back(found)


def _find(request: LabelingRequest, webhook_id: UUID) -> Webhook:
    found: Webhook = get_object_or_404(Webhook.objects.all(), pk=webhook_id)
    permissions.check(request.member, Action.MANAGE_WEBHOOKS)
    return found


def _form_of(webhook: Webhook) -> WebhookForm:
    names = ("url", "description", "events")
    return WebhookForm(initial={name: getattr(webhook, name) for name in names})


def _back(webhook: Webhook) -> HttpResponse:
    return redirect(f"{reverse('console:webhook', args=[webhook.id])}?saved=1")


def _counts(webhook: Webhook) -> dict[str, int]:
    rows = WebhookDelivery.objects.filter(webhook=webhook)
    return {status.value: rows.filter(status=status).count() for status in DeliveryStatus}


def _show(
    request: LabelingRequest,
    found: Webhook | None,
    form: WebhookForm,
    *,
    code: int = 200,
    **more: Any,
) -> HttpResponse:
    state = request.GET.get("state", "")
    state = state if state in DeliveryStatus.values else ""
    rows = WebhookDelivery.objects.filter(webhook=found).newest_first() if found else None
    if rows is not None and state:
        rows = rows.filter(status=state)
    context = {
        "here": "webhooks",
        "webhook": found,
        "form": form,
        "chosen": form["events"].value() or [],
        "events": WebhookEvent.values,
        "page": Paginator(rows, PAGE).get_page(request.GET.get("page"))
        if rows is not None
        else None,
        "counts": _counts(found) if found else {},
        "state": state,
        "is_saved": "saved" in request.GET,
        **more,
    }
    return render(request, "console/webhook.html", context, status=code)
