"""The name of a request's answer in the cache."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from apps.llms.connections import ProviderConnection
from apps.llms.wire import Request

VERSION: Final = 1
CHAT: Final = "chat"


def request_key(connection: ProviderConnection, request: Request) -> bytes:
    """SHA-256 over the request's canonical JSON; equal requests to one host have one key.

    The path below the host and the key of the account do not count.
    """
    return digest(canonical_json(connection, request))


def digest(document: bytes) -> bytes:
    return hashlib.sha256(document).digest()


def canonical_json(connection: ProviderConnection, request: Request) -> bytes:
    """Sorted names, no blanks, whole numbers without a point."""
    document: dict[str, Any] = {
        "v": VERSION,
        "endpoint": CHAT,
        "host": urlsplit(connection.base_url).netloc.lower(),
        "model": request.model,
        "messages": request.messages,
        "schema": _canonical_schema(_dumps(request.schema)),
        "temperature": _plain(request.temperature),
        "top_p": _plain(request.top_p),
        "max_tokens": request.max_tokens,
        "seed": request.seed,
        "sample_index": request.sample_index,
        "salt": request.salt,
    }
    return _dumps(document)


@lru_cache(maxsize=256)
def _canonical_schema(written: bytes) -> orjson.Fragment:
    """The schema, which a job's calls have in common."""
    return orjson.Fragment(_dumps(_plain(orjson.loads(written))))


def _dumps(value: Any) -> bytes:
    return orjson.dumps(value, default=_as_dict, option=orjson.OPT_SORT_KEYS)


def _plain(value: Any) -> Any:
    """The value with each whole float as an integer, and others to nine digits."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else round(value, 9)
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def _as_dict(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError
