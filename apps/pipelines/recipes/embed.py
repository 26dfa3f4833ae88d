"""Vectors of records from the built-in embedding: no model of a provider, no network.

What has vectors can be searched by likeness, and has neighbours (``retrieval``).
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field

from apps.annotation.ingest import log_records
from apps.core.errors import InvalidError
from apps.llms.wire import Request
from apps.pipelines.recipes import base
from apps.pipelines.recipes.base import Answered, Context, Payload
from apps.pipelines.recipes.materials import Source, check_text_fields, load_records
from apps.pipelines.recipes.records import RecordRecipe
from apps.quality.embeddings import DIMENSIONS, embed
from apps.records.inputs import RecordInput
from apps.records.models import Record

VECTORS = "vectors"


class Params(base.Params):
    """``vector`` is one of 256 dimensions; ``fields`` are embedded together, all without any."""

    vector: str
    fields: list[str] = Field(default_factory=list, max_length=50)


class Embed(RecordRecipe[Source | None, str]):
    """Writes each record's vector anew."""

    name: ClassVar[str] = "embed"
    title: ClassVar[str] = "Vectors of texts"
    Params: ClassVar[type[base.Params]] = Params
    write_modes: ClassVar[tuple[str, ...]] = (VECTORS,)

    def needs_model(self, params: Any) -> bool:
        return False

    def check(self, context: Context) -> None:
        params: Params = context.params
        check_text_fields(context.schema, params.fields)
        settings = context.schema.vectors.get(params.vector)
        if settings is None or settings.dimensions != DIMENSIONS:
            raise InvalidError(f"{params.vector!r} is no vector of {DIMENSIONS} dimensions.")

    def load(self, context: Context, payloads: Sequence[Payload]) -> list[Source | None]:
        return load_records(context, payloads)

    def requests(self, context: Context, material: Source | None) -> list[Request]:
        return []

    def parse(self, context: Context, material: Source | None, answers: list[Any]) -> str:
        """The words that are embedded."""
        if material is None:
            return ""
        names = context.params.fields or material.texts
        return "\n".join(material.texts[name] for name in names if name in material.texts)

    def write(self, context: Context, pairs: Sequence[Answered[Source | None, str]]) -> None:
        texts = {pair.material.id: pair.result for pair in pairs if pair.material is not None}
        rows = Record.objects.select_for_update(of=("self",)).filter(
            dataset=context.dataset, id__in=texts
        )
        records = list(rows.in_order().values_list("id", "external_id"))
        vectors = embed([texts[id] for id, _ in records])
        items = [
            RecordInput(
                id=id,
                external_id=external_id,
                sets_metadata=False,
                vectors={context.params.vector: vector},
            )
            for (id, external_id), vector in zip(records, vectors, strict=True)
        ]
        if items:
            log_records(dataset=context.dataset, items=items, schema=context.schema)
