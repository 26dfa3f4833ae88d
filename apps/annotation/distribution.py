"""Who gets which record next.

A slot is handed out by lease: the claim picks the next record with open slots after the
annotator's cursor, skips rows that others are just taking, writes the lease and moves the cursor,
all in one statement. A record is never leased to more people than answers are still needed, and
never to someone who has it or has answered it. Cost of a claim: 3 statements, 2 for one
record, whatever the dataset's size. A part of the queue (``Part``) is looked for as a search is; it
has no cursor, and leaves the one of the whole queue where it is. ``queues.py`` has the statements.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, OuterRef
from django.utils import timezone

from apps.annotation import slots
from apps.annotation.models import Annotator, Lease, Response
from apps.annotation.queues import CLAIMS, CLAIMS_OF_ONE, Part, renewal
from apps.annotation.turns import Turn, take_turn
from apps.core.prepared import build, execute, fetch
from apps.core.tenancy import current
from apps.datasets.models import Dataset, QueueOrder
from apps.organizations.models import Membership
from apps.records.models import Record, RecordStatus, RecordTask

NO_LIMIT = 1_000_000  # answers


@dataclass(frozen=True, slots=True)
class QueueState:
    """Why there is nothing to hand out: ``open`` records still need somebody else's answer.

    ``held_by_others`` are the records that may still come: the person has not answered them.
    """

    open: int
    held_by_others: int
    quota_reached: bool
    total_reached: bool = False


def claim(
    *,
    dataset: Dataset,
    annotator: Membership,
    limit: int = 1,
    beyond: UUID | None = None,
    part: Part | None = None,
    turn: Turn | None = None,
    at_hand: Collection[UUID] = (),
) -> list[Lease]:
    """Up to ``limit`` leases for the annotator, each with its record, in queue order.

    Leases already held come first and are renewed, so that asking again is safe. Fewer come back
    when nothing more is open or a quota of the annotator's is reached. ``beyond`` is a record
    that was skipped: what follows it comes first, also where the least certain do, and it leaves
    room in the quota. ``turn`` is the annotator's, where a statement has taken it already. Those of
    the records ``at_hand`` that are still the annotator's come beyond the limit.
    """
    if dataset.archived_at is not None:
        return []
    now = timezone.now()
    expires = now + lease_time()
    with transaction.atomic(savepoint=False):
        turn = turn or take_turn(dataset, annotator)
        place = turn.place
        most = remaining(dataset, place, now)
        is_over = most == 0 or _is_exhausted(dataset, turn, now)
        at_once = limit == 1 and not (at_hand or part or is_over)  # what is held comes with it
        most_held = limit + len(at_hand)
        held = [] if at_once else _renew_held(dataset, annotator, now, expires, most_held, part)
        limit += sum(record_id in at_hand for record_id in held)
        taken: list[Record] = []
        if not is_over and (wanted := min(limit, most + (beyond in held)) - len(held)) > 0:
            claims = part.claims() if part else _claims(dataset, place, beyond, at_once)
            facts = {"cursor": place.cursor_id, "beyond": beyond, "now": now, **_facts_of(part)}
            taken = _take_open(claims, turn, wanted, expires, facts, part)
    return [
        Lease(record=record, user=annotator, dataset=dataset, expires_at=expires)
        for record in [*_load(held), *taken]
    ]


def lease_time() -> timedelta:
    """How long a lease lasts unless it is renewed."""
    return timedelta(minutes=settings.LEASE_MINUTES)


def remaining(dataset: Dataset, place: Annotator, now: datetime) -> int:
    """How many more answers the annotator's quotas let them be asked for.

    One query where there is a total quota. Saving an answer asks for no quota.
    """
    return min(_remaining_today(dataset, place, now), _remaining_in_all(dataset, place))


def _remaining_today(dataset: Dataset, place: Annotator, now: datetime) -> int:
    quota = dataset.daily_quota if place.daily_quota is None else place.daily_quota
    if quota is None:
        return NO_LIMIT
    done = place.submitted_today if place.day == now.date() else 0
    return max(quota - done, 0)


def _remaining_in_all(dataset: Dataset, place: Annotator) -> int:
    quota = dataset.total_quota if place.total_quota is None else place.total_quota
    if quota is None:
        return NO_LIMIT
    mine = Response.objects.submitted().filter(dataset=dataset, user=place.user_id)
    return max(quota - mine[:quota].count(), 0)


def _renew_held(
    dataset: Dataset,
    annotator: Membership,
    now: datetime,
    expires: datetime,
    limit: int,
    part: Part | None,
) -> list[UUID]:
    """In order. A statement of its own: it must see what a claim did that the turn waited for."""
    facts = {"o": current(), "d": dataset.id, "u": annotator.id, "now": now, "n": limit}
    rows = execute(renewal(part), {**_facts_of(part), **facts, "expires": expires})
    return [row[0] for row in rows]


def _is_exhausted(dataset: Dataset, turn: Turn, now: datetime) -> bool:
    """True while nothing has become free since the queue was found empty.

    A lease that ran out counts as free before the sweep has taken it back.
    """
    if turn.place.exhausted_at is None or turn.place.exhausted_at != turn.reopened_at:
        return False
    return not Lease.objects.filter(dataset=dataset, expires_at__lte=now).exists()


def _facts_of(part: Part | None) -> dict[str, Any]:
    return {**part.params, "passed": list(part.passed)} if part else {}


def _claims(dataset: Dataset, place: Annotator, beyond: UUID | None, at_once: bool) -> list[str]:
    """The statements that hand out of the whole queue, in turn."""
    claims = CLAIMS_OF_ONE if at_once else CLAIMS
    if dataset.queue_order == QueueOrder.LEAST_CERTAIN_FIRST:
        names = [*(["more_certain"] if beyond else []), "least_certain"]
    else:
        names = [*(["after_cursor"] if place.cursor_id else []), "from_start"]
    return [claims[name] for name in names]


def _take_open(
    claims: list[str],
    turn: Turn,
    wanted: int,
    expires: datetime,
    facts: dict[str, Any],
    part: Part | None,
) -> list[Record]:
    """Before the queue is called empty, the leases that ran out are taken back."""
    taken = _hand_out(claims, turn.place, wanted, expires, facts)
    if not taken and return_expired(turn.place.dataset_id):
        taken = _hand_out(claims, turn.place, wanted, expires, facts)
    if not taken and part is None:
        _note_empty(turn)
    return taken


def _hand_out(
    claims: list[str], place: Annotator, wanted: int, expires: datetime, facts: dict[str, Any]
) -> list[Record]:
    who = {"o": current(), "d": place.dataset_id, "u": place.user_id, "expires": expires}
    taken: list[Record] = []
    for statement in claims:
        rows = execute(statement, {**facts, **who, "n": wanted - len(taken)})
        taken += [build(Record, row) for row in rows]
        if len(taken) >= wanted:
            break
    return taken


def _note_empty(turn: Turn) -> None:
    """Remember that the queue is exhausted, so that asking again costs nothing.

    Rows that others held locked for a moment were skipped, so the queue counts as exhausted only
    when no open slot is left to look at. What is noted is the ``reopened_at`` that was looked
    behind, not the time: a slot that is freed meanwhile, by a transaction begun before, is seen.
    """
    place = turn.place
    if not slots.open_for(place.dataset_id, place.user_id):
        rows = Annotator.objects.filter(dataset=place.dataset_id, user=place.user_id)
        rows.update(exhausted_at=turn.reopened_at)


def _load(record_ids: list[UUID]) -> list[Record]:
    """The records in the order of their ids, which are in the order of insertion."""
    return fetch(Record, "id = ANY(%(ids)s) ORDER BY id", ids=record_ids) if record_ids else []


def renew(*, record_id: UUID, annotator: Membership) -> datetime | None:
    """Prolong a lease that has not expired; returns its new end, or None when it is lost."""
    now = timezone.now()
    expires = now + lease_time()
    mine = Lease.objects.filter(record_id=record_id, user=annotator, expires_at__gt=now)
    return expires if mine.update(expires_at=expires) else None


@transaction.atomic
def release(*, record_id: UUID, annotator: Membership, until: datetime | None = None) -> None:
    """Give a record back unanswered; it comes first again. Without a lease nothing happens.

    With ``until`` only the lease that ends then: one that was renewed meanwhile stays.
    """
    slots.lock_answer(record_id, annotator.id)
    dataset_id = _give_back(record_id, annotator, until)
    place = Annotator.objects.filter(dataset=dataset_id, user=annotator, cursor_id__gte=record_id)
    if dataset_id:
        place.update(cursor_id=UUID(int=record_id.int - 1))


def _give_back(
    record_id: UUID, annotator: Membership, until: datetime | None = None
) -> UUID | None:
    """End the lease; the record's dataset if there was one. The place is locked."""
    lease = Lease.objects.filter(record_id=record_id, user=annotator)
    if until is not None:
        lease = lease.filter(expires_at=until)
    dataset_id = lease.values_list("dataset_id", flat=True).first()
    if dataset_id:
        lease.delete()
        slots.recount([record_id], answered=False)
    return dataset_id


@transaction.atomic
def skip(
    *, dataset: Dataset, record_id: UUID, annotator: Membership, part: Part | None = None
) -> None:
    """Give a record back for another one, which is taken first: it would come back at once."""
    slots.lock_answer(record_id, annotator.id)
    claim(dataset=dataset, annotator=annotator, limit=2, beyond=record_id, part=part)
    _give_back(record_id, annotator)


def queue_state(*, dataset: Dataset, annotator: Membership) -> QueueState:
    """Why a claim came back empty. Three queries, four where there is a total quota."""
    now = timezone.now()
    place = Annotator.objects.filter(dataset=dataset, user=annotator).first()
    place = place or Annotator(dataset=dataset, user=annotator)
    total_reached = _remaining_in_all(dataset, place) <= 0
    return QueueState(
        open=RecordTask.objects.filter(dataset=dataset, open_slots__gt=0).count(),
        held_by_others=_held_by_others(dataset, annotator, now),
        quota_reached=total_reached or _remaining_today(dataset, place, now) <= 0,
        total_reached=total_reached,
    )


def _held_by_others(dataset: Dataset, annotator: Membership, now: datetime) -> int:
    mine = Response.objects.filter(record=OuterRef("record_id"), user=annotator)
    leases = Lease.objects.filter(dataset=dataset, expires_at__gt=now).exclude(user=annotator)
    waited_for = leases.filter(~Exists(mine), record__status=RecordStatus.PENDING)
    return int(waited_for.aggregate(n=Count("record_id", distinct=True))["n"])


def return_expired(dataset_id: UUID) -> int:
    """Take back the dataset's leases that ran out. Returns how many.

    Runs every half minute and before a queue is called empty. Records that somebody is just
    answering are left for the next time, so it never waits.
    """
    with transaction.atomic():
        expired = Lease.objects.filter(dataset=dataset_id, expires_at__lte=timezone.now())
        found = sorted(set(expired.values_list("record_id", flat=True)[:5000]))
        record_ids = slots.lock(found, skip_busy=True) if found else []
        if not record_ids:
            return 0
        count, _ = expired.filter(record_id__in=record_ids).delete()
        slots.recount(record_ids, answered=False)
        return count
