"""Refusals and failures, in the words of the protocol."""

import time
from collections import defaultdict, deque
from email.utils import formatdate

from tests.llm_server.answers import seeded
from tests.llm_server.http import Answer
from tests.llm_server.settings import Settings

WINDOW = 60.0


def error(status: int, message: str, *, code: str | None = None, **headers: str) -> Answer:
    """An answer with the protocol's error object."""
    content = {"error": {"message": message, "type": "error", "param": None, "code": code}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, content, named)


def too_many(settings: Settings, wait: float | None, status: int = 429) -> Answer:
    """429 or 503 with the time to wait in the form that was set."""
    if wait is None:
        return error(status, "Too many requests.", code="rate_limit_exceeded")
    forms = {
        "seconds": {"retry_after": str(max(0, round(wait)))},
        "date": {"retry_after": formatdate(time.time() + wait, usegmt=True)},
        "ms": {"retry_after_ms": str(round(wait * 1000))},
    }
    headers = forms[settings.retry_after_form]
    return error(status, "Too many requests.", code="rate_limit_exceeded", **headers)


def failing(settings: Settings, digest: bytes, attempt: int) -> str | None:
    """The failure of this attempt: by seed, body and number, whatever the order of calls."""
    if settings.failures_per_body is not None and attempt > settings.failures_per_body:
        return None
    if settings.failure_rate <= 0:
        return None
    chance = seeded(settings.seed, digest.hex(), attempt)
    return chance.choice(settings.failures) if chance.random() < settings.failure_rate else None


def failure(kind: str, settings: Settings) -> Answer:
    """How a failure looks from outside; ``lost_answer`` is billed before the line breaks."""
    if kind == "rate_limit":
        return too_many(settings, settings.retry_after)
    if kind == "overloaded":
        return too_many(settings, settings.retry_after, status=503)
    if kind == "server_error":
        return error(500, "The server had an error while processing your request.")
    if kind == "hang":
        return Answer(delay=settings.hang_seconds, ending="reset")
    return Answer(ending="reset")


class Windows:
    """Calls and tokens of the last minute, by key."""

    def __init__(self) -> None:
        self.past: dict[str, deque[tuple[float, int]]] = defaultdict(deque)

    def wait(self, key: str, tokens: int, settings: Settings) -> float | None:
        """Seconds until there is room, None (and the call is counted) when there is now."""
        if settings.rpm is None and settings.tpm is None:
            return None
        now, past = time.monotonic(), self.past[key]
        while past and past[0][0] <= now - WINDOW:
            past.popleft()
        is_full = settings.rpm is not None and len(past) >= settings.rpm
        spent = sum(count for _, count in past)
        is_full |= settings.tpm is not None and spent + tokens > settings.tpm
        if is_full:
            return past[0][0] + WINDOW - now if past else WINDOW
        past.append((now, tokens))
        return None
