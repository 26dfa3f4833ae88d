"""Responses to instructions, of several models and several samples each.

- Responses of many models to judge later: UltraFeedback (Cui et al., 2023, arXiv:2310.01377).
- ``improve``: a response is revised as little as makes it better, and both are a pair to train
  preferences on: CLAIR (D'Oosterlinck et al., 2024, arXiv:2408.06266).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from uuid import UUID

from pydantic import Field, model_validator

from apps.core.errors import InvalidError
from apps.datasets.schema import DatasetSchema
from apps.drafts.inputs import DraftInput
from apps.drafts.writing import write_drafts
from apps.llms.wire import Request
from apps.pipelines.blocks import data_block
from apps.pipelines.errors import InvalidAnswerError
from apps.pipelines.prompts import OWN_NAMES, check_prompt, field_values, record_blocks
from apps.pipelines.recipes import base
from apps.pipelines.recipes.base import NEW_RECORDS, Answered, Context, Payload
from apps.pipelines.recipes.materials import (
    Source,
    check_plain_fields,
    check_text_fields,
    find_target,
    load_records,
    target_schema,
)
from apps.pipelines.recipes.records import RecordRecipe
from apps.pipelines.recipes.writes import origin_of
from apps.pipelines.schemas import RATIONALE, closed
from apps.pipelines.templates import render

WARM: Final = 0.7  # temperature of several samples, where none is given
MAX_RESPONSES: Final = 20


class Params(base.Params):
    """``instruction`` is the field to answer, or the prompt's template says all.

    ``models`` (the run's own without any) of the run's provider answer ``asking.n`` times each.
    ``outputs`` are text fields of ``target`` (a dataset of the workspace; the run's own without):
    with one of them each response is a record, with several they stand side by side in one.
    ``improve`` names the field of a response to revise; the outputs are then the better and the
    worse one.
    """

    instruction: str | None = None
    models: list[str] = Field(default_factory=list, max_length=MAX_RESPONSES)
    outputs: list[str] = Field(min_length=1, max_length=MAX_RESPONSES)
    target: UUID | None = None
    improve: str | None = None
    system: str = Field(default="", max_length=10_000)

    @model_validator(mode="after")
    def check(self) -> "Params":
        if self.improve and len(self.outputs) != 2:
            raise ValueError("an improvement needs two outputs: the better and the worse response")
        if self.improve and not self.instruction:
            raise ValueError("an improvement needs the instruction's field")
        if len(set(self.outputs)) < len(self.outputs):
            raise ValueError("an output is named twice")
        return self


@dataclass(frozen=True, slots=True)
class Response:
    """What one model wrote; ``sample`` counts its answers from 0."""

    model: str
    sample: int
    text: str
    rationale: str = ""


class Responses(RecordRecipe[Source | None, list[Response]]):
    """Answers the instruction of each record, with every model, so often."""

    name: ClassVar[str] = "responses"
    title: ClassVar[str] = "Responses of several models"
    paper: ClassVar[str] = "arXiv:2310.01377, arXiv:2408.06266"
    Params: ClassVar[type[base.Params]] = Params
    write_modes: ClassVar[tuple[str, ...]] = (NEW_RECORDS,)

    def check(self, context: Context) -> None:
        params: Params = context.params
        check_plain_fields(target_schema(context, params.target), params.outputs)
        read = [name for name in (params.instruction, params.improve) if name]
        check_text_fields(context.schema, read)
        if not params.instruction and not context.prompt.template:
            raise InvalidError("Name the field of the instruction, or give a prompt.")
        check_prompt(context.schema, context.prompt.template)
        count = len(_askings(context))
        if len(params.outputs) > 1 and not params.improve and count != len(params.outputs):
            raise InvalidError(f"{count} responses do not fill {len(params.outputs)} outputs.")

    def load(self, context: Context, payloads: Sequence[Payload]) -> list[Source | None]:
        return load_records(context, payloads)

    def requests(self, context: Context, material: Source | None) -> list[Request]:
        if material is None:
            return []
        several = context.asking.n > 1
        warmth = context.asking.temperature or (WARM if several else 0.0)
        return [
            context.ask(
                _user(context, material),
                system=_system(context),
                schema=_schema(context),
                model=model,
                sample_index=sample,
                temperature=warmth,
            )
            for model, sample in _askings(context)
        ]

    def parse(
        self, context: Context, material: Source | None, answers: list[Any]
    ) -> list[Response]:
        if material is None:
            return []
        responses = []
        for index, answer in enumerate(answers):
            model, sample = _askings(context)[index]
            text = answer["revision"] if isinstance(answer, Mapping) else answer
            rationale = answer["rationale"] if isinstance(answer, Mapping) else ""
            if not text.strip():
                raise InvalidAnswerError(index, "The response is empty.")
            if context.params.improve and text == material.texts.get(context.params.improve):
                raise InvalidAnswerError(index, "The revision is the response as it was.")
            responses.append(Response(model, sample, text, rationale))
        return responses

    def write(
        self, context: Context, pairs: Sequence[Answered[Source | None, list[Response]]]
    ) -> None:
        params: Params = context.params
        schema = target_schema(context, params.target)
        drafts = [
            draft
            for pair in pairs
            if pair.material is not None
            for draft in _drafts(context, schema, pair.seq, pair.material, pair.result)
        ]
        origin = origin_of(context, self.name)
        write_drafts(dataset=find_target(context, params.target), origin=origin, drafts=drafts)

    def shown(
        self, context: Context, material: Source | None, result: list[Response]
    ) -> dict[str, Any]:
        value = [{"model": one.model, "text": one.text} for one in result]
        return {"record_id": str(material.id) if material else None, "value": value}


def _askings(context: Context) -> list[tuple[str, int]]:
    models = context.params.models or [context.model]
    return [(model, sample) for model in models for sample in range(context.asking.n)]


def _schema(context: Context) -> dict[str, Any] | None:
    if not context.params.improve:
        return None
    return closed({"rationale": RATIONALE, "revision": {"type": "string"}})


def _system(context: Context) -> str:
    params: Params = context.params
    lines = [params.system] if params.system else []
    if params.improve:
        lines.append(
            "Revise the response to the instruction so that it becomes better: more correct, more "
            "helpful, clearer. Change no more than that takes. Say first what was wrong."
        )
    elif params.instruction:
        lines.append("Respond to the instruction in the block as a helpful expert would.")
    if context.prompt.guidelines:
        lines.append(data_block("guidelines", context.prompt.guidelines))
    return "\n\n".join(lines)


def _user(context: Context, source: Source) -> str:
    params: Params = context.params
    if context.prompt.template:
        data = field_values(context.schema, source.fields)
        values = {
            **dict.fromkeys(OWN_NAMES, ""),
            **data,
            "fields": data,
            "record": record_blocks(context.schema, source.fields),
            "guidelines": context.prompt.guidelines,
        }
        return render(context.prompt.template, values).strip()
    blocks = [source.block(str(params.instruction), "instruction")]
    if params.improve:
        blocks.append(source.block(params.improve, "response"))
    return "\n\n".join(blocks)


def _drafts(
    context: Context,
    schema: DatasetSchema,
    seq: int,
    source: Source,
    responses: Sequence[Response],
) -> Iterator[DraftInput]:
    """A record each, or one with all of them side by side."""
    params: Params = context.params
    kept = {
        name: value
        for name, value in source.fields.items()
        if name in schema.fields and name not in params.outputs
    }
    if params.improve:
        before = source.texts.get(params.improve, "")
        for ordinal, one in enumerate(responses):
            better, worse = params.outputs
            fields = {**kept, better: one.text, worse: before}
            metadata = {"model": one.model, "rationale": one.rationale}
            yield _draft(seq, ordinal, source, fields, metadata, context.signed_by([one.model]))
        return
    if len(params.outputs) == 1:
        for ordinal, one in enumerate(responses):
            fields = {**kept, params.outputs[0]: one.text}
            key = f"{one.model} {one.sample}"
            sampled = {"model": one.model, "sample": one.sample}
            agent = context.signed_by([one.model])
            yield _draft(seq, ordinal, source, fields, sampled, agent, key=key)
        return
    placed = dict(zip(params.outputs, responses, strict=False))
    texts = {name: one.text for name, one in placed.items()}
    models = {f"{name}_model": one.model for name, one in placed.items()}
    agent = context.signed_by([one.model for one in placed.values()])
    yield _draft(seq, 0, source, {**kept, **texts}, models, agent)


def _draft(
    seq: int,
    ordinal: int,
    source: Source,
    fields: Mapping[str, Any],
    metadata: Mapping[str, Any],
    agent: str,
    *,
    key: str = "",
) -> DraftInput:
    return DraftInput(
        seq=seq,
        ordinal=ordinal,
        fields=fields,
        metadata=metadata,
        parents=[source.id],
        key=key or str(source.id),
        agent=agent,
    )
