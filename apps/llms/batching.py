"""Calls handed in as files to a provider's batch API: cheaper, and answered within a day.

``order`` writes a batch down, ``look_after`` hands it in, asks for it, and settles its calls one
page at a time, each page in one transaction: the answers are in the cache then, and whoever wanted
them finds them there. While a batch is open its calls count as in flight.

Nothing is asked for twice: the provider is given our id with the batch, so that one whose worker
died between handing it in and writing its name down is found again; and its name is written down
before it is first asked for. What a batch leaves unanswered is settled as failed.

A batch that nobody wants any more (``withdrawal.py``) is cancelled at the provider, and then looked
after until that has stopped: what was answered until then is kept and booked, the rest given back.
"""

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from decimal import Decimal
from itertools import groupby
from typing import Final
from uuid import UUID

import orjson
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from apps.core.ids import uuid7
from apps.core.tenancy import enter
from apps.llms import batch_wire, calls
from apps.llms.batch_wire import Found, Row
from apps.llms.budgets import Amount, Payer
from apps.llms.calls import Ask, Outcome, Prepared
from apps.llms.connections import ProviderConnection
from apps.llms.errors import (
    CredentialError,
    ProviderError,
    QuotaError,
    TransientError,
)
from apps.llms.ledger import Attempt
from apps.llms.models import Batch, BatchCall, BatchState, LLMAttempt
from apps.llms.withdrawal import WINDOW, books_of, reach

MOST_CALLS: Final = 1000  # in one batch: their answers must fit into one file,
MOST_TOKENS: Final = 2_000_000  # of 16 bytes, which ``transport.MAX_ANSWER`` has room for
LONGEST_LOOK: Final = timedelta(minutes=15)  # at a batch, however slow the provider is
IN_HAND: Final = timedelta(minutes=20)  # longer than that
EVERY: Final = timedelta(seconds=30)  # between looks at a batch that is not done
LONGEST_REST: Final = timedelta(minutes=15)
MOST_FAILURES: Final = 50  # looks in a row that came to nothing, of one not handed in yet
_PAGE: Final = 200


@transaction.atomic
def order(asks: Sequence[Ask]) -> list[Prepared]:
    """Prepare the calls, and write those that are neither known nor in flight into batches.

    These are in flight then, at the price of batches. Raises ``BudgetReachedError`` as
    ``calls.prepare``.
    """
    prepared = calls.prepare([replace(ask, connection=ask.connection.in_batches) for ask in asks])
    missing = [one for one in prepared if one.hit is None and not one.is_busy]
    for _, of_model in groupby(sorted(missing, key=_model), key=_model):
        for page in _pages(of_model):
            _write(page)
    return [one if one.hit else replace(one, is_busy=True) for one in prepared]


def left_unanswered(job_id: UUID) -> bool:
    """Whether a batch of the job ended without answers to all its calls, but for withdrawn ones."""
    return Batch.objects.filter(job_id=job_id, unanswered__gt=0).exists()


def claim_cost(*, job_id: UUID) -> Decimal:
    """What the job's batches cost and nobody has claimed yet; the caller adds it to the job."""
    rows = Batch.objects.filter(job_id=job_id, unclaimed_usd__gt=0)
    batches = list(rows.select_for_update(of=("self",)))
    Batch.objects.filter(id__in=[batch.id for batch in batches]).update(unclaimed_usd=0)
    return sum((batch.unclaimed_usd for batch in batches), Decimal(0))


def look_after(organization_id: UUID, batch_id: UUID) -> bool:
    """Take the batch a step further, unless somebody else does so; whether it was ours to do."""
    with enter(organization_id):
        batch = _take(batch_id)
        if batch is None:
            return False
        try:
            connection = reach(batch)
        except ProviderError as error:
            _fail(batch, error)
            return True
        is_waiting = batch.state == BatchState.WAITING and batch.withdrawn_at is None
        lines = batch_wire.lines(batch, connection) if is_waiting else b""
    try:
        found = asyncio.run(_look(batch, connection, lines))
    except ProviderError as error:
        with enter(organization_id):
            _fail(batch, error)
        return True
    if found.remote_id is not None:
        with enter(organization_id):
            _note_sent(batch, found.remote_id)
    if found.answers is not None:
        _settle_all(organization_id, batch, connection, found.answers)
    return True


async def _look(batch: Batch, connection: ProviderConnection, lines: bytes) -> Found:
    """One step at the provider, over before somebody else may begin one."""
    try:
        async with asyncio.timeout(LONGEST_LOOK.total_seconds()):
            return await batch_wire.step(batch, connection, lines)
    except TimeoutError as error:
        raise TransientError("The provider took too long over the batch.") from error


# --- Writing it down -----------------------------------------------------------------------------


def _model(prepared: Prepared) -> tuple[UUID, str]:
    connection = prepared.ask.connection
    return connection.provider_id, connection.model


def _pages(prepared: Iterable[Prepared]) -> Iterator[list[Prepared]]:
    """As many calls as a batch may have; one that is too large goes alone."""
    page: list[Prepared] = []
    tokens = 0
    for one in prepared:
        tokens += one.attempt.worst.tokens
        if page and (len(page) == MOST_CALLS or tokens > MOST_TOKENS):
            yield page
            page, tokens = [], one.attempt.worst.tokens
        page.append(one)
    yield page


def _write(prepared: Sequence[Prepared]) -> None:
    ask = prepared[0].ask
    price = ask.connection.price
    batch = Batch.objects.create(
        id=uuid7(),
        provider_id=ask.connection.provider_id,
        model=ask.connection.model,
        job_id=ask.job_id,
        next_look_at=timezone.now(),
        input=price.input,
        output=price.output,
        cached_input=price.cached_input,
    )
    BatchCall.objects.bulk_create(
        [
            BatchCall(
                batch=batch,
                attempt_id=one.attempt.id,
                workspace_id=one.ask.workspace_id,
                seq=one.ask.seq,
                attempt=one.ask.attempt,
                request=json.loads(orjson.dumps(asdict(one.outgoing))),
            )
            for one in prepared
        ]
    )
    # Whoever looks for abandoned calls is to leave them alone for so long.
    opened = LLMAttempt.objects.filter(id__in=[one.attempt.id for one in prepared])
    opened.update(inserted_at=timezone.now() + WINDOW)


def _take(batch_id: UUID) -> Batch | None:
    """The batch, if it is due; for the others it is in hand then."""
    now = timezone.now()
    taken = Batch.objects.filter(id=batch_id, next_look_at__lte=now)
    if not taken.update(next_look_at=now + IN_HAND):
        return None
    batch = Batch.objects.select_related("provider").get(id=batch_id)
    if batch.state == BatchState.WAITING and batch.withdrawn_at is None:
        Batch.objects.filter(id=batch_id).update(tries=batch.tries + 1)
    return batch


def _note_sent(batch: Batch, remote_id: str) -> None:
    """Unless somebody took it further meanwhile: the name they wrote down stays."""
    Batch.objects.filter(id=batch.id, state=batch.state).update(
        state=BatchState.SENT,
        remote_id=remote_id,
        failures=0,
        next_look_at=timezone.now() + EVERY,
    )


def _fail(batch: Batch, error: ProviderError) -> None:
    """Look again later after what may pass; after anything else nobody will.

    A batch that the provider has is paid for: it is looked after for as long as it may be fetched,
    even without credit or with a wrong key.
    """
    failures = batch.failures + 1
    if batch.state == BatchState.SENT or batch.withdrawn_at:
        may_pass = isinstance(error, TransientError | CredentialError | QuotaError)
        is_late = timezone.now() > batch.inserted_at + WINDOW
    else:
        may_pass, is_late = isinstance(error, TransientError), failures > MOST_FAILURES
    if not may_pass or is_late:
        _give_up(batch, error)
        return
    seconds = error.seconds if isinstance(error, TransientError) else None
    rest = max(min(EVERY * 2 ** min(failures, 10), LONGEST_REST), timedelta(seconds=seconds or 0))
    Batch.objects.filter(id=batch.id).update(
        failures=failures, error=error.message[:600], next_look_at=timezone.now() + rest
    )


def _give_up(batch: Batch, error: ProviderError) -> None:
    """Settle what is left, so that it may be asked for in another way.

    As failed, or, if the provider has it and may have answered, at the most it may have cost.
    """
    connection = books_of(batch)
    while rows := list(BatchCall.objects.filter(batch=batch)[:_PAGE]):
        if batch.state == BatchState.SENT:
            spent = calls.give_up(list(_prepared(batch, connection, rows)))
            _forget(batch, rows, spent, unanswered=len(rows))
        else:
            _settle(batch, connection, rows, {}, error)
    _end(batch, BatchState.FAILED, error)


def _end(batch: Batch, state: BatchState, error: ProviderError | None = None) -> None:
    Batch.objects.filter(id=batch.id).update(
        state=state,
        error=error and error.message[:600],
        next_look_at=None,
        sealed_key=None,
    )


# --- Settling ------------------------------------------------------------------------------------


def _settle_all(
    organization_id: UUID,
    batch: Batch,
    connection: ProviderConnection,
    answers: Mapping[str, Row],
) -> None:
    """Page by page, each in a transaction."""
    unanswered = TransientError("The batch ended without an answer to this call.")
    while True:
        with enter(organization_id):
            rows = list(BatchCall.objects.filter(batch=batch).order_by("attempt_id")[:_PAGE])
            if not rows:
                _end(batch, BatchState.CANCELLED if batch.withdrawn_at else BatchState.DONE)
                return
            _settle(batch, connection, rows, answers, unanswered)


def _settle(
    batch: Batch,
    connection: ProviderConnection,
    rows: Sequence[BatchCall],
    answers: Mapping[str, Row],
    otherwise: ProviderError,
) -> None:
    """Book the calls and forget them, in the caller's transaction.

    What a withdrawn batch has no answer to was not asked: it is given back.
    """
    outcomes, unasked = [], []
    for prepared in _prepared(batch, connection, rows):
        row = answers.get(str(prepared.attempt.id))
        reply, error = batch_wire.read(prepared.ask, row) if row else (None, otherwise)
        if batch.withdrawn_at and isinstance(error, TransientError):
            unasked.append(prepared)
        else:
            outcomes.append(Outcome(prepared, reply=reply, error=error))
    calls.release(unasked)
    spent = sum(calls.settle(outcomes), Decimal(0)) if outcomes else Decimal(0)
    _forget(batch, rows, spent, unanswered=sum(one.reply is None for one in outcomes))


def _forget(
    batch: Batch, rows: Sequence[BatchCall], spent: Decimal, *, unanswered: int = 0
) -> None:
    """Take the calls out of the batch, and note for its job what they cost."""
    ids = [row.attempt_id for row in rows]
    BatchCall.objects.filter(batch=batch, attempt_id__in=ids).delete()
    Batch.objects.filter(id=batch.id).update(
        unanswered=F("unanswered") + unanswered, unclaimed_usd=F("unclaimed_usd") + spent
    )


def _prepared(
    batch: Batch, connection: ProviderConnection, rows: Sequence[BatchCall]
) -> Iterator[Prepared]:
    """The calls as they were prepared, those whose attempt is still open."""
    opened = {
        row.id: row for row in LLMAttempt.objects.filter(id__in=[one.attempt_id for one in rows])
    }
    for row in rows:
        attempt = opened.get(row.attempt_id)
        if attempt is None:
            continue
        ask = Ask(
            connection,
            batch_wire.request_of(row),
            batch.job_id,
            row.workspace_id,
            row.seq,
            row.attempt,
        )
        worst = Amount(attempt.usd, attempt.tokens)
        yield Prepared(
            ask,
            Attempt(
                id=attempt.id,
                key=bytes(attempt.key),
                payer=Payer(attempt.job_id, attempt.workspace_id),
                seq=attempt.seq,
                attempt=attempt.attempt,
                provider_id=attempt.provider_id,
                model=attempt.model,
                worst=worst,
                is_metered=attempt.is_metered,
            ),
        )
