"""API keys: one's own, and those of others to whoever manages people. A key is shown once."""

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django import forms
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from apps.core.errors import DomainError
from apps.labeling.http import LabelingRequest, for_members
from apps.organizations.models import ApiKey, Scope
from apps.organizations.services import create_api_key, revoke_api_key, rotate_api_key
from apps.workspaces import keys as all_keys

DAYS: Final = (("", _("never")), ("7", _("in 7 days")), ("30", _("in 30 days")))
MORE_DAYS: Final = (("90", _("in 90 days")), ("365", _("in a year")))
HOURS: Final = (("0", _("at once")), ("1", _("in an hour")), ("24", _("in 24 hours")))
MORE_HOURS: Final = (("168", _("in 7 days")),)
SCOPES: Final = (
    (Scope.READ, _("read"), _("datasets, records and answers")),
    (Scope.ANNOTATE, _("annotate"), _("answer and claim records")),
    (Scope.WRITE, _("write"), _("change datasets and records, run jobs")),
    (Scope.MANAGE, _("manage"), _("members, workspaces, webhooks and keys")),
)


class KeyForm(forms.Form):
    """A new key: what it is called, what it is good for, and when it ends."""

    name = forms.CharField(label=_("Name"), max_length=100)
    scopes = forms.MultipleChoiceField(label=_("Good for"), choices=Scope.choices)
    days = forms.ChoiceField(label=_("Ends"), choices=(*DAYS, *MORE_DAYS), required=False)


class RotationForm(forms.Form):
    """When the old key ends."""

    hours = forms.ChoiceField(choices=(*HOURS, *MORE_HOURS))


@never_cache
@require_http_methods(["GET", "POST"])
@for_members
def keys(request: LabelingRequest) -> HttpResponse:
    """Keys that work or have expired, and a form for a new one."""
    if request.method == "GET":
        return _show(request, _blank())
    form = KeyForm(request.POST)
    if not form.is_valid():
        return _show(request, form, code=422)
    days = form.cleaned_data["days"]
    row, key = create_api_key(
        member=request.member,
        name=form.cleaned_data["name"],
        scopes=form.cleaned_data["scopes"],
        expires_at=timezone.now() + timedelta(days=int(days)) if days else None,
    )
    return _show(request, _blank(), made=row, key=key)


@never_cache
@require_POST
@for_members
def rotate(request: LabelingRequest, api_key_id: UUID) -> HttpResponse:
    """A new key like one's own old one, which goes on working for a while."""
    mine = ApiKey.objects.standing().filter(membership=request.member)
    found = get_object_or_404(mine, pk=api_key_id)
    form = RotationForm(request.POST)
    if not form.is_valid():
        return _show(request, _blank(), problem=_("Say when the old key ends."), code=422)
    overlap = timedelta(hours=int(form.cleaned_data["hours"]))
    try:
        row, key = rotate_api_key(key_id=found.id, overlap=overlap)
    except DomainError as error:
        return _show(request, _blank(), problem=error.message, code=409)
    return _show(request, _blank(), made=row, key=key)


@require_POST
@for_members
def revoke(request: LabelingRequest, api_key_id: UUID) -> HttpResponse:
    """Stop a key at once: one's own, or of somebody whose role is not above one's own."""
    found = get_object_or_404(all_keys.visible_to(request.member), pk=api_key_id)
    all_keys.check_revocable(request.member, found)
    revoke_api_key(key_id=found.id)
    return redirect(f"{reverse('console:keys')}?revoked=1")


def _blank() -> KeyForm:
    usual = [Scope.READ.value, Scope.ANNOTATE.value, Scope.WRITE.value]
    return KeyForm(initial={"scopes": usual, "days": "90"})


def _show(
    request: LabelingRequest, form: KeyForm, *, problem: Any = "", code: int = 200, **more: Any
) -> HttpResponse:
    found = list(all_keys.visible_to(request.member).select_related("membership"))
    context = {
        "here": "keys",
        "form": form,
        "problem": problem,
        "rows": [(one, all_keys.is_revocable(request.member, one)) for one in found],
        "sees_all": any(one.membership_id != request.member.id for one in found),
        "scopes": SCOPES,
        "every_scope": Scope.values,
        "hours": (*HOURS, *MORE_HOURS),
        "now": timezone.now(),
        "is_revoked": "revoked" in request.GET,
        **more,
    }
    return render(request, "console/keys.html", context, status=code)
