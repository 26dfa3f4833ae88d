"""Entity tags of settings: a reader learns that nothing changed, a writer that something did.

A tag is strong: it stands for the whole document, or for what of it people set. Without
``If-Match`` a write goes through as ever.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import orjson
from django.utils.http import parse_etags
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response as ApiResponse

from apps.api import wire

IF_MATCH: Final = "If-Match"
IF_NONE_MATCH: Final = "If-None-Match"
_LENGTH: Final = 32  # hexadecimal digits


class PreconditionFailedError(APIException):
    status_code = 412
    default_detail = "The object was changed meanwhile: its ETag is no longer that of If-Match."


def etag_of(document: Mapping[str, Any]) -> str:
    """The quoted tag; the order of keys does not count, since the database has its own."""
    plain = orjson.loads(wire.write(document))
    canonical = orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)
    return f'"{hashlib.sha256(canonical).hexdigest()[:_LENGTH]}"'


def tagged(document: Mapping[str, Any], *, status: int = 200) -> ApiResponse:
    """The document with its tag."""
    return ApiResponse(document, status=status, headers={"ETag": etag_of(document)})


def tagged_unless_known(
    request: Request, document: Mapping[str, Any], *, of: Mapping[str, Any] | None = None
) -> ApiResponse:
    """The document, or 304 for a reader who named its tag in ``If-None-Match``.

    ``of``: what the tag stands for, where the document also shows what moves by itself.
    """
    tag = etag_of(of or document)
    known = parse_etags(request.headers.get(IF_NONE_MATCH, ""))
    if "*" in known or tag in (one.removeprefix("W/") for one in known):
        return ApiResponse(status=304, headers={"ETag": tag})
    return ApiResponse(document, headers={"ETag": tag})


def check_match(request: Request, document: Mapping[str, Any]) -> None:
    """Raise ``PreconditionFailedError`` if ``If-Match`` names other tags than the document's.

    The caller holds the document's rows.
    """
    if IF_MATCH not in request.headers:
        return
    wanted = parse_etags(request.headers[IF_MATCH])
    if "*" not in wanted and etag_of(document) not in wanted:
        raise PreconditionFailedError
