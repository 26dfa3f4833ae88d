"""The organizations of the instance: plan, usage, activity; suspend, limit, look for support."""

from collections.abc import Callable
from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from apps.core.errors import InvalidError
from apps.core.ids import read_id
from apps.exchange.organization import deletion
from apps.labeling import support
from apps.operator import acts, reads
from apps.operator.access import OperatorRequest, for_operators
from apps.organizations import operating, volume
from apps.organizations.models import Membership, Organization, Plan, SupportAccess


@for_operators
@require_GET
def organizations(request: OperatorRequest) -> HttpResponse:
    """All of them, or those that a text finds."""
    text = request.GET.get("q", "").replace("\0", "").strip()[:200]
    order = request.GET.get("order", "")
    order = order if order in reads.ORDERS else "recent"
    suspended = request.GET.get("suspended") == "1"
    rows = reads.organizations(text=text, order=order, suspended=suspended)
    context = {
        "here": "organizations",
        "rows": rows[: reads.SHOWN],
        "has_more": len(rows) > reads.SHOWN,
        "q": text,
        "order": order,
        "suspended": suspended,
        "orders": [
            ("recent", _("Last active")),
            ("records", _("Most records")),
            ("name", _("Name")),
            ("new", _("Newest")),
        ],
    }
    return render(request, "operator/organizations.html", context)


@for_operators
@require_GET
def deleted(request: OperatorRequest) -> HttpResponse:
    """Those that are gone, and whether their certificates are as they were signed."""
    gone = deletion.certificates()[: reads.SHOWN]
    rows = [(one, deletion.is_genuine(one)) for one in gone]
    return render(request, "operator/deleted.html", {"here": "organizations", "rows": rows})


@for_operators
@require_GET
def certificate(request: OperatorRequest, certificate_id: UUID) -> HttpResponse:
    """The certificate as a file, as it was signed."""
    found = get_object_or_404(deletion.certificates(), id=certificate_id)
    name = f'attachment; filename="deletion-{found.slug}.json"'
    headers = {"Content-Disposition": name, "X-Signature": found.signature}
    return HttpResponse(found.text, content_type="application/json", headers=headers)


@for_operators
@require_GET
def organization(request: OperatorRequest, organization_id: UUID) -> HttpResponse:
    """One of them, with its people, jobs and who looked at it."""
    return _show(request, organization_id)


@for_operators
@require_POST
def suspend(request: OperatorRequest, organization_id: UUID) -> HttpResponse:
    """Let nobody in until it is lifted."""
    reason = request.POST.get("reason", "")
    return _change(
        request,
        organization_id,
        lambda found: operating.suspend(organization=found, reason=reason),
    )


@for_operators
@require_POST
def unsuspend(request: OperatorRequest, organization_id: UUID) -> HttpResponse:
    """Let everybody in again."""
    return _change(request, organization_id, lambda found: operating.unsuspend(organization=found))


@for_operators
@require_POST
def set_limit(request: OperatorRequest, organization_id: UUID) -> HttpResponse:
    """How many records it may hold; nothing is no limit."""
    typed = request.POST.get("limit", "").strip()

    def change(found: Organization) -> None:
        if typed and not (typed.isascii() and typed.isdigit() and len(typed) <= 13):
            raise InvalidError(_("A limit is a number of records, 0 or more."))
        operating.set_record_limit(organization=found, limit=int(typed) if typed else None)

    return _change(request, organization_id, change)


@for_operators
@require_POST
def set_plan(request: OperatorRequest, organization_id: UUID) -> HttpResponse:
    """Another plan with its limit; the subscription follows at night."""
    plan = request.POST.get("plan", "")

    def change(found: Organization) -> None:
        if plan not in Plan.values:
            raise InvalidError(_("There is no such plan."))
        if plan != found.plan:
            volume.set_plan(organization=found, plan=plan)

    return _change(request, organization_id, change)


@for_operators
@require_POST
def begin_support(request: OperatorRequest, organization_id: UUID) -> HttpResponse:
    """Look at its pages as one of its members, for half an hour, changing nothing."""
    member_id = read_id(request.POST.get("member", ""))
    if member_id is None:
        raise Http404
    with acts.inside(request, organization_id):
        member = Membership.objects.active().filter(id=member_id).first()
        if member is None:
            raise Http404
        began: list[SupportAccess] = []
        problem, code = acts.refusal(
            lambda: began.append(
                operating.begin_support(
                    operator=request.user, member=member, reason=request.POST.get("reason", "")
                )
            )
        )
    if problem:
        return _show(request, organization_id, problem=problem, code=code)
    _end_current(request)
    support.begin(request, began[0])
    return redirect("labeling:datasets")


@for_operators
@require_POST
def end_support(request: OperatorRequest) -> HttpResponse:
    """Back to the console, from which it began."""
    organization_id = _end_current(request)
    if organization_id is None:
        return redirect("operator:organizations")
    return redirect("operator:organization", organization_id)


def _end_current(request: OperatorRequest) -> UUID | None:
    """End the support access of this session; where it was."""
    found = support.current_ids(request)
    support.forget(request)
    if found is None:
        return None
    organization_id, access_id = found
    with acts.inside(request, organization_id):
        rows = SupportAccess.objects.filter(id=access_id, operator_id=request.user.id)
        for access in rows:
            operating.end_support(access=access)
    return organization_id


def _change(
    request: OperatorRequest, organization_id: UUID, change: Callable[[Organization], None]
) -> HttpResponse:
    with acts.inside(request, organization_id) as found:
        problem, code = acts.refusal(lambda: change(found))
    if problem:
        return _show(request, organization_id, problem=problem, code=code)
    return redirect("operator:organization", organization_id)


def _show(
    request: OperatorRequest, organization_id: UUID, *, problem: str = "", code: int = 200
) -> HttpResponse:
    row = reads.organization(organization_id)
    if row is None:
        raise Http404
    context = {
        "here": "organizations",
        "row": row,
        "members": reads.members(organization_id),
        "jobs": reads.jobs(state="all", organization_id=organization_id)[:10],
        "plans": Plan.values,
        "accesses": reads.support_accesses(organization_id),
        "problem": problem,
        "typed": request.POST,
    }
    return render(request, "operator/organization.html", context, status=code)
