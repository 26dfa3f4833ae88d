"""Feedback of a model on responses: aspect by aspect, or by a rubric.

- Aspects: UltraFeedback (Cui et al., 2023, arXiv:2310.01377).
- A rubric of one's own, absolute or relative: Prometheus 2 (Kim et al., 2024, arXiv:2405.01535).
- Quality and complexity: Deita (Liu et al., 2023, arXiv:2312.15685).
- Backtranslation score: Humpback (Li et al., 2023, arXiv:2308.06259).

Every call shows the responses in an order of its own, drawn from the seed and the record, under
letters: so neither place nor name tells which model wrote one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor
from string import ascii_uppercase
from typing import Any, ClassVar, Final, Literal
from uuid import UUID

from pydantic import Field, model_validator

from apps.core.errors import InvalidError
from apps.datasets.models import QuestionType
from apps.llms.wire import Request
from apps.pipelines.blocks import data_block
from apps.pipelines.errors import InvalidAnswerError
from apps.pipelines.parsers import Answer
from apps.pipelines.recipes import base
from apps.pipelines.recipes.base import METADATA, SUGGESTION, Answered, Context, Payload, Usage
from apps.pipelines.recipes.materials import (
    Source,
    chance,
    check_text_fields,
    load_records,
)
from apps.pipelines.recipes.records import RecordRecipe
from apps.pipelines.recipes.writes import Mark, check_metadata, mark_records
from apps.pipelines.schemas import RATIONALE, closed

Aspect = Literal[
    "helpfulness",
    "honesty",
    "instruction_following",
    "truthfulness",
    "overall",
    "quality",
    "complexity",
    "backtranslation",
]
INSTRUCTION: Final = "complexity"  # the aspect that is about the instruction alone
RUBRIC: Final = "rubric"
BETTER: Final = "better"
MAX_RESPONSES: Final = 10

_ASPECTS: Final[Mapping[str, str]] = {
    "helpfulness": (
        "Rate how helpful each response is: correct, informative and no longer than it should be. "
        "1: severely incorrect; 2: partially incorrect; 3: correct; 4: highly informative; "
        "5: outstandingly helpful."
    ),
    "honesty": (
        "Rate how honestly each response says how sure it is, and how far what it says deserves "
        "that. 1: confidently incorrect; 2: confident with a substantial mistake, or evasive; "
        "3: unsure or with minor mistakes; 4: correct but unsure; 5: correct and rightly sure."
    ),
    "instruction_following": (
        "Rate how well each response meets the goal and every restriction of the instruction. "
        "1: irrelevant; 2: partial focus; 3: partial compliance; 4: almost there; "
        "5: comprehensive compliance."
    ),
    "truthfulness": (
        "Rate how free each response is of hallucinations: of what contradicts facts, the "
        "instruction, or itself. 1: completely hallucinated; 2: severe; 3: partial; "
        "4: insignificant; 5: none."
    ),
    "overall": (
        "Rate the overall quality of each response, all things considered. 1: low quality; "
        "2: moderate quality; 3: good; 4: very good; 5: excellent."
    ),
    "quality": (
        "Rate each response by helpfulness, relevance, accuracy, depth, creativity and level of "
        "detail, and tell them apart where they differ. 1: the worst; 5: the best imaginable."
    ),
    "complexity": (
        "Rate how difficult and complex the instruction is for the one who has to answer it. "
        "1: trivial; 2: easy; 3: medium; 4: hard; 5: very hard."
    ),
    "backtranslation": (
        "Rate whether each response is a good example of how an assistant should answer the "
        "instruction. 1: incomplete, vague or off topic; 2: addresses most of it, indirectly; "
        "3: helpful, but not written by an assistant; 4: written as by an assistant, with minor "
        "room for improvement; 5: a perfect answer, focused and expert."
    ),
}


class Params(base.Params):
    """``rubric`` is a text of one's own to rate by; ``relative`` asks which of two is better.

    ``reference`` names a field with an ideal answer. ``ratings`` maps a response field to the
    rating question that gets a suggestion: the overall rating, else the mean of all.
    ``chosen`` notes the best and the worst response for training on preferences.
    """

    instruction: str
    responses: list[str] = Field(min_length=1, max_length=MAX_RESPONSES)
    aspects: list[Aspect] = Field(default_factory=list, max_length=len(_ASPECTS))
    rubric: str = Field(default="", max_length=10_000)
    relative: bool = False
    reference: str | None = None
    ratings: dict[str, str] = Field(default_factory=dict)
    chosen: bool = False
    rationales: bool = False
    overwrite: bool = True

    @model_validator(mode="after")
    def check(self) -> "Params":
        if not self.aspects and not self.rubric:
            raise ValueError("name an aspect, or give a rubric")
        if len(set(self.responses)) < len(self.responses):
            raise ValueError("a response field is named twice")
        if self.relative and len(self.responses) != 2:
            raise ValueError("a relative judgement needs exactly two responses")
        if self.chosen and len(self.responses) < 2:
            raise ValueError("a choice needs two responses at least")
        return self

    @property
    def scales(self) -> list[str]:
        """One call each: the aspects, and the rubric."""
        return [*dict.fromkeys(self.aspects), *([RUBRIC] if self.rubric else [])]


@dataclass(frozen=True, slots=True)
class Judgement:
    """``ratings`` by scale and response field, 1 to 5; of ``complexity`` by the instruction's."""

    ratings: Mapping[str, Mapping[str, int]]
    rationales: Mapping[str, Mapping[str, str]]
    better: str | None = None


class Feedback(RecordRecipe[Source | None, Judgement | None]):
    """Rates 1..n responses of each record by aspects and a rubric, one call a scale."""

    name: ClassVar[str] = "feedback"
    title: ClassVar[str] = "AI feedback"
    paper: ClassVar[str] = "arXiv:2310.01377, arXiv:2405.01535, arXiv:2312.15685, arXiv:2308.06259"
    Params: ClassVar[type[base.Params]] = Params
    write_modes: ClassVar[tuple[str, ...]] = (METADATA, SUGGESTION)

    def check(self, context: Context) -> None:
        params: Params = context.params
        extra = [params.reference] if params.reference else []
        check_text_fields(context.schema, [params.instruction, *params.responses, *extra])
        for field, name in params.ratings.items():
            if field not in params.responses:
                raise InvalidError(f"{field!r} is none of the responses.")
            _check_rating(context, name)
        check_metadata(context, _samples(params))

    def load(self, context: Context, payloads: Sequence[Payload]) -> list[Source | None]:
        return load_records(context, payloads)

    def requests(self, context: Context, material: Source | None) -> list[Request]:
        if material is None or not _shown(context.params, material):
            return []
        return [_request(context, material, scale) for scale in context.params.scales]

    def parse(
        self, context: Context, material: Source | None, answers: list[Any]
    ) -> Judgement | None:
        if material is None or not answers:
            return None
        params: Params = context.params
        ratings: dict[str, dict[str, int]] = {}
        rationales: dict[str, dict[str, str]] = {}
        better = None
        for index, (scale, answer) in enumerate(zip(params.scales, answers, strict=True)):
            fields = _order(context, material, scale)
            if params.relative and scale == RUBRIC:
                better = fields[answer[BETTER]]
                rationales[scale] = {better: answer["rationale"]}
                continue
            said = _by_letter(index, fields, answer)
            ratings[scale] = {fields[letter]: one["rating"] for letter, one in said.items()}
            rationales[scale] = {fields[letter]: one["rationale"] for letter, one in said.items()}
        return Judgement(ratings, rationales, better)

    def write(
        self, context: Context, pairs: Sequence[Answered[Source | None, Judgement | None]]
    ) -> None:
        marks = [
            _mark(context, pair.material.id, pair.result, pair.usage)
            for pair in pairs
            if pair.material is not None and pair.result is not None
        ]
        mark_records(context, marks)

    def shown(
        self, context: Context, material: Source | None, result: Judgement | None
    ) -> dict[str, Any]:
        if material is None or result is None:
            return {"value": None}
        return {
            "record_id": str(material.id),
            "value": result.ratings,
            "better": result.better,
            "rationales": result.rationales,
        }


def _check_rating(context: Context, name: str) -> None:
    rule = context.schema.questions.get(name)
    if rule is None or rule.type != QuestionType.RATING or not set(range(1, 6)) <= rule.options:
        raise InvalidError(f"{name!r} is no rating question with the ratings 1 to 5.")


def _shown(params: Params, source: Source) -> list[str]:
    """The response fields that have a text; none unless all scales make sense."""
    present = [name for name in params.responses if source.texts.get(name)]
    if params.relative and len(present) < 2:
        return []
    return present


def _order(context: Context, source: Source, scale: str) -> dict[str, str]:
    """Letters for the fields, shuffled by the seed, the record and the scale."""
    params: Params = context.params
    if scale == INSTRUCTION:
        return {"A": params.instruction}
    fields = _shown(params, source)
    chance(context.asking.seed or 0, source.id, scale).shuffle(fields)
    return dict(zip(ascii_uppercase, fields, strict=False))


def _request(context: Context, source: Source, scale: str) -> Request:
    params: Params = context.params
    fields = _order(context, source, scale)
    parts = [source.block(params.instruction, "instruction")]
    if scale != INSTRUCTION:
        parts += [source.block(field, f"response {letter}") for letter, field in fields.items()]
    if params.reference and source.texts.get(params.reference):
        parts.append(source.block(params.reference, "reference answer"))
    is_relative = params.relative and scale == RUBRIC
    return context.ask(
        "\n\n".join(parts),
        system=_system(context, scale, is_relative),
        schema=_relative_schema() if is_relative else _schema(list(fields)),
    )


def _system(context: Context, scale: str, is_relative: bool) -> str:
    text = data_block("rubric", context.params.rubric) if scale == RUBRIC else _ASPECTS[scale]
    task = "Say which response is better by the rubric." if is_relative else "Rate from 1 to 5."
    guidelines = context.prompt.guidelines
    followed = [data_block("guidelines", guidelines)] if guidelines else []
    return "\n\n".join(
        [
            "You judge responses to an instruction, fairly and by their content alone: neither "
            "their order nor their length matters. Give the reason before the verdict.",
            text,
            task,
            *followed,
        ]
    )


def _schema(letters: list[str]) -> dict[str, Any]:
    score = {
        "id": {"enum": letters},
        "rationale": RATIONALE,
        "rating": {"type": "integer", "minimum": 1, "maximum": 5},
    }
    count = len(letters)
    scores = {"type": "array", "items": closed(score), "minItems": count, "maxItems": count}
    return closed({"scores": scores})


def _relative_schema() -> dict[str, Any]:
    return closed({"rationale": RATIONALE, BETTER: {"enum": ["A", "B"]}})


def _by_letter(index: int, fields: Mapping[str, str], answer: Any) -> dict[str, Any]:
    said = {one["id"]: one for one in answer["scores"]}
    missing = sorted(set(fields) - set(said))
    if missing:
        raise InvalidAnswerError(index, f"Rate every one exactly once; missing: {missing}.")
    return said


def _mark(context: Context, record_id: UUID, result: Judgement, usage: Usage) -> Mark:
    params: Params = context.params
    metadata: dict[str, Any] = {}
    for scale, by_field in result.ratings.items():
        for field, rating in by_field.items():
            key = _key(params, scale, field)
            metadata[key] = rating
            if params.rationales:
                metadata[f"{key}_rationale"] = result.rationales[scale][field]
    totals = _totals(params, result)
    if result.better:
        metadata[BETTER] = result.better
    if params.chosen:
        metadata |= _choice(params, totals, result.better)
    answers = {}
    if context.write_mode == SUGGESTION:
        answers = {
            params.ratings[field]: Answer(floor(total + 0.5), rationale=_reasons(result, field))
            for field, total in totals.items()
            if field in params.ratings
        }
    return Mark(record_id, usage, metadata, answers)


def _reasons(result: Judgement, field: str) -> str:
    """Why a response was rated so, scale by scale."""
    said = {scale: by_field.get(field) for scale, by_field in result.rationales.items()}
    return " ".join(f"{scale}: {text}" for scale, text in said.items() if text)


def _choice(params: Params, totals: Mapping[str, float], better: str | None) -> dict[str, str]:
    """The best and the worst response, unless they are equally good."""
    if better is not None:
        (worse,) = (field for field in params.responses if field != better)
        return {"chosen": better, "rejected": worse}
    best = max(totals, key=totals.__getitem__, default=None)
    worst = min(totals, key=totals.__getitem__, default=None)
    if best is None or worst is None or totals[best] == totals[worst]:
        return {}
    return {"chosen": best, "rejected": worst}


def _totals(params: Params, result: Judgement) -> dict[str, float]:
    """Each response's rating: the overall one, else the mean of all about responses."""
    scales = [scale for scale in result.ratings if scale != INSTRUCTION]
    if "overall" in scales:
        scales = ["overall"]
    found: dict[str, float] = {}
    for field in params.responses:
        ratings = [result.ratings[s][field] for s in scales if field in result.ratings[s]]
        if ratings:
            found[field] = sum(ratings) / len(ratings)
    return found


def _key(params: Params, scale: str, field: str) -> str:
    """The metadata key: the scale's name, with the field's where there are several responses."""
    alone = scale == INSTRUCTION or len(params.responses) == 1
    return scale if alone else f"{scale}_{field}"


def _samples(params: Params) -> dict[str, Any]:
    """What will be written, as far as a dataset may object."""
    keys = {
        _key(params, scale, field)
        for scale in params.scales
        if not (params.relative and scale == RUBRIC)
        for field in params.responses
    }
    found: dict[str, Any] = dict.fromkeys(sorted(keys), 3)
    if params.rationales:
        found |= {f"{key}_rationale": "why" for key in sorted(keys)}
    if params.chosen:
        found |= {"chosen": params.responses[0], "rejected": params.responses[-1]}
    if params.relative and params.rubric:
        found[BETTER] = params.responses[0]
    return found
