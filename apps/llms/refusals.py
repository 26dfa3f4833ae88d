"""From what went wrong on the wire to the errors of this app."""

import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

import httpx2

from apps.core.outbound import ForbiddenAddressError, UnreachableError
from apps.llms.errors import (
    LONGEST_WAIT,
    CredentialError,
    ProviderError,
    QuotaError,
    RateLimitedError,
    RefusedError,
    SetupError,
    TransientError,
)
from apps.llms.texts import clean
from apps.llms.transport import OversizeError

if TYPE_CHECKING:
    import openai

_LONGEST: Final = 500  # characters of a provider's message that are passed on
_NO_CREDIT: Final = ("insufficient_quota", "billing", "deactivated", "credit_balance")
_NO_CREDIT_WORDS: Final = ("credit balance is too low", "insufficient balance")  # with a 400
# About what was sent; a 403 is else about who sent it.
_MODERATED: Final = (
    *("moderation", "input was flagged", "prompt was flagged", "content was flagged"),
    *("content policy", "content_policy", "content_filter"),
)
_TRANSIENT: Final = {408, 409, 425}
# What a call may end with when there is no answer, beside an error of the OpenAI client.
BROKEN: Final = (
    *(httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError),
    *(ForbiddenAddressError, UnreachableError, OversizeError),
)


class AnsweredError(Exception):
    """A status that is no success, with what the provider says of it; ``meaning`` is its error."""

    def __init__(self, status: int, message: str, code: str, param: str, meaning: ProviderError):
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.meaning = meaning


def answered(error: "openai.APIStatusError", *, secret: str) -> AnsweredError:
    """The provider's refusal, its words without our key."""
    status, headers = error.status_code, error.response.headers
    details = error.body if isinstance(error.body, Mapping) else {}
    code = f"{details.get('code') or ''} {details.get('type') or ''}".lower()
    message = str(details.get("message") or error.response.text or error.message)
    if secret:
        message = message.replace(secret, "…")
    message = f"{status}: {clean(message)[:_LONGEST]}"
    meaning = _meaning(status, message, code, headers)
    return AnsweredError(status, message, code, str(details.get("param") or ""), meaning)


def broken(error: Exception) -> ProviderError:
    """What it means that there was no answer at all."""
    import openai

    for cause in _causes(error):
        if isinstance(cause, ForbiddenAddressError):
            return SetupError(cause.message)
        if isinstance(cause, OversizeError):
            return RefusedError(str(cause))
        if isinstance(cause, ssl.SSLCertVerificationError):
            return SetupError(f"The server's certificate is not valid: {cause.verify_message}.")
        if isinstance(cause, UnreachableError):
            return TransientError(cause.message)
    if isinstance(error, openai.APITimeoutError | TimeoutError):
        return TransientError("There was no complete answer in time.")
    if isinstance(error, openai.APIConnectionError | httpx2.TransportError | OSError):
        cause = error.__cause__ or error
        detail = clean(str(cause))[:_LONGEST]
        return TransientError(f"The connection failed ({type(cause).__name__}): {detail}")
    return SetupError(clean(str(error))[:_LONGEST])


def told_to_wait(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds that ``retry-after-ms`` or ``Retry-After`` (seconds or a date) ask for; None: none.

    At most ``LONGEST_WAIT``; no time at all, or one that is over, is none.
    """
    seconds = _number(headers.get("retry-after-ms"))
    if seconds is not None:
        seconds /= 1000
    else:
        said = headers.get("retry-after")
        seconds = _number(said)
        if seconds is None and said:
            seconds = _until(said, now or datetime.now(UTC))
    return min(seconds, LONGEST_WAIT) if seconds is not None and seconds > 0 else None


def _meaning(status: int, message: str, code: str, headers: Mapping[str, str]) -> ProviderError:
    wait, told = told_to_wait(headers), f"{code} {message}".lower()
    if status == 402 or (status in (403, 429) and any(word in code for word in _NO_CREDIT)):
        return QuotaError(message)
    if status == 400 and any(word in told for word in _NO_CREDIT_WORDS):
        return QuotaError(message)
    if status == 403 and any(word in told for word in _MODERATED):
        return RefusedError(message)
    if status in (401, 403):
        return CredentialError(message)
    if status == 429:
        return RateLimitedError(message, wait)
    if status >= 500 or status in _TRANSIENT:
        return TransientError(message, wait)
    if status < 400:
        return SetupError(f"{message} Redirects are not followed.")
    return SetupError(message) if status in (404, 405) else RefusedError(message)


def _causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__


def _number(text: Any) -> float | None:
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if value == value else None


def _until(text: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - now).total_seconds()
