"""A score for how good a text is, to keep the best.

Scores by a model as a filter of instruction data: Deita (Liu et al., 2023, arXiv:2312.15685),
AlpaGasus (Chen et al., 2023, arXiv:2307.08701).
"""

from typing import Any, ClassVar

from pydantic import Field

from apps.llms.wire import Request
from apps.pipelines.blocks import data_block
from apps.pipelines.recipes import base
from apps.pipelines.recipes.base import Context
from apps.pipelines.recipes.filters import FilterParams, FilterRecipe, Finding, Subject
from apps.pipelines.recipes.materials import check_text_fields
from apps.pipelines.schemas import RATIONALE, closed

BEST = 5


class Params(FilterParams):
    """``fields`` are shown (all with words, without any); ``criteria`` say what is good."""

    fields: list[str] = Field(default_factory=list, max_length=50)
    criteria: str = Field(default="", max_length=5_000)
    least: int = Field(default=3, ge=1, le=BEST)


class Quality(FilterRecipe):
    """Rates each text from 1 to 5 and keeps those of ``least`` and above; scores are 0 to 1."""

    name: ClassVar[str] = "quality"
    title: ClassVar[str] = "Quality score"
    paper: ClassVar[str] = "arXiv:2312.15685, arXiv:2307.08701"
    Params: ClassVar[type[base.Params]] = Params

    def check(self, context: Context) -> None:
        super().check(context)
        check_text_fields(context.schema, context.params.fields)

    def requests(self, context: Context, material: Subject | None) -> list[Request]:
        params: Params = context.params
        if material is None:
            return []
        names = params.fields or list(material.texts)
        blocks = [
            data_block(name, material.texts[name]) for name in names if name in material.texts
        ]
        if not blocks:
            return []
        lines = [
            "Rate how good this example is as training data, from 1 (useless) to 5 (excellent): "
            "correct, clear, complete, natural. Give the reason first."
        ]
        if params.criteria:
            lines.append(data_block("criteria", params.criteria))
        rating = {"type": "integer", "minimum": 1, "maximum": BEST}
        schema = closed({"rationale": RATIONALE, "rating": rating})
        return [context.ask("\n\n".join(blocks), system="\n\n".join(lines), schema=schema)]

    def parse(
        self, context: Context, material: Subject | None, answers: list[Any]
    ) -> Finding | None:
        if material is None:
            return None
        if not answers:
            return Finding(keep=False, reason="There is no text.", score=0.0)
        rating = answers[0]["rating"]
        score = (rating - 1) / (BEST - 1)
        return Finding(rating >= context.params.least, answers[0]["rationale"], score)
