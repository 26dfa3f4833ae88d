"""The search document of a record: its words, each with a weight that says in which field it is.

A tsvector knows four weights. The first three fields with words have one of their own; all later
ones share the last. A lexeme of the dataset itself stands beside the words, so that one shared
index serves small datasets at their own cost; words can never look like it, since PostgreSQL's
parser splits at a colon.
"""

from collections.abc import Mapping
from typing import Any, Final

from apps.datasets.models import Field
from apps.records.text import MAX_SEARCHABLE, field_texts, has_words, words_apart

DATASET_LEXEME: Final = "ds:{}"
WEIGHTS: Final = "ABCD"

# The texts of a record as columns of a stage, as given ones, and the document made of them.
BODIES: Final = ", ".join(f"body_{weight} text" for weight in WEIGHTS.lower())
GIVEN_BODIES: Final = ", ".join(f"%({w})s::text AS body_{w.lower()}" for w in WEIGHTS)
DOCUMENT: Final = " || ".join(
    [
        f"CASE WHEN body_{weight} IS NULL THEN ''"
        f" ELSE setweight(to_tsvector('simple', body_{weight}), '{weight.upper()}') END"
        for weight in WEIGHTS.lower()
    ]
    + ["array_to_tsvector(ARRAY[%(lexeme)s])"]
)


def field_weights(shape: Mapping[str, Field]) -> dict[str, str]:
    """The weight of each field with words."""
    names = [name for name, field in shape.items() if has_words(field)]
    return {name: WEIGHTS[min(n, len(WEIGHTS) - 1)] for n, name in enumerate(names)}


class Bodies:
    """Splits records of one shape into the texts of a stage."""

    def __init__(self, shape: Mapping[str, Field]) -> None:
        self.shape = shape
        self.weights = field_weights(shape)

    def of(self, fields: Mapping[str, Any] | None) -> list[str | None]:
        """The text of each weight; together at most ``MAX_SEARCHABLE`` characters."""
        texts: dict[str, str] = {}
        left = MAX_SEARCHABLE
        for name, text in field_texts(fields or {}, self.shape):
            weight = self.weights[name]
            taken = text[:left]
            apart = words_apart(taken)
            texts[weight] = f"{texts[weight]}\n{apart}" if weight in texts else apart
            left -= len(taken)
        return [texts.get(weight) for weight in WEIGHTS]
