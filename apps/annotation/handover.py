"""Open work that changes hands: records somebody holds, and answers they have only drafted.

What is answered stays with who answered it. Given back to everybody, a hold ends; a draft stays
where it is, since it keeps nobody else from the record.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from apps.annotation import slots
from apps.annotation.distribution import lease_time
from apps.annotation.models import Annotator, Lease, Response, ResponseStatus
from apps.datasets.models import Dataset
from apps.events.log import Happening, emit, emit_all
from apps.organizations.models import Membership
from apps.workspaces import people
from apps.workspaces.permissions import Action, may, remember_roles

Work = dict[UUID, set[UUID]]  # dataset → records


@dataclass(frozen=True, slots=True)
class Open:
    """How many records a person holds, and how many answers they have drafted."""

    leases: int
    drafts: int


def open_work(*, member: Membership) -> Open:
    """Two queries."""
    now = timezone.now()
    return Open(
        Lease.objects.filter(user=member, expires_at__gt=now).count(),
        Response.objects.filter(user=member, status=ResponseStatus.DRAFT).count(),
    )


@transaction.atomic
def hand_over(*, actor: Membership, giver: Membership, heir: Membership | None) -> Open:
    """Give the person's open work to the heir, or back to everybody; returns what moved.

    The heir gets what they may answer and have not begun; holds on the rest end, drafts of the
    rest stay. What the giver takes up meanwhile is not part of it. Raises ``NotAllowedError``
    unless the actor may change the giver.
    """
    people.lock(actor, giver)
    leased, drafted = _found(giver)
    users = [giver.id] if heir is None else [giver.id, heir.id]
    for dataset_id in sorted(leased.keys() | drafted.keys()):
        slots.lock_places(dataset_id, users)
    slots.lock(sorted(_records(leased) | _records(drafted)))
    drafts = _give_drafts(giver, heir, drafted) if heir else []
    leases = _give_leases(giver, heir, leased)
    Annotator.objects.filter(user__in=users).update(exhausted_at=None)
    payload = {
        "to": str(heir.id) if heir else None,
        "changes": {"leases": [leases, 0], "drafts": [len(drafts), 0]},
    }
    emit("member.work_handed_over", object_id=giver.id, payload=payload)
    emit_all([_happening(response) for response in drafts])
    for dataset_id in sorted(leased):
        slots.recount(leased[dataset_id], answered=False)
    return Open(leases, len(drafts))


@transaction.atomic
def let_go(*, actor: Membership, member: Membership, heir: Membership | None) -> Open:
    """Deactivate a member whose open work goes on with the heir, or with everybody."""
    moved = hand_over(actor=actor, giver=member, heir=heir)
    people.deactivate(actor=actor, member=member)
    return moved


def _found(giver: Membership) -> tuple[Work, Work]:
    drafts = Response.objects.filter(user=giver, status=ResponseStatus.DRAFT)
    leases = Lease.objects.filter(user=giver)
    return _grouped(leases.values_list("dataset_id", "record_id")), _grouped(
        drafts.values_list("dataset_id", "record_id")
    )


def _grouped(pairs: Iterable[tuple[UUID, UUID]]) -> Work:
    work: Work = defaultdict(set)
    for dataset_id, record_id in pairs:
        work[dataset_id].add(record_id)
    return work


def _records(work: Work) -> set[UUID]:
    return set().union(*work.values())


def _answerable(heir: Membership, work: Work) -> list[UUID]:
    remember_roles(heir)
    datasets = Dataset.objects.filter(id__in=list(work))
    return [one.id for one in datasets if may(heir, Action.ANSWER, one.workspace_id)]


def _give_drafts(giver: Membership, heir: Membership, work: Work) -> list[Response]:
    """Those of records that the heir has not answered."""
    own = Response.objects.filter(user=heir, record=OuterRef("record"))
    drafts = Response.objects.filter(user=giver, status=ResponseStatus.DRAFT)
    drafts = drafts.filter(record__in=_records(work), dataset__in=_answerable(heir, work))
    moving = list(drafts.filter(~Exists(own)))
    ids = [response.id for response in moving]
    Response.objects.filter(id__in=ids).update(user=heir, request_key=None)
    return moving


def _give_leases(giver: Membership, heir: Membership | None, work: Work) -> int:
    """How many went; the giver keeps none of them."""
    held = Lease.objects.filter(user=giver, record__in=_records(work))
    count = held.count()
    if heir is not None:
        begun = Response.objects.filter(user=heir, record=OuterRef("record"))
        leased = Lease.objects.filter(user=heir, record=OuterRef("record"))
        fitting = held.filter(~Exists(begun.exclude(status=ResponseStatus.DRAFT)), ~Exists(leased))
        ids = fitting.filter(dataset__in=_answerable(heir, work)).values_list("record", flat=True)
        expires = timezone.now() + lease_time()
        held.filter(record__in=list(ids)).update(user=heir, expires_at=expires)
    held.delete()
    return count


def _happening(response: Response) -> Happening:
    return Happening(
        "response.updated",
        dataset_id=response.dataset_id,
        object_id=response.id,
        payload={"record": str(response.record_id), "status": response.status},
    )
