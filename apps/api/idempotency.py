"""The header ``Idempotency-Key``: a write that is sent again is answered again, not done again."""

import hashlib
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.response import Response as ApiResponse

from apps.api.errors import InvalidRequestError
from apps.api.http import IDEMPOTENCY_KEY
from apps.organizations.idempotency import Outcome, keep, recall

if TYPE_CHECKING:
    from apps.api.views import ApiRequest

REPLAYED: Final = "Idempotent-Replayed"
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


def once(request: "ApiRequest", answer: Callable[[], ApiResponse]) -> HttpResponseBase:
    """The answer, or the one that was given under the same key in the last 24 hours.

    Only what succeeded is kept; a failure is rolled back and may be tried again under its key.
    Raises ``InvalidRequestError`` for a key that is none.
    """
    key = request.headers[IDEMPOTENCY_KEY]
    if not _KEY.fullmatch(key):
        msg = "A key has 1 to 255 visible ASCII characters"
        raise InvalidRequestError.at("header", IDEMPOTENCY_KEY, type="value_error", msg=msg)
    fingerprint = _fingerprint(request)
    known = recall(member=request.user, key=key, fingerprint=fingerprint)
    if known is not None:
        return _replayed(known)
    given = answer()
    if given.status_code < 300 and not given.streaming:
        outcome = Outcome(given.status_code, given.content.decode())
        keep(member=request.user, key=key, fingerprint=fingerprint, outcome=outcome)
    return given


def _fingerprint(request: "ApiRequest") -> str:
    """SHA-256 of method, address and body."""
    asked = "\n".join((str(request.method), request.get_full_path(), request.body_digest))
    return hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()


def _replayed(known: Outcome) -> HttpResponse:
    response = HttpResponse(known.body, status=known.status, content_type="application/json")
    response[REPLAYED] = "true"
    response["Cache-Control"] = "no-store"
    return response
