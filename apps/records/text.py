"""The words of a record: what is searched, and what a text model reads."""

import json
from collections.abc import Mapping
from typing import Any

from apps.datasets.models import Field, FieldType

# A search document may hold 1 MB; a word has at most four bytes a character.
MAX_SEARCHABLE = 100_000


def searchable_text(fields: Mapping[str, Any], shape: Mapping[str, Field]) -> str:
    """Text, chat and custom fields joined by line ends; images have no words."""
    parts = []
    for name, value in fields.items():
        field = shape.get(name)
        if field is None or value is None or field.type == FieldType.IMAGE:
            continue
        if isinstance(value, str):
            parts.append(value)
        elif field.type == FieldType.CHAT:
            parts += [f"{turn['role']}: {turn['content']}" for turn in value]
        else:
            parts.append(json.dumps(value, ensure_ascii=False))
    return "\n".join(parts)[:MAX_SEARCHABLE]
