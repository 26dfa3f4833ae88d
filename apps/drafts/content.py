"""What a draft says, as far as sameness goes."""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from apps.core.documents import encode
from apps.datasets.schema import DatasetSchema
from apps.records.text import field_texts


def content_digest(fields: Mapping[str, Any], key: str = "") -> str:
    """64 hexadecimal digits; equal for texts that differ in case, spacing or width alone.

    ``key`` tells apart what says the same and yet is not, as two models' equal answers.
    """
    said = {name: _folded(value) for name, value in sorted(fields.items())}
    return sha256(encode([said, key])).hexdigest()


def compared_text(
    fields: Mapping[str, Any], schema: DatasetSchema, names: Sequence[str] = ()
) -> str:
    """The words that are compared with other drafts': of all fields, or of the named ones."""
    texts = field_texts(fields, schema.fields)
    return "\n".join(text for name, text in texts if not names or name in names)


def fold(text: str) -> str:
    """The text without case, width and runs of spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def same(one: Any, other: Any) -> bool:
    """Whether they are the same JSON, in which 1 is not true."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _folded(value: Any) -> Any:
    if isinstance(value, str):
        return fold(value)
    if isinstance(value, list):
        return [_folded(one) for one in value]
    if isinstance(value, Mapping):
        return {str(name): _folded(one) for name, one in sorted(value.items())}
    return value
