"""From what was asked to what is looked for: which vector, from which cosine on."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from apps.core.errors import InvalidError
from apps.datasets.models import VectorSettings
from apps.datasets.schema import DatasetSchema
from apps.records.models import Record, RecordVector
from apps.search.asked import BOTH, CLOSE, MEANING, WORDS, Asked
from apps.search.matching import Matcher, Near, unit
from apps.search.query import Viewpoint, Words
from apps.search.text import matches_all


def phrase_settings(schema: DatasetSchema, dimensions: int) -> VectorSettings | None:
    """The vector that phrases can be compared with: the only one of the model's length."""
    found = [one for one in schema.vectors.values() if one.dimensions == dimensions]
    return found[0] if len(found) == 1 else None


def mode_of(asked: Asked, *, can_embed: bool) -> str:
    """How the phrase is looked for: with a record to be like, by its words alone."""
    if asked.like is not None or not can_embed:
        return WORDS
    return asked.mode or BOTH


def matcher_for(
    schema: DatasetSchema,
    asked: Asked,
    me: UUID,
    viewpoint: Viewpoint,
    *,
    phrase: Sequence[float] | None = None,
    upto: UUID | None = None,
) -> Matcher:
    """All that was asked; ``phrase`` is the vector of ``q``, None to look for words alone.

    Raises ``InvalidError`` for a record that is gone or has no such vector.
    """
    typed = asked.q and not matches_all(asked.q)
    mode = mode_of(asked, can_embed=phrase is not None)
    words = Words(asked.q) if typed and mode != MEANING else None
    near = _near_record(schema, asked, asked.like) if asked.like else None
    if near is None and phrase is not None and typed and mode != WORDS:
        near = _near_phrase(schema, asked, phrase)
    return Matcher(
        schema,
        list(asked.filters(me)),
        words,
        near,
        either=mode == BOTH,
        viewpoint=viewpoint,
        upto=upto,
    )


def _near_phrase(schema: DatasetSchema, asked: Asked, phrase: Sequence[float]) -> Near:
    """Never nothing: without a likeness every record would match."""
    settings = phrase_settings(schema, len(phrase))
    if settings is None:
        raise InvalidError(_("This dataset has no vector any more that a phrase is compared with."))
    return Near(settings, unit(phrase), CLOSE if asked.cosine is None else asked.cosine)


def _near_record(schema: DatasetSchema, asked: Asked, record_id: UUID) -> Near:
    record = Record.objects.filter(dataset=schema.dataset, id=record_id).first()
    if record is None:
        raise InvalidError(_("The record to be like was deleted."))
    settings, vector = _vector_of(schema, record, asked.vector)
    bound = asked.cosine
    if bound is None:
        bound = 1.0 if asked.least else CLOSE
    return Near(settings, unit(vector), bound, asked.least, record.id)


def _vector_of(schema: DatasetSchema, record: Record, name: str) -> tuple[VectorSettings, Any]:
    """By name, or the first that the record has."""
    wanted = [one for one in schema.vectors.values() if name in {"", one.name}]
    stored = dict(
        RecordVector.objects.filter(record=record, settings__in=wanted).values_list(
            "settings_id", "embedding"
        )
    )
    for settings in wanted:
        if settings.id in stored:
            return settings, stored[settings.id]
    raise InvalidError(_("The record to be like has no vector that others could be compared with."))
