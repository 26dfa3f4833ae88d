"""The words of a record: what is searched, and what a text model reads."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from apps.datasets.models import Field, FieldType

# A search document may hold 1 MB; a word has at most four bytes a character.
MAX_SEARCHABLE = 100_000
# PostgreSQL's parser takes what these join (addresses, paths, compounds, tags) for one word.
JOINERS: Final = "/@-<>"


def searchable_text(fields: Mapping[str, Any], shape: Mapping[str, Field]) -> str:
    """Text, chat and custom fields joined by line ends; images have no words."""
    return "\n".join(text for _, text in field_texts(fields, shape))[:MAX_SEARCHABLE]


def words_apart(text: str) -> str:
    """The text for PostgreSQL's parser, as long as it was: ``he/she`` are two words."""
    for joiner in JOINERS:
        text = text.replace(joiner, " ")
    return text


def field_texts(fields: Mapping[str, Any], shape: Mapping[str, Field]) -> Iterator[tuple[str, str]]:
    """``(name, text)`` of each field that has words, in the record's order."""
    for name, value in fields.items():
        field = shape.get(name)
        if field is None or value is None or not has_words(field):
            continue
        if isinstance(value, str):
            yield name, value
        elif field.type == FieldType.CHAT:
            yield name, "\n".join(f"{turn['role']}: {turn['content']}" for turn in value)
        else:
            yield name, json.dumps(value, ensure_ascii=False)


def has_words(field: Field) -> bool:
    return field.type != FieldType.IMAGE
