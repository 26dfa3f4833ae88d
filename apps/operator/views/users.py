"""Accounts: find, lock, and take away a second factor that was lost."""

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from apps.operator import acts, reads
from apps.operator.access import OperatorRequest, for_operators
from apps.organizations import operating
from apps.users.models import User


@for_operators
@require_GET
def users(request: OperatorRequest) -> HttpResponse:
    """The newest accounts, or those that a text finds."""
    return _show(request)


@for_operators
@require_POST
def lock(request: OperatorRequest, account_id: UUID) -> HttpResponse:
    """No log-in, no page, no key of theirs works any more, until it is unlocked."""
    user = get_object_or_404(User, id=account_id)
    if user.pk == request.user.pk:
        return _show(request, problem=_("You cannot lock yourself out."), code=409)
    with acts.acting(request):
        operating.lock_account(user=user)
    return redirect("operator:users")


@for_operators
@require_POST
def unlock(request: OperatorRequest, account_id: UUID) -> HttpResponse:
    """As before."""
    user = get_object_or_404(User, id=account_id)
    with acts.acting(request):
        operating.unlock_account(user=user)
    return redirect("operator:users")


@for_operators
@require_POST
def reset_factor(request: OperatorRequest, account_id: UUID) -> HttpResponse:
    """Forget authenticator, passkeys and recovery codes, once ``reset`` was typed.

    The password stays.
    """
    user = get_object_or_404(User, id=account_id)
    if user.pk == request.user.pk:
        problem = _("Another operator has to reset your second factor.")
        return _show(request, problem=problem, code=409)
    if request.POST.get("word", "").strip().casefold() != _("reset").casefold():
        problem = _("Nothing was changed. To reset the second factor, type the word exactly.")
        return _show(request, problem=problem, code=422)
    with acts.acting(request):
        operating.reset_second_factor(user=user)
    return redirect("operator:users")


def _show(request: OperatorRequest, *, problem: str = "", code: int = 200) -> HttpResponse:
    text = request.GET.get("q", "").replace("\0", "").strip()[:200]
    rows = reads.users(text)
    context = {
        "here": "users",
        "rows": rows[: reads.SHOWN],
        "has_more": len(rows) > reads.SHOWN,
        "q": text,
        "problem": problem,
    }
    return render(request, "operator/users.html", context, status=code)
