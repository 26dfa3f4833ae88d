"""The words of a record: what is searched, and what a text model reads."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from apps.datasets.models import Field, FieldType

# A search document may hold 1 MB; a word has at most four bytes a character.
MAX_SEARCHABLE = 100_000
# PostgreSQL's parser takes what these join (addresses, paths, compounds, tags) for one word.
JOINERS: Final = "/@-<>&"
# Characters of scripts that are written without blanks, each with its marks: Han, kana, Thai. Of a
# run of them the parser makes one word, too. Korean has blanks, and ``*`` finds its words with what
# they end in. The expression means the same to Python and to PostgreSQL.
UNSPACED: Final = (
    r"[\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
    r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U000323af]"
    r"[\u3099\u309a]?"
    r"|[\u0e01-\u0e30\u0e32\u0e33\u0e40-\u0e46][\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]*"
)
_UNSPACED: Final = re.compile(UNSPACED)


def searchable_text(fields: Mapping[str, Any], shape: Mapping[str, Field]) -> str:
    """Text, chat and custom fields joined by line ends; images have no words."""
    return "\n".join(text for _, text in field_texts(fields, shape))[:MAX_SEARCHABLE]


def words_apart(text: str, gap: str = " ") -> str:
    """The text for PostgreSQL's parser: ``he/she`` are two words, and so are ``東京``.

    Around characters like the latter, ``gap`` is put in; without it the text is as long as it was.
    """
    for joiner in JOINERS:
        text = text.replace(joiner, " ")
    return text if text.isascii() else _UNSPACED.sub(rf"{gap}\g<0>{gap}", text)


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
