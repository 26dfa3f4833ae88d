"""What is said to a provider about batches: handing one in, asking for it, stopping it, reading it.

Nothing here writes to the database.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import orjson

from apps.llms import client
from apps.llms.calls import Ask
from apps.llms.connections import ProviderConnection
from apps.llms.dialects import memory_of
from apps.llms.errors import ProviderError, RefusedError, SetupError, TransientError
from apps.llms.models import Batch, BatchCall, BatchState
from apps.llms.texts import clean
from apps.llms.wire import Reply, Request

_PATH: Final = "/v1/chat/completions"
_MOST_PAGES: Final = 50  # of the provider's batches that are looked through
_OVER: Final = {"completed", "expired", "cancelled", "failed"}

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """What a step came to: a name, or the answers by attempt; neither while it is in progress."""

    remote_id: str | None = None
    answers: Mapping[str, Row] | None = None


async def step(batch: Batch, connection: ProviderConnection, lines: bytes) -> Found:
    """Hand the batch in, or ask for it; one that was withdrawn is stopped unless it is over.

    Raises an error of ``errors.py``.
    """
    if batch.withdrawn_at and not batch.was_begun:
        return Found(answers={})
    async with client.closing():
        if batch.state == BatchState.WAITING:
            known = await _find(connection, batch) if batch.tries else None
            if known is None and batch.withdrawn_at:
                return Found(answers={})  # it never got there
            return Found(remote_id=known or await _hand_in(connection, batch, lines))
        document = await client.fetch(connection, "GET", f"/batches/{batch.remote_id}")
        if document.get("status") not in _OVER:
            if batch.withdrawn_at and document.get("status") != "cancelling":
                await _cancel(connection, batch)
            return Found(remote_id=batch.remote_id)
        answers: dict[str, Row] = {}
        for name in ("error_file_id", "output_file_id"):
            if document.get(name):
                answers.update(await _download(connection, str(document[name])))
        return Found(answers=answers)


async def _find(connection: ProviderConnection, batch: Batch) -> str | None:
    """The provider's name of a batch that was handed in before, if it was; the newest first."""
    after = ""
    for _ in range(_MOST_PAGES):
        document = await client.fetch(connection, "GET", f"/batches?limit=100{after}")
        rows = [row for row in document.get("data") or [] if isinstance(row, dict)]
        for row in rows:
            about = row.get("metadata")
            if isinstance(about, dict) and about.get("batch") == str(batch.id):
                return str(row["id"])
        if not rows or not document.get("has_more"):
            return None
        after = f"&after={quote(str(rows[-1].get('id')))}"
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


async def _cancel(connection: ProviderConnection, batch: Batch) -> None:
    """Have it stopped; one that has just ended, or cannot be stopped, is waited for."""
    with suppress(RefusedError, SetupError):
        await client.fetch(connection, "POST", f"/batches/{batch.remote_id}/cancel", body={})


async def _download(connection: ProviderConnection, file_id: str) -> dict[str, Row]:
    """The lines of a file of answers, by the attempt they belong to."""
    content = await client.fetch_bytes(connection, f"/files/{file_id}/content")
    found: dict[str, Row] = {}
    for line in content.splitlines():
        try:
            row = orjson.loads(line)
        except ValueError:
            continue  # a line cut off: its call is settled as unanswered
        if isinstance(row, dict) and isinstance(row.get("custom_id"), str):
            found[row["custom_id"]] = row
    return found


def lines(batch: Batch, connection: ProviderConnection) -> bytes:
    """The file that is handed in: one call a line."""
    dialect = memory_of(connection).dialect
    rows = BatchCall.objects.filter(batch=batch).order_by("attempt_id")
    return b"\n".join(
        orjson.dumps(
            {
                "custom_id": str(row.attempt_id),
                "method": "POST",
                "url": _PATH,
                "body": dialect.body(request_of(row)),
            }
        )
        for row in rows
    )


def request_of(row: BatchCall) -> Request:
    values = dict(row.request)
    return Request(**{**values, "messages": tuple(values["messages"])})


def read(ask: Ask, row: Row) -> tuple[Reply | None, ProviderError | None]:
    """The answer in a line, or why there is none: a ``TransientError`` if nobody refused it."""
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
