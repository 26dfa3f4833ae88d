"""Where a request comes from."""

from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings

LONGEST: Final = 64  # characters


def client_address(meta: Mapping[str, Any]) -> str:
    """The peer's, or the one that the outermost of ``TRUSTED_PROXIES`` proxies has seen.

    ``meta`` is a request's ``META``; what a client forges before the proxies' part counts nothing.
    """
    forwarded = str(meta.get("HTTP_X_FORWARDED_FOR", "")).split(",")
    if 0 < settings.TRUSTED_PROXIES <= len(forwarded):
        return forwarded[-settings.TRUSTED_PROXIES].strip()[:LONGEST]
    return str(meta.get("REMOTE_ADDR", ""))[:LONGEST]
