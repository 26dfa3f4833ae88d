"""Data for retrieval: queries that a document answers, with documents that seem to but do not.

- Queries of several types by a model: Wang et al., 2024, arXiv:2401.00368; InPars (Bonifacio et
  al., 2022, arXiv:2202.05144). Each brings the passage that answers it, word for word, which is
  looked for in the document.
- Hard negatives are the records nearest to the query among the document's neighbours: ANCE (Xiong
  et al., 2020, arXiv:2007.00808). A model may be asked which of them answer the query after all
  (false negatives: Qu et al., 2020, arXiv:2010.08191), or write them itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from apps.core.errors import InvalidError
from apps.datasets.models import VectorSettings
from apps.drafts.content import fold
from apps.drafts.inputs import DraftInput
from apps.drafts.writing import write_drafts
from apps.llms.wire import Request
from apps.pipelines.blocks import data_block
from apps.pipelines.errors import InvalidAnswerError
from apps.pipelines.recipes import base
from apps.pipelines.recipes.base import NEW_RECORDS, Answered, Context, Payload
from apps.pipelines.recipes.materials import (
    Source,
    check_plain_fields,
    check_text_fields,
    find_target,
    load_records,
    read_records,
    target_schema,
)
from apps.pipelines.recipes.records import RecordRecipe
from apps.pipelines.recipes.writes import origin_of
from apps.pipelines.retrieval_sets import NEGATIVE, POSITIVE, QUERY
from apps.pipelines.schemas import closed
from apps.quality.embeddings import embed
from apps.records.models import RecordVector
from apps.search.similarity import nearest

NEIGHBOURS: Final = 40  # of a document, from which each query's negatives are chosen
Hard = Literal["neighbours", "written", "none"]


class Params(base.Params):
    """``queries`` a document, of ``types`` in turn; ``negatives`` each. ``vector`` names the
    records' vector that neighbours are found by; ``checked`` asks the model about them.
    ``target`` is a retrieval set (``retrieval_sets.create_retrieval_set``)."""

    document: str
    target: UUID
    queries: int = Field(default=3, ge=1, le=10)
    types: list[str] = Field(
        default=["question", "keywords", "how-to"], min_length=1, max_length=10
    )
    negatives: int = Field(default=3, ge=0, le=10)
    hard: Hard = "neighbours"
    vector: str | None = None
    checked: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """A record with its neighbours, ``near`` (n, 256) float32 their embeddings."""

    source: Source
    ids: Sequence[UUID] = ()
    texts: Sequence[str] = ()
    near: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 256), np.float32))


@dataclass(frozen=True, slots=True)
class Negative:
    """``id`` is None for one that was written; ``score`` is its similarity to the query."""

    id: UUID | None
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Query:
    text: str
    type: str
    quote: str
    score: float
    negatives: Sequence[Negative]


class Retrieval(RecordRecipe[Document | None, list[Query]]):
    """Queries for each document, each with its evidence and hard negatives."""

    name: ClassVar[str] = "retrieval"
    title: ClassVar[str] = "Retrieval set"
    paper: ClassVar[str] = "arXiv:2401.00368, arXiv:2007.00808, arXiv:2010.08191"
    Params: ClassVar[type[base.Params]] = Params
    write_modes: ClassVar[tuple[str, ...]] = (NEW_RECORDS,)

    def check(self, context: Context) -> None:
        params: Params = context.params
        check_text_fields(context.schema, [params.document])
        schema = target_schema(context, params.target)
        wanted = [NEGATIVE.format(n + 1) for n in range(_wanted(params))]
        check_plain_fields(schema, [QUERY, POSITIVE, *wanted])
        if params.hard == "neighbours" and params.negatives:
            _settings(context)

    def load(self, context: Context, payloads: Sequence[Payload]) -> list[Document | None]:
        params: Params = context.params
        sources = load_records(context, payloads)
        if params.hard != "neighbours" or not params.negatives:
            return [None if source is None else Document(source) for source in sources]
        return _with_neighbours(context, sources)

    def requests(self, context: Context, material: Document | None) -> list[Request]:
        params: Params = context.params
        if material is None or not material.source.texts.get(params.document):
            return []
        query = {
            "type": {"enum": list(dict.fromkeys(params.types))},
            "query": {"type": "string"},
            "answer_quote": {
                "type": "string",
                "description": "The passage of the document that answers it, word for word.",
            },
        }
        system = (
            "Write search queries that the document answers, such as people would type who do not "
            "know it: in words of their own, each about something else, of the types in turn. "
            "Copy for each the passage that answers it, exactly as it stands in the document."
        )
        if params.hard == "written" and params.negatives:
            query["hard_negative"] = {"type": "string"}
            system += (
                " Write for each a passage that looks as if it answered the query, being about "
                "the same things, and does not."
            )
        queries = {
            "type": "array",
            "items": closed(query),
            "minItems": 1,
            "maxItems": params.queries,
        }
        user = (
            f"{material.source.block(params.document, 'document')}\n\nWrite {params.queries} "
            f"queries, of these types in turn: {', '.join(params.types)}."
        )
        return [context.ask(user, system=system, schema=closed({"queries": queries}))]

    def follow_up(
        self, context: Context, material: Document | None, answers: list[Any]
    ) -> list[Request]:
        """The check of the negatives, a call a query; only for queries whose evidence holds."""
        params: Params = context.params
        if material is None or not params.checked or len(answers) != 1 or not len(material.texts):
            return []
        asked = _checked(context, material, answers[0])
        ranked = _candidates(context, material, [one["query"] for one in asked])
        return [
            _check(context, one["query"], [material.texts[n] for n, _ in places])
            for one, places in zip(asked, ranked, strict=True)
            if places
        ]

    def parse(self, context: Context, material: Document | None, answers: list[Any]) -> list[Query]:
        if material is None or not answers:
            return []
        asked = _checked(context, material, answers[0])
        ranked = _candidates(context, material, [one["query"] for one in asked])
        verdicts = iter(enumerate(answers[1:], start=1))
        params: Params = context.params
        texts = [one["query"] for one in asked]
        positive = embed([material.source.texts[params.document], *texts])
        queries = []
        for n, (one, places) in enumerate(zip(asked, ranked, strict=True)):
            kept = places
            if params.checked and places:
                kept = _irrelevant(places, *next(verdicts))
            negatives = _negatives(params, material, one, kept)
            score = float(positive[0] @ positive[n + 1])
            queries.append(Query(one["query"], one["type"], one["answer_quote"], score, negatives))
        return queries

    def write(
        self, context: Context, pairs: Sequence[Answered[Document | None, list[Query]]]
    ) -> None:
        params: Params = context.params
        target = find_target(context, params.target)
        drafts = [
            draft
            for pair in pairs
            if pair.material is not None
            for draft in _drafts(params, pair.seq, pair.material.source, pair.result)
        ]
        write_drafts(dataset=target, origin=origin_of(context, self.name), drafts=drafts)

    def shown(
        self, context: Context, material: Document | None, result: list[Query]
    ) -> dict[str, Any]:
        return {
            "record_id": str(material.source.id) if material else None,
            "value": [
                {
                    "query": one.text,
                    "type": one.type,
                    "answer_quote": one.quote,
                    "negatives": [negative.text for negative in one.negatives],
                }
                for one in result
            ],
        }


def _wanted(params: Params) -> int:
    """Negatives of a query; a model writes one."""
    if params.hard == "none":
        return 0
    return min(params.negatives, 1) if params.hard == "written" else params.negatives


def _settings(context: Context) -> VectorSettings:
    """The vector that neighbours are found by: the named one, or the only one."""
    vectors, name = context.schema.vectors, context.params.vector
    if name is None and len(vectors) == 1:
        return next(iter(vectors.values()))
    if name not in vectors:
        known = ", ".join(vectors) or "none"
        raise InvalidError(f"Neighbours need the name of a vector; this dataset has: {known}.")
    return vectors[name]


def _with_neighbours(context: Context, sources: Sequence[Source | None]) -> list[Document | None]:
    """The documents, each with the records nearest to it. One search a document."""
    settings, document = _settings(context), context.params.document
    present = [source.id for source in sources if source is not None]
    rows = RecordVector.objects.filter(settings=settings, record_id__in=present)
    vectors = dict(rows.values_list("record_id", "embedding"))
    near = {
        id: nearest(
            dataset=context.dataset,
            settings=settings,
            vector=vector,
            count=NEIGHBOURS,
            without=id,
        )
        for id, vector in vectors.items()
        if np.any(vector)
    }
    found = read_records(context, [id for hits in near.values() for id, _ in hits])
    texts = {id: source.texts.get(document, "") for id, source in found.items()}
    embedded = dict(zip(texts, embed(list(texts.values())), strict=True))
    return [
        None if source is None else _document(source, document, near, texts, embedded)
        for source in sources
    ]


def _document(
    source: Source,
    name: str,
    near: Mapping[UUID, Sequence[tuple[UUID, float]]],
    texts: Mapping[UUID, str],
    embedded: Mapping[UUID, NDArray[np.float32]],
) -> Document:
    """Neighbours that say the same as the document are no negatives."""
    own = fold(source.texts.get(name, ""))
    ids = [id for id, _ in near.get(source.id, ()) if fold(texts.get(id, "")) not in ("", own)]
    if not ids:
        return Document(source)
    return Document(source, ids, [texts[id] for id in ids], np.stack([embedded[id] for id in ids]))


def _checked(context: Context, material: Document, answer: Any) -> list[dict[str, Any]]:
    """The queries, after their evidence was found in the document. Raises
    ``InvalidAnswerError``."""
    text = material.source.texts[context.params.document]
    queries: list[dict[str, Any]] = answer["queries"]
    for one in queries:
        if not one["query"].strip():
            raise InvalidAnswerError(0, "A query is empty.")
        if not one["answer_quote"].strip() or one["answer_quote"] not in text:
            quote = one["answer_quote"][:100]
            raise InvalidAnswerError(0, f"{quote!r} is not in the document word for word.")
    return queries


def _candidates(
    context: Context, material: Document, queries: Sequence[str]
) -> list[list[tuple[int, float]]]:
    """For each query the neighbours nearest to it: ``(place, cosine)``, twice as many where
    some may turn out to be relevant."""
    params: Params = context.params
    if not len(material.texts):
        return [[] for _ in queries]
    scores = embed(queries) @ material.near.T
    count = _wanted(params) * (2 if params.checked else 1)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    return [
        [(int(n), float(row[n])) for n in order] for row, order in zip(scores, best, strict=True)
    ]


def _check(context: Context, query: str, texts: Sequence[str]) -> Request:
    passage = {"id": {"type": "integer", "minimum": 1, "maximum": len(texts)}}
    verdict = closed({**passage, "relevant": {"type": "boolean"}})
    count = len(texts)
    schema = {"type": "array", "items": verdict, "minItems": count, "maxItems": count}
    blocks = [data_block(f"passage {n}", text) for n, text in enumerate(texts, start=1)]
    return context.ask(
        "\n\n".join([data_block("query", query), *blocks]),
        system="Say of each passage by its number whether it answers the query, if only in part.",
        schema=closed({"passages": schema}),
    )


def _irrelevant(
    places: Sequence[tuple[int, float]], index: int, answer: Any
) -> list[tuple[int, float]]:
    """Those that the model says do not answer the query. Raises ``InvalidAnswerError``."""
    said = {one["id"]: one["relevant"] for one in answer["passages"]}
    if set(said) != set(range(1, len(places) + 1)):
        raise InvalidAnswerError(index, "Name every passage exactly once.")
    return [place for number, place in enumerate(places, start=1) if not said[number]]


def _negatives(
    params: Params,
    material: Document,
    asked: Mapping[str, Any],
    places: Sequence[tuple[int, float]],
) -> list[Negative]:
    if params.hard == "written" and params.negatives:
        text = asked["hard_negative"]
        score = float(np.dot(*embed([asked["query"], text])))
        return [Negative(None, text, score)] if text.strip() else []
    best = places[: _wanted(params)]
    return [Negative(material.ids[n], material.texts[n], score) for n, score in best]


def _drafts(
    params: Params, seq: int, source: Source, queries: Sequence[Query]
) -> Iterator[DraftInput]:
    for ordinal, one in enumerate(queries):
        negatives = {
            NEGATIVE.format(n): negative.text for n, negative in enumerate(one.negatives, start=1)
        }
        yield DraftInput(
            seq=seq,
            ordinal=ordinal,
            fields={QUERY: one.text, POSITIVE: source.texts[params.document], **negatives},
            metadata={
                "query_type": one.type,
                "answer_quote": one.quote,
                "positive_id": str(source.id),
                "positive_score": round(one.score, 4),
                "negative_ids": [str(negative.id or "") for negative in one.negatives],
                "negative_scores": [round(negative.score, 4) for negative in one.negatives],
            },
            parents=[source.id],
        )
