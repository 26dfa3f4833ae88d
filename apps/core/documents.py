"""JSON documents as bytes, quickly."""

import json
from collections.abc import Callable
from typing import Any

import orjson

_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_SERIALIZE_NUMPY  # vectors are arrays


def encode(document: object, default: Callable[[Any], Any] | None = None) -> bytes:
    """Compact UTF-8; ``default`` turns what JSON does not know into what it does.

    PostgreSQL gives numbers such as 1e30 back as integers of any length, which only the slower
    encoder of the standard library can write.
    """
    try:
        return orjson.dumps(document, default=default, option=_OPTIONS)
    except TypeError:
        return json.dumps(
            document, default=default or str, ensure_ascii=False, separators=(",", ":")
        ).encode()
