"""Words looked for in the records of one dataset."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from apps.core.errors import InvalidError
from apps.datasets.models import FieldType
from apps.datasets.schema import DatasetSchema
from apps.records.search_document import field_weights
from apps.records.text import JOINERS, UNSPACED
from apps.search.conditions import Condition
from apps.search.query import Words
from apps.search.text import matches_all, to_tsquery_text

_IN_DOCUMENT: Final = (
    "r.id IN (SELECT record_id"
    " FROM rank_documents(%(words_dataset)s, %(words)s::text, NULL, 0, NULL))"
)
_IN_FIELD: Final = (
    "numnode(to_tsquery('simple', %(words)s::text)) > 0 AND"
    " jsonb_to_tsvector('simple', regexp_replace("
    f"translate((r.fields -> %(words_field)s::text)::text, '{JOINERS}', '{' ' * len(JOINERS)}'),"
    rf" '{UNSPACED}', ' \& ', 'g')"
    "::jsonb, %(words_kinds)s::jsonb) @@ to_tsquery('simple', %(words)s::text)"
)


@dataclass(frozen=True, slots=True)
class WordQuery:
    """``text`` is for ``to_tsquery``; without a word in it nothing matches.

    ``field`` is named only where no weight tells its words from those of other fields. Then the
    field is split again, record by record, which takes some 20 µs each and gives no score.
    """

    text: str
    dataset_id: UUID
    field: str | None = None
    kinds: str = "[]"

    @property
    def is_ranked(self) -> bool:
        return self.field is None

    def condition(self) -> Condition:
        if self.field is None:
            return Condition(_IN_DOCUMENT, {"words": self.text, "words_dataset": self.dataset_id})
        facts = {"words": self.text, "words_field": self.field, "words_kinds": self.kinds}
        return Condition(_IN_FIELD, facts)


def word_query(schema: DatasetSchema, words: Words) -> WordQuery | None:
    """None for a lone asterisk, which every record matches. Raises ``InvalidError``."""
    dataset_id, name = schema.dataset.id, words.field
    if name is not None and name not in schema.fields:
        raise InvalidError(f"Field `{name}` not found in dataset `{dataset_id}`.")
    if matches_all(words.typed):
        return None
    weights = field_weights(schema.fields)
    if name is None or set(weights) == {name}:
        return WordQuery(to_tsquery_text(words.typed), dataset_id)
    if name not in weights:  # a picture has no words
        return WordQuery("", dataset_id)
    if list(weights.values()).count(weights[name]) == 1:
        return WordQuery(to_tsquery_text(words.typed, weight=weights[name]), dataset_id)
    custom = schema.fields[name].type == FieldType.CUSTOM
    kinds = '["all"]' if custom else '["string"]'
    return WordQuery(to_tsquery_text(words.typed), dataset_id, name, kinds)
