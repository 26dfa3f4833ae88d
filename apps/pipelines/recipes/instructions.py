"""Instructions: from seeds, by evolution, and from documents.

- ``self_instruct``: Self-Instruct (Wang et al., 2022, arXiv:2212.10560).
- ``evolve``: WizardLM's Evol-Instruct (Xu et al., 2023, arXiv:2304.12244), in depth and breadth.
- ``genstruct``: Ada-Instruct's Genstruct (Cui and Wang, 2023, arXiv:2310.04484): an instruction
  that a document answers, and the answer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar, Final, Literal, get_args
from uuid import UUID

from pydantic import Field

from apps.datasets.models import Dataset
from apps.drafts.content import fold
from apps.drafts.inputs import DraftInput
from apps.drafts.writing import check_room, write_drafts
from apps.llms.wire import Request
from apps.pipelines.blocks import data_block
from apps.pipelines.errors import InvalidAnswerError
from apps.pipelines.recipes import base
from apps.pipelines.recipes.base import NEW_RECORDS, Answered, Context, Payload, Recipe
from apps.pipelines.recipes.like_this import WARM, check_texts
from apps.pipelines.recipes.materials import (
    Source,
    chance,
    check_plain_fields,
    check_text_fields,
    find_target,
    load_records,
    read_records,
    target_schema,
)
from apps.pipelines.recipes.quotas import LARGEST, calls_for, fill_quotas, plan_quotas
from apps.pipelines.recipes.records import RecordRecipe
from apps.pipelines.recipes.writes import origin_of
from apps.pipelines.schemas import closed

SEEDS: Final = 500  # records that seeds are drawn from
SHOWN: Final = 3  # seeds a call

_STEPS: Final = {
    "constraints": "Add one more constraint or requirement.",
    "deepening": "If it asks about an issue, ask about it in more depth and breadth.",
    "concretizing": "Replace general concepts by more specific ones.",
    "reasoning": "If a few steps of thought would answer it, ask for several explicit ones.",
    "breadth": (
        "Write a brand-new instruction of the same domain and about the same length and "
        "difficulty, but rarer."
    ),
}
Step = Literal["constraints", "deepening", "concretizing", "reasoning", "breadth"]


class SelfInstructParams(base.Params):
    """``field`` holds instructions and gets new ones; ``topics`` take turns."""

    field: str
    total: int = Field(default=100, ge=1, le=LARGEST)
    criteria: str = Field(default="", max_length=5_000)
    topics: list[str] = Field(default_factory=list, max_length=500)
    target: UUID | None = None


@dataclass(frozen=True, slots=True)
class Seeded:
    """One call: which seeds are shown, and what for."""

    seeds: Sequence[Source]
    topic: str
    count: int
    number: int


class SelfInstruct(Recipe[Seeded, list[str]]):
    """New instructions in the manner of the selected ones, until there are ``total``."""

    name: ClassVar[str] = "self_instruct"
    title: ClassVar[str] = "Instructions from seeds"
    paper: ClassVar[str] = "arXiv:2212.10560"
    Params: ClassVar[type[base.Params]] = SelfInstructParams
    write_modes: ClassVar[tuple[str, ...]] = (NEW_RECORDS,)

    def check(self, context: Context) -> None:
        params: SelfInstructParams = context.params
        check_text_fields(context.schema, [params.field])
        check_plain_fields(target_schema(context, params.target), [params.field])
        check_room(find_target(context, params.target), params.total)

    def plan(self, context: Context) -> Iterator[Payload]:
        return plan_quotas({"": context.params.total})

    def count(self, context: Context) -> int:
        return calls_for({"": context.params.total})

    def load(self, context: Context, payloads: Sequence[Payload]) -> list[Seeded]:
        """Each call has seeds of its own, drawn from the first ones of the selection."""
        pages = context.selection.pages(context)
        pool = list(islice((id for page in pages for id in page), SEEDS))
        drawn = [_seeds(context, pool, payload["number"]) for payload in payloads]
        found = read_records(context, [id for ids in drawn for id in ids])
        topics = context.params.topics or [""]
        return [
            Seeded(
                [found[id] for id in ids if id in found],
                topics[payload["number"] % len(topics)],
                payload["count"],
                payload["number"],
            )
            for payload, ids in zip(payloads, drawn, strict=True)
        ]

    def requests(self, context: Context, material: Seeded) -> list[Request]:
        params: SelfInstructParams = context.params
        lines = [
            "Write instructions that somebody might give to an assistant: various in verb, form "
            "and length, each clear on its own, none that needs more than text to answer.",
        ]
        if params.criteria:
            lines.append(data_block("criteria", params.criteria))
        shown = [source.block(params.field, "example") for source in material.seeds]
        if material.topic:
            shown.append(data_block("topic", material.topic))
        asked = f"Write {material.count} new instructions, unlike the examples and each other."
        instructions = {
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "maxItems": material.count,
        }
        return [
            context.ask(
                "\n\n".join([*shown, asked]),
                system="\n\n".join(lines),
                schema=closed({"instructions": instructions}),
                sample_index=material.number,
                temperature=context.asking.temperature or WARM,
            )
        ]

    def parse(self, context: Context, material: Seeded, answers: list[Any]) -> list[str]:
        found: list[str] = answers[0]["instructions"]
        for text in found:
            check_texts(0, {"instruction": text})
        return found

    def write(self, context: Context, pairs: Sequence[Answered[Seeded, list[str]]]) -> None:
        params: SelfInstructParams = context.params
        drafts = [
            DraftInput(
                seq=pair.seq,
                ordinal=ordinal,
                fields={params.field: text},
                metadata={"topic": pair.material.topic} if pair.material.topic else {},
                parents=[source.id for source in pair.material.seeds],
            )
            for pair in pairs
            for ordinal, text in enumerate(pair.result)
        ]
        fill_quotas(
            context,
            recipe=self.name,
            dataset=find_target(context, params.target),
            quotas={"": params.total},
            drafts=drafts,
            seqs=[pair.seq for pair in pairs],
            compared=[params.field],
            sources={s.id: s.texts.get(params.field, "") for p in pairs for s in p.material.seeds},
        )


def _seeds(context: Context, pool: Sequence[UUID], number: int) -> list[UUID]:
    return chance(context.asking.seed or 0, number).sample(pool, min(SHOWN, len(pool)))


class EvolveParams(base.Params):
    """``field`` is evolved ``steps`` times, by ways that are drawn from ``ways``."""

    field: str
    steps: int = Field(default=1, ge=1, le=10)
    ways: list[Step] = Field(default=list(get_args(Step)), min_length=1)
    target: UUID | None = None


class Evolve(RecordRecipe[Source | None, list[str]]):
    """Makes each selected instruction harder or rarer, step by step; every step is a draft, whose
    parent is the one before. A step that fails to evolve ends its chain."""

    name: ClassVar[str] = "evolve"
    title: ClassVar[str] = "Evolved instructions"
    paper: ClassVar[str] = "arXiv:2304.12244"
    Params: ClassVar[type[base.Params]] = EvolveParams
    write_modes: ClassVar[tuple[str, ...]] = (NEW_RECORDS,)

    def check(self, context: Context) -> None:
        params: EvolveParams = context.params
        check_text_fields(context.schema, [params.field])
        check_plain_fields(target_schema(context, params.target), [params.field])

    def load(self, context: Context, payloads: Sequence[Payload]) -> list[Source | None]:
        return load_records(context, payloads)

    def requests(self, context: Context, material: Source | None) -> list[Request]:
        if material is None or not material.texts.get(context.params.field):
            return []
        return [_evolution(context, material, material.texts[context.params.field], 0)]

    def follow_up(
        self, context: Context, material: Source | None, answers: list[Any]
    ) -> list[Request]:
        if material is None or len(answers) >= context.params.steps:
            return []
        chain = _chain(material.texts[context.params.field], answers)
        if len(chain) < len(answers):
            return []
        return [_evolution(context, material, chain[-1], len(answers))]

    def parse(self, context: Context, material: Source | None, answers: list[Any]) -> list[str]:
        if material is None or not answers:
            return []
        chain = _chain(material.texts[context.params.field], answers)
        if not chain:
            raise InvalidAnswerError(0, "The rewritten instruction is empty, or as it was.")
        return chain

    def write(self, context: Context, pairs: Sequence[Answered[Source | None, list[str]]]) -> None:
        params: EvolveParams = context.params
        drafts = [
            DraftInput(
                seq=pair.seq,
                ordinal=step,
                fields={params.field: text},
                metadata={"evolution": step + 1, "way": _way(context, pair.material, step)},
                parents=[pair.material.id],
                after=step - 1 if step else None,
            )
            for pair in pairs
            if pair.material is not None
            for step, text in enumerate(pair.result)
        ]
        _write(context, self.name, find_target(context, params.target), drafts)


def _chain(first: str, answers: Sequence[Any]) -> list[str]:
    """The evolutions as far as each differs from what was there before."""
    known, chain = {fold(first)}, []
    for answer in answers:
        text = answer["rewritten"]
        if not text.strip() or fold(text) in known:
            break
        known.add(fold(text))
        chain.append(text)
    return chain


def _way(context: Context, source: Source, step: int) -> str:
    ways: list[str] = context.params.ways
    return chance(context.asking.seed or 0, source.id, step).choice(ways)


def _evolution(context: Context, source: Source, text: str, step: int) -> Request:
    way = _way(context, source, step)
    system = (
        "Rewrite an instruction into one that is harder for an assistant, yet reasonable and "
        "clear to people, and at most twenty words longer. Do not answer it. " + _STEPS[way]
    )
    schema = closed({"rewritten": {"type": "string"}})
    user = data_block("instruction", text)
    return context.ask(user, system=system, schema=schema, sample_index=step)


class GenstructParams(base.Params):
    """``document`` and ``title`` are read; ``user`` and ``assistant`` are fields of ``target``."""

    document: str
    title: str | None = None
    user: str
    assistant: str
    target: UUID | None = None


class Genstruct(RecordRecipe[Source | None, list[dict[str, str]]]):
    """A question that each document answers, with the answer; ``asking.n`` of each."""

    name: ClassVar[str] = "genstruct"
    title: ClassVar[str] = "Instructions from documents"
    paper: ClassVar[str] = "arXiv:2310.04484"
    Params: ClassVar[type[base.Params]] = GenstructParams
    write_modes: ClassVar[tuple[str, ...]] = (NEW_RECORDS,)

    def check(self, context: Context) -> None:
        params: GenstructParams = context.params
        read = [name for name in (params.document, params.title) if name]
        check_text_fields(context.schema, read)
        schema = target_schema(context, params.target)
        check_plain_fields(schema, [params.user, params.assistant])

    def load(self, context: Context, payloads: Sequence[Payload]) -> list[Source | None]:
        return load_records(context, payloads)

    def requests(self, context: Context, material: Source | None) -> list[Request]:
        params: GenstructParams = context.params
        if material is None or not material.texts.get(params.document):
            return []
        blocks = [material.block(params.title, "title")] if params.title else []
        blocks.append(material.block(params.document, "document"))
        system = (
            "Write a question that takes thought, and that a reader of the document could answer "
            "from it, though it does not mention the document; and the complete answer, which "
            "says nothing that the document does not."
        )
        schema = closed({"user": {"type": "string"}, "assistant": {"type": "string"}})
        several = context.asking.n > 1
        warmth = context.asking.temperature or (WARM if several else 0.0)
        return [
            context.ask(
                "\n\n".join(blocks),
                system=system,
                schema=schema,
                sample_index=n,
                temperature=warmth,
            )
            for n in range(context.asking.n)
        ]

    def parse(
        self, context: Context, material: Source | None, answers: list[Any]
    ) -> list[dict[str, str]]:
        for index, answer in enumerate(answers):
            check_texts(index, answer)
        return answers

    def write(
        self, context: Context, pairs: Sequence[Answered[Source | None, list[dict[str, str]]]]
    ) -> None:
        params: GenstructParams = context.params
        target = find_target(context, params.target)
        drafts = [
            DraftInput(
                seq=pair.seq,
                ordinal=ordinal,
                fields={params.user: one["user"], params.assistant: one["assistant"]},
                parents=[pair.material.id],
            )
            for pair in pairs
            if pair.material is not None
            for ordinal, one in enumerate(pair.result)
        ]
        _write(context, self.name, target, drafts)


def _write(context: Context, recipe: str, target: Dataset, drafts: list[DraftInput]) -> None:
    write_drafts(dataset=target, origin=origin_of(context, recipe), drafts=drafts)
