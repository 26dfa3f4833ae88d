"""Texts for classification, so many of each label: data for rare classes.

Synthetic data per class: Wang et al., 2024, arXiv:2401.00368 (text, label and a misleading label);
labels with descriptions: arXiv:2408.02442. The label is what was asked for, not what is there, so
it arrives as a suggestion and never as an answer.
"""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from pydantic import Field, model_validator

from apps.datasets.models import QuestionType
from apps.drafts.inputs import DraftInput
from apps.drafts.writing import check_room
from apps.llms.wire import Request
from apps.pipelines.blocks import data_block
from apps.pipelines.recipes import base
from apps.pipelines.recipes.base import NEW_RECORDS, Answered, Context, Payload, Recipe
from apps.pipelines.recipes.like_this import (
    WARM,
    check_groups,
    check_texts,
    label_suggestion,
    label_words,
)
from apps.pipelines.recipes.materials import check_plain_fields
from apps.pipelines.recipes.quotas import LARGEST, calls_for, fill_quotas, plan_quotas
from apps.pipelines.recipes.writes import check_metadata
from apps.pipelines.schemas import closed

MISLEADING = "misleading_label"


class Params(base.Params):
    """``field`` gets the text, ``task`` says what kind of texts these are. ``descriptions`` are by
    label, and stand for those of the question. ``misleading`` asks for the label that a careless
    reader would take, as metadata."""

    field: str
    task: str = Field(min_length=1, max_length=5_000)
    quotas: dict[str, int] = Field(min_length=1, max_length=500)
    descriptions: dict[str, str] = Field(default_factory=dict, max_length=500)
    misleading: bool = False

    @model_validator(mode="after")
    def check(self) -> "Params":
        if any(quota < 1 for quota in self.quotas.values()):
            raise ValueError("a quota is at least 1")
        if sum(self.quotas.values()) > LARGEST:
            raise ValueError(f"at most {LARGEST} records at a time")
        return self


class Classification(Recipe[Payload, list[dict[str, str]]]):
    """Writes texts that deserve a label, until each label has its quota."""

    name: ClassVar[str] = "classification"
    title: ClassVar[str] = "Classification data"
    paper: ClassVar[str] = "arXiv:2401.00368, arXiv:2408.02442"
    Params: ClassVar[type[base.Params]] = Params
    needs_question: ClassVar[bool] = True
    question_types: ClassVar[frozenset[str] | None] = frozenset({QuestionType.LABEL})
    write_modes: ClassVar[tuple[str, ...]] = (NEW_RECORDS,)

    def check(self, context: Context) -> None:
        params: Params = context.params
        check_plain_fields(context.schema, [params.field])
        check_groups(context.question, {**params.quotas, **dict.fromkeys(params.descriptions, 1)})
        if params.misleading:
            check_metadata(context, {MISLEADING: next(iter(params.quotas))})
        check_room(context.dataset, sum(params.quotas.values()))

    def plan(self, context: Context) -> Iterator[Payload]:
        return plan_quotas(context.params.quotas)

    def count(self, context: Context) -> int:
        return calls_for(context.params.quotas)

    def load(self, context: Context, payloads: Sequence[Payload]) -> list[Payload]:
        return list(payloads)

    def requests(self, context: Context, material: Payload) -> list[Request]:
        params: Params = context.params
        item: dict[str, Any] = {"text": {"type": "string"}, "label": {"enum": [material["group"]]}}
        if params.misleading:
            others = sorted(_labels(context) - {material["group"]})
            item[MISLEADING] = {"enum": others or [material["group"]]}
        items = {
            "type": "array",
            "items": closed(item),
            "minItems": 1,
            "maxItems": material["count"],
        }
        return [
            context.ask(
                f"Write {material['count']} texts that deserve the label "
                f"{material['group']!r} and no other.",
                system=_system(context),
                schema=closed({"items": items}),
                sample_index=material["number"],
                temperature=context.asking.temperature or WARM,
            )
        ]

    def parse(
        self, context: Context, material: Payload, answers: list[Any]
    ) -> list[dict[str, str]]:
        items: list[dict[str, str]] = answers[0]["items"]
        for item in items:
            check_texts(0, item)
        return items

    def write(
        self, context: Context, pairs: Sequence[Answered[Payload, list[dict[str, str]]]]
    ) -> None:
        params: Params = context.params
        drafts = [
            DraftInput(
                seq=pair.seq,
                ordinal=ordinal,
                fields={params.field: item["text"]},
                metadata={MISLEADING: item[MISLEADING]} if params.misleading else {},
                suggestions=label_suggestion(context.question, pair.material["group"]),
                group=pair.material["group"],
            )
            for pair in pairs
            for ordinal, item in enumerate(pair.result)
        ]
        fill_quotas(
            context,
            recipe=self.name,
            dataset=context.dataset,
            quotas=params.quotas,
            drafts=drafts,
            seqs=[pair.seq for pair in pairs],
            compared=[params.field],
        )

    def shown(
        self, context: Context, material: Payload, result: list[dict[str, str]]
    ) -> dict[str, Any]:
        return {"value": result, "group": material["group"]}


def _labels(context: Context) -> set[str]:
    return set() if context.question is None else {str(one) for one in context.question.options}


def _system(context: Context) -> str:
    params: Params = context.params
    rule = context.question
    described = [
        f"{label}: {params.descriptions[label]}"
        if label in params.descriptions
        else label_words(rule, label)
        for label in sorted(_labels(context))
        if rule is not None
    ]
    lines = [
        "Write texts as people would: various in content, length, wording and tone, none a copy "
        "of another. Do not name the label in them.",
        data_block("task", params.task),
        data_block("labels", "\n".join(described)),
    ]
    if params.misleading:
        lines.append(f"{MISLEADING} is the other label that a careless reader would choose.")
    if context.prompt.guidelines:
        lines.append(data_block("guidelines", context.prompt.guidelines))
    return "\n\n".join(lines)
