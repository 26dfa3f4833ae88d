"""Which record lies on the annotator's table, and which come before and after it."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from django.utils import timezone

from apps.annotation import distribution
from apps.annotation.models import Lease, Response, ResponseQuerySet, ResponseStatus
from apps.annotation.queues import Part
from apps.core.errors import NotFoundError
from apps.datasets.models import Dataset
from apps.labeling.narrowing import ALL as ALL
from apps.labeling.narrowing import PENDING as PENDING
from apps.labeling.narrowing import Narrowing, statuses_of
from apps.organizations.models import Membership
from apps.records.models import Record
from apps.workspaces import permissions
from apps.workspaces.permissions import Action

QUEUES = (PENDING, *ResponseStatus.values, ALL)
AHEAD: Final = 2  # records that a page has ready before they are asked for


@dataclass(frozen=True, slots=True)
class Turn:
    """A record to answer, with the answer given before and the end of the hold on it."""

    record: Record
    response: Response | None = None
    expires_at: datetime | None = None


def next_pending(
    dataset: Dataset, member: Membership, narrowing: Narrowing | None = None
) -> Turn | None:
    """The record the member holds, or the next one to be had."""
    for lease in distribution.claim(dataset=dataset, annotator=member, part=_part(narrowing)):
        return Turn(lease.record, expires_at=lease.expires_at)
    return None


def claim_ahead(
    dataset: Dataset,
    member: Membership,
    at_hand: Collection[UUID],
    narrowing: Narrowing | None = None,
) -> tuple[list[Turn], list[Turn]]:
    """The next records, and those of ``at_hand`` that are held still, whose holds are renewed."""
    leases = distribution.claim(
        dataset=dataset, annotator=member, limit=AHEAD, part=_part(narrowing), at_hand=at_hand
    )
    turns = [Turn(lease.record, expires_at=lease.expires_at) for lease in leases]
    coming = [turn for turn in turns if turn.record.id not in at_hand]
    return coming[:AHEAD], [turn for turn in turns if turn.record.id in at_hand]


def skip(
    dataset: Dataset, member: Membership, record_id: UUID, narrowing: Narrowing | None = None
) -> None:
    """Leave the record to others; another one lies on the table then."""
    part = _part(narrowing)
    if part is not None:
        part = replace(part, passed=[*part.passed, record_id])
    distribution.skip(dataset=dataset, record_id=record_id, annotator=member, part=part)


def _part(narrowing: Narrowing | None) -> Part | None:
    return narrowing.part if narrowing is not None else None


def open_answer(
    dataset: Dataset, member: Membership, status: str, narrowing: Narrowing | None = None
) -> Turn | None:
    """Where a list of own answers starts: drafts with the oldest, others with the newest; a part
    of it with its first."""
    if narrowing is not None:
        first = narrowing.first(statuses_of(status))
        return open_record(dataset, member, first) if first else None
    answers = _answers(dataset, member, status)
    order = "record_id" if status == ResponseStatus.DRAFT else "-record_id"
    response = answers.order_by(order).first()
    return Turn(response.record, response) if response else None


def open_record(dataset: Dataset, member: Membership, record_id: UUID) -> Turn:
    """A record by its id: one's own, one that is held, or any for those who may list records.

    Raises ``NotFoundError`` otherwise.
    """
    answers = Response.objects.filter(user=member, record_id=record_id, dataset=dataset)
    response = answers.select_related("record").first()
    if response is not None:
        return Turn(response.record, response)
    held = Lease.objects.filter(record_id=record_id, user=member, expires_at__gt=timezone.now())
    lease = held.filter(dataset=dataset).select_related("record").first()
    if lease is not None:
        return Turn(lease.record, expires_at=lease.expires_at)
    if permissions.may(member, Action.LIST_RECORDS, dataset.workspace_id):
        record = Record.objects.filter(dataset=dataset, id=record_id).first()
        if record is not None:
            return Turn(record)
    raise NotFoundError("This record is not among yours.")


def at_hand(member: Membership, record: Record) -> Turn:
    """The record of a page that is open already, with the member's answer and hold."""
    own = Response.objects.filter(record=record, user=member).first()
    held = Lease.objects.filter(record=record, user=member, expires_at__gt=timezone.now()).first()
    return Turn(record, own, held.expires_at if held else None)


def last_answer(dataset: Dataset, member: Membership) -> Response | None:
    """What the member answered last, in whatever way."""
    answers = Response.objects.filter(dataset=dataset, user=member)
    return answers.order_by("-updated_at").first()


def give_back(member: Membership, record_id: UUID, until: str) -> None:
    """Release the hold that a page had; one renewed since, as by a reload, stays."""
    try:
        end = datetime.fromisoformat(until)
    except ValueError:
        return
    if end.tzinfo is not None:
        distribution.release(record_id=record_id, annotator=member, until=end)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands among the member's answers of one status.

    ``total`` is known of a part of the list; ``number`` is 0 for a record that is not in it.
    """

    number: int
    before: UUID | None
    after: UUID | None
    total: int | None = None


def find_place(
    dataset: Dataset,
    member: Membership,
    status: str,
    record_id: UUID,
    narrowing: Narrowing | None = None,
) -> Place:
    """The record's place in the list, oldest first. Three index scans; of a part one statement."""
    if narrowing is not None:
        found = narrowing.find_place(statuses_of(status), record_id)
        return Place(*found) if found else Place(0, None, None, 0)
    answers = _answers(dataset, member, status)
    earlier = answers.filter(record_id__lt=record_id)
    return Place(
        number=earlier.count() + 1,
        before=earlier.order_by("-record_id").values_list("record_id", flat=True).first(),
        after=following(dataset, member, status, record_id),
    )


def following(
    dataset: Dataset,
    member: Membership,
    status: str,
    record_id: UUID,
    narrowing: Narrowing | None = None,
) -> UUID | None:
    """The next record in the list of own answers."""
    if narrowing is not None:
        return find_place(dataset, member, status, record_id, narrowing).after
    later = _answers(dataset, member, status).filter(record_id__gt=record_id)
    return later.order_by("record_id").values_list("record_id", flat=True).first()


def _answers(dataset: Dataset, member: Membership, status: str) -> ResponseQuerySet:
    answers = Response.objects.filter(dataset=dataset, user=member, status__in=statuses_of(status))
    return answers.select_related("record")
