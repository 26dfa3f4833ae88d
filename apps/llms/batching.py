"""Calls handed in as files to a provider's batch API: cheaper, and answered within a day.

``order`` writes a batch down, ``look_after`` hands it in, asks for it, and settles its calls one
page at a time, each page in one transaction: the answers are in the cache then, and whoever wanted
them finds them there. While a batch is open its calls count as in flight.

Nothing is asked for twice: the provider is given our id with the batch, so that one whose worker
died between handing it in and writing its name down is found again; and its name is written down
before it is first asked for. What a batch leaves unanswered is settled as failed.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from itertools import groupby, islice
from typing import Any, Final
from uuid import UUID

import orjson
from django.db import transaction
from django.utils import timezone

from apps.core.ids import uuid7
from apps.core.tenancy import enter
from apps.llms import calls, client
from apps.llms.budgets import Amount, Payer
from apps.llms.calls import Ask, Outcome, Prepared
from apps.llms.connections import ProviderConnection, connect
from apps.llms.dialects import memory_of
from apps.llms.errors import ProviderError, RefusedError, TransientError
from apps.llms.ledger import Attempt
from apps.llms.models import Batch, BatchCall, BatchState, LLMAttempt, Provider
from apps.llms.texts import clean
from apps.llms.wire import Reply, Request

MOST_CALLS: Final = 1000  # in one batch: their answers must fit into one file
WINDOW: Final = timedelta(hours=26)  # the provider's day, and some time to fetch the answers
IN_HAND: Final = timedelta(minutes=5)  # longer than one look at a batch takes
EVERY: Final = timedelta(seconds=30)  # between looks at a batch that is not done
LONGEST_REST: Final = timedelta(minutes=15)
MOST_FAILURES: Final = 50  # looks in a row that came to nothing
_PAGE: Final = 200
_PATH: Final = "/v1/chat/completions"
_OVER: Final = {"completed", "expired", "cancelled", "failed"}


@transaction.atomic
def order(asks: Sequence[Ask]) -> list[Prepared]:
    """Prepare the calls, and write those that are neither known nor in flight into batches.

    These are in flight then. Raises ``BudgetReachedError`` as ``calls.prepare``.
    """
    prepared = calls.prepare(asks)
    missing = [one for one in prepared if one.hit is None and not one.is_busy]
    for _, of_model in groupby(sorted(missing, key=_model), key=_model):
        while page := list(islice(of_model, MOST_CALLS)):
            _write(page)
    return [one if one.hit else replace(one, is_busy=True) for one in prepared]


def open_batches(job_id: UUID) -> int:
    """How many batches of the job are not answered yet."""
    return Batch.objects.filter(job_id=job_id, next_look_at__isnull=False).count()


def look_after(organization_id: UUID, batch_id: UUID) -> bool:
    """Take the batch a step further, unless somebody else does so; whether it was ours to do."""
    with enter(organization_id):
        batch = _take(batch_id)
        if batch is None:
            return False
        try:
            connection = connect(provider=batch.provider, model=batch.model)
        except ProviderError as error:
            _give_up(batch, error)
            return True
        lines = _lines(batch, connection) if batch.state == BatchState.WAITING else b""
    try:
        found = asyncio.run(_step(batch, connection, lines))
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


@dataclass(frozen=True, slots=True)
class _Found:
    """What a step came to: a name, or the answers by attempt; neither while it is in progress."""

    remote_id: str | None = None
    answers: Mapping[str, Mapping[str, Any]] | None = None


# --- Writing it down -----------------------------------------------------------------------------


def _model(prepared: Prepared) -> tuple[UUID, str]:
    connection = prepared.ask.connection
    return connection.provider_id, connection.model


def _write(prepared: Sequence[Prepared]) -> None:
    ask = prepared[0].ask
    batch = Batch.objects.create(
        id=uuid7(),
        provider_id=ask.connection.provider_id,
        model=ask.connection.model,
        job_id=ask.job_id,
        next_look_at=timezone.now(),
    )
    BatchCall.objects.bulk_create(
        [
            BatchCall(
                batch=batch,
                attempt_id=one.attempt.id,
                workspace_id=one.ask.workspace_id,
                seq=one.ask.seq,
                attempt=one.ask.attempt,
                request=json.loads(orjson.dumps(asdict(one.ask.request))),
            )
            for one in prepared
        ]
    )
    # The sweep over abandoned calls is to leave them alone for so long.
    opened = LLMAttempt.objects.filter(id__in=[one.attempt.id for one in prepared])
    opened.update(inserted_at=timezone.now() + WINDOW)


def _take(batch_id: UUID) -> Batch | None:
    """The batch, if it is due; for the others it is in hand then."""
    now = timezone.now()
    taken = Batch.objects.filter(id=batch_id, next_look_at__lte=now)
    if not taken.update(next_look_at=now + IN_HAND):
        return None
    batch = Batch.objects.select_related("provider").get(id=batch_id)
    if batch.state == BatchState.WAITING:
        Batch.objects.filter(id=batch_id).update(tries=batch.tries + 1)
    return batch


def _note_sent(batch: Batch, remote_id: str) -> None:
    Batch.objects.filter(id=batch.id).update(
        state=BatchState.SENT,
        remote_id=remote_id,
        failures=0,
        next_look_at=timezone.now() + EVERY,
    )


def _fail(batch: Batch, error: ProviderError) -> None:
    """Look again later after what may pass; after anything else nobody will."""
    failures = batch.failures + 1
    if not isinstance(error, TransientError) or failures > MOST_FAILURES:
        _give_up(batch, error)
        return
    rest = max(min(EVERY * 2**failures, LONGEST_REST), timedelta(seconds=error.seconds or 0))
    Batch.objects.filter(id=batch.id).update(
        failures=failures, error=error.message[:600], next_look_at=timezone.now() + rest
    )


def _give_up(batch: Batch, error: ProviderError) -> None:
    """Settle what is left as failed, so that it may be asked for in another way."""
    while rows := list(BatchCall.objects.filter(batch=batch)[:_PAGE]):
        _settle(batch, None, rows, {}, error)
    Batch.objects.filter(id=batch.id).update(
        state=BatchState.FAILED, error=error.message[:600], next_look_at=None
    )


# --- The provider --------------------------------------------------------------------------------


async def _step(batch: Batch, connection: ProviderConnection, lines: bytes) -> _Found:
    async with client.closing():
        if batch.state == BatchState.WAITING:
            known = await _find(connection, batch) if batch.tries else None
            return _Found(remote_id=known or await _hand_in(connection, batch, lines))
        document = await client.fetch(connection, "GET", f"/batches/{batch.remote_id}")
        if document.get("status") not in _OVER:
            return _Found(remote_id=batch.remote_id)
        answers: dict[str, Mapping[str, Any]] = {}
        for name in ("error_file_id", "output_file_id"):
            if document.get(name):
                answers.update(await _download(connection, str(document[name])))
        return _Found(answers=answers)


async def _find(connection: ProviderConnection, batch: Batch) -> str | None:
    """The provider's name of a batch that was handed in before, if it was."""
    document = await client.fetch(connection, "GET", "/batches?limit=100")
    for row in document.get("data") or []:
        about = row.get("metadata") if isinstance(row, dict) else None
        if isinstance(about, dict) and about.get("batch") == str(batch.id):
            return str(row["id"])
    return None


async def _hand_in(connection: ProviderConnection, batch: Batch, lines: bytes) -> str:
    file = await client.fetch(
        connection,
        "POST",
        "/files",
        body={"purpose": "batch"},
        files={"file": (f"{batch.id}.jsonl", lines, "application/jsonl")},
    )
    document = await client.fetch(
        connection,
        "POST",
        "/batches",
        body={
            "input_file_id": file.get("id"),
            "endpoint": _PATH,
            "completion_window": "24h",
            "metadata": {"batch": str(batch.id)},
        },
    )
    if not isinstance(document.get("id"), str) or len(document["id"]) > 200:
        raise RefusedError("The provider gave the batch no name.")
    return str(document["id"])


async def _download(connection: ProviderConnection, file_id: str) -> dict[str, Mapping[str, Any]]:
    """The lines of a file of answers, by the attempt they belong to."""
    content = await client.fetch_bytes(connection, f"/files/{file_id}/content")
    found: dict[str, Mapping[str, Any]] = {}
    for line in content.splitlines():
        try:
            row = orjson.loads(line)
        except ValueError:
            continue  # a line cut off: its call is settled as unanswered
        if isinstance(row, dict) and isinstance(row.get("custom_id"), str):
            found[row["custom_id"]] = row
    return found


def _lines(batch: Batch, connection: ProviderConnection) -> bytes:
    """The file that is handed in: one call a line."""
    dialect = memory_of(connection).dialect
    rows = BatchCall.objects.filter(batch=batch).order_by("attempt_id")
    return b"\n".join(
        orjson.dumps(
            {
                "custom_id": str(row.attempt_id),
                "method": "POST",
                "url": _PATH,
                "body": dialect.body(_request(row)),
            }
        )
        for row in rows
    )


# --- Settling ------------------------------------------------------------------------------------


def _settle_all(
    organization_id: UUID,
    batch: Batch,
    connection: ProviderConnection,
    answers: Mapping[str, Mapping[str, Any]],
) -> None:
    unanswered = TransientError("The batch ended without an answer to this call.")
    while True:
        with enter(organization_id):
            rows = list(BatchCall.objects.filter(batch=batch).order_by("attempt_id")[:_PAGE])
            if not rows:
                Batch.objects.filter(id=batch.id).update(
                    state=BatchState.DONE, error=None, next_look_at=None
                )
                return
            _settle(batch, connection, rows, answers, unanswered)


def _settle(
    batch: Batch,
    connection: ProviderConnection | None,
    rows: Sequence[BatchCall],
    answers: Mapping[str, Mapping[str, Any]],
    otherwise: ProviderError,
) -> None:
    """Book the calls and forget them, in the caller's transaction."""
    outcomes = []
    for prepared in _prepared(batch, connection, rows):
        row = answers.get(str(prepared.attempt.id))
        reply, error = _read(prepared.ask, row) if row else (None, otherwise)
        outcomes.append(Outcome(prepared, reply=reply, error=error))
    calls.settle(outcomes)
    ids = [row.attempt_id for row in rows]
    BatchCall.objects.filter(batch=batch, attempt_id__in=ids).delete()


def _prepared(
    batch: Batch, connection: ProviderConnection | None, rows: Sequence[BatchCall]
) -> Iterator[Prepared]:
    """The calls as they were prepared, those whose attempt is still open."""
    opened = {
        row.id: row for row in LLMAttempt.objects.filter(id__in=[one.attempt_id for one in rows])
    }
    known = connection or _closed(batch.provider, batch.model)
    for row in rows:
        attempt = opened.get(row.attempt_id)
        if attempt is None:
            continue
        ask = Ask(known, _request(row), batch.job_id, row.workspace_id, row.seq, row.attempt)
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


def _read(ask: Ask, row: Mapping[str, Any]) -> tuple[Reply | None, ProviderError | None]:
    response = row.get("response")
    body = response.get("body") if isinstance(response, dict) else None
    if not isinstance(response, dict) or not isinstance(body, dict):
        return None, TransientError("The batch holds no answer to this call.")
    status = response.get("status_code")
    if status != 200:
        about = body.get("error")
        message = about.get("message") if isinstance(about, dict) else None
        return None, RefusedError(clean(str(message or f"Status {status}"))[:500])
    try:
        return client.read_reply(ask.connection, ask.request, body), None
    except ProviderError as error:
        return None, error


def _closed(provider: Provider, model: str) -> ProviderConnection:
    """A connection for the books alone: nothing is sent through it."""
    return ProviderConnection(
        organization_id=provider.organization_id or provider.id,
        provider_id=provider.id,
        provider=provider.name,
        model_id=provider.id,
        model=model,
        base_url=provider.base_url,
        api_key="",
    )


def _request(row: BatchCall) -> Request:
    values = dict(row.request)
    return Request(**{**values, "messages": tuple(values["messages"])})
