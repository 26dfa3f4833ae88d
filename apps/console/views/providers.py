"""Providers of language models: who may be asked, with which key, at what price."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.console.provider_form import BudgetForm, ModelForm, ProviderForm, initial_of, model_forms
from apps.console.providers import model_rows, spent_this_month, total
from apps.core.errors import ConflictError, DomainError, NotAllowedError
from apps.core.outbound import ForbiddenAddressError
from apps.core.tenancy import current
from apps.labeling.http import LabelingRequest, for_members
from apps.llms.budgets import set_budget, standing_of
from apps.llms.models import BudgetScope, Provider
from apps.llms.probe import Probe, Trial, begin
from apps.llms.services import create_provider, delete_provider, update_provider
from apps.workspaces import permissions
from apps.workspaces.permissions import Action

_LIMITS = ("enabled", "concurrency", "rpm", "tpm", "timeout")


@never_cache
@require_GET
@for_members
def providers(request: LabelingRequest) -> HttpResponse:
    """The organization's providers, with what they cost this month."""
    return _show_all(request, BudgetForm())


@require_POST
@for_members
def set_monthly_budget(request: LabelingRequest) -> HttpResponse:
    """Limit what the organization may spend a month, or lift the limit."""
    permissions.check(request.member, Action.MANAGE_PROVIDERS)
    form = BudgetForm(request.POST)
    if not form.is_valid():
        return _show_all(request, form, code=422)
    usd = form.cleaned_data["usd"]
    set_budget(scope=BudgetScope.ORGANIZATION, subject_id=current(), usd=usd)
    return redirect("console:providers")


@never_cache
@require_http_methods(["GET", "POST"])
@for_members
def new(request: LabelingRequest) -> HttpResponse:
    """Add one."""
    permissions.check(request.member, Action.MANAGE_PROVIDERS)
    data = request.POST if request.method == "POST" else None
    usual = {"enabled": True, "concurrency": 8, "timeout": 120}
    form, models = ProviderForm(data, initial=usual), model_forms(data, [])
    if data is None or not _are_valid(form, models):
        return _show_one(request, None, form, models, code=200 if data is None else 422)
    try:
        made = create_provider(
            name=form.cleaned_data["name"],
            base_url=form.cleaned_data["base_url"],
            api_key=form.cleaned_data["api_key"] or None,
            models=[one.as_input({}) for one in models if one.cleaned_data.get("name")],
            **{name: form.cleaned_data[name] for name in _LIMITS},
        )
    except DomainError as error:
        _blame(form, error)
        return _show_one(request, None, form, models, code=422)
    return redirect("console:provider", made.id)


@never_cache
@require_http_methods(["GET", "POST"])
@for_members
def provider(request: LabelingRequest, llm_provider_id: UUID) -> HttpResponse:
    """One of them; those who manage providers change it."""
    found = _find(request, llm_provider_id)
    data = request.POST if request.method == "POST" else None
    if data is not None:
        permissions.check(request.member, Action.MANAGE_PROVIDERS)
    rows = model_rows(found)[found.id]
    form = ProviderForm(data, initial=initial_of(found))
    models = model_forms(data, [row.initial for row in rows])
    if data is None or not _are_valid(form, models):
        return _show_one(request, found, form, models, code=200 if data is None else 422)
    known = {row.model.name: row.as_input for row in rows}
    named = [one for one in models if one.cleaned_data.get("name")]
    changes = {name: form.cleaned_data[name] for name in ("name", "base_url", *_LIMITS)}
    changes["models"] = [one.as_input(known) for one in named]
    if form.cleaned_data["api_key"] or form.cleaned_data["forget_key"]:
        changes["api_key"] = form.cleaned_data["api_key"] or None
    try:
        changed = update_provider(provider=found, changes=changes)
    except DomainError as error:
        _blame(form, error)
        return _show_one(request, found, form, models, code=422)
    lost = found.sealed_key is not None and changed.sealed_key is None
    wiped = "&key=wiped" if lost and not form.cleaned_data["forget_key"] else ""
    response = redirect("console:provider", found.id)
    response["Location"] += f"?saved=1{wiped}"
    return response


@never_cache
@require_POST
def test(request: LabelingRequest, llm_provider_id: UUID) -> HttpResponseBase:
    """Make one tiny call, which costs a little, and say how it went.

    No transaction is open while the provider is asked.
    """
    trials: list[Trial] = []
    refused = _begin_test(request, llm_provider_id, trials)
    return _show_test(request, llm_provider_id, trials[0]()) if trials else refused


@for_members
def _begin_test(
    request: LabelingRequest, llm_provider_id: UUID, trials: list[Trial]
) -> HttpResponse:
    found = _find(request, llm_provider_id)
    permissions.check(request.member, Action.MANAGE_PROVIDERS)
    trials.append(begin(provider=found, model=request.POST.get("model", "")[:200] or None))
    return HttpResponse(status=204)


@for_members
def _show_test(request: LabelingRequest, llm_provider_id: UUID, result: Probe) -> HttpResponse:
    found = _find(request, llm_provider_id)
    permissions.check(request.member, Action.MANAGE_PROVIDERS)
    rows = model_rows(found)[found.id]
    form = ProviderForm(initial=initial_of(found))
    models = model_forms(None, [row.initial for row in rows])
    return _show_one(request, found, form, models, probe=result)


@require_POST
@for_members
def delete(request: LabelingRequest, llm_provider_id: UUID) -> HttpResponse:
    """Delete it; what was spent stays in the books."""
    found = _find(request, llm_provider_id)
    permissions.check(request.member, Action.MANAGE_PROVIDERS)
    if request.POST.get("name") != found.name:
        rows = model_rows(found)[found.id]
        form = ProviderForm(initial=initial_of(found))
        models = model_forms(None, [row.initial for row in rows])
        return _show_one(request, found, form, models, misspelt=True, code=422)
    delete_provider(provider=found)
    return redirect("console:providers")


def _find(request: LabelingRequest, llm_provider_id: UUID) -> Provider:
    found: Provider = get_object_or_404(Provider.objects.all(), pk=llm_provider_id)
    _check_may_look(request)
    return found


def _check_may_look(request: LabelingRequest) -> None:
    if not permissions.may_somewhere(request.member, Action.USE_PROVIDERS):
        raise NotAllowedError


def _are_valid(form: ProviderForm, models: list[ModelForm]) -> bool:
    valid = [form.is_valid(), *(one.is_valid() for one in models)]
    return all(valid)


def _blame(form: ProviderForm, error: DomainError) -> None:
    """Where it belongs: to the name that is taken, to the address, or to all of it."""
    places = {ConflictError: "name", ForbiddenAddressError: "base_url"}
    form.add_error(places.get(type(error)), error.message)


def _show_all(request: LabelingRequest, form: BudgetForm, code: int = 200) -> HttpResponse:
    _check_may_look(request)
    found = list(Provider.objects.visible_to(request.member).in_order())
    models, spent = model_rows(*found), spent_this_month(request.member)
    context = {
        "here": "providers",
        "rows": [(one, models[one.id], spent.get(one.id)) for one in found],
        "month": total(spent),
        "budget": standing_of(current()),
        "form": form,
        "manages": permissions.may(request.member, Action.MANAGE_PROVIDERS),
    }
    return render(request, "console/providers.html", context, status=code)


def _show_one(
    request: LabelingRequest,
    found: Provider | None,
    form: ProviderForm,
    models: list[ModelForm],
    *,
    code: int = 200,
    **more: Any,
) -> HttpResponse:
    context = {
        "here": "providers",
        "provider": found,
        "form": form,
        "models": models,
        "title": found.name if found else _("New provider"),
        "manages": permissions.may(request.member, Action.MANAGE_PROVIDERS),
        "is_saved": "saved" in request.GET,
        "is_wiped": request.GET.get("key") == "wiped",
        "names": [one.initial["name"] for one in models if one.initial.get("name")],
        **more,
    }
    return render(request, "console/provider.html", context, status=code)
