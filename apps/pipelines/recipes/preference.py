"""Pairwise preferences: every pair of responses is judged in both orders.

- A model as judge, and its liking for one place: Zheng et al., 2023, arXiv:2306.05685. A pair
  whose verdict changes with the order is a tie.
- Ranking by pairs: LLM-Blender (Jiang et al., 2023, arXiv:2306.02561).
- Strengths from wins: Bradley and Terry (1952), by Hunter's iteration (2004).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar, Final, Literal

from pydantic import Field, model_validator

from apps.core.errors import InvalidError
from apps.datasets.models import QuestionType
from apps.llms.wire import Request
from apps.pipelines.blocks import data_block
from apps.pipelines.parsers import Answer
from apps.pipelines.recipes import base
from apps.pipelines.recipes.base import METADATA, SUGGESTION, Answered, Context, Payload
from apps.pipelines.recipes.materials import Source, check_text_fields, load_records
from apps.pipelines.recipes.records import RecordRecipe
from apps.pipelines.recipes.writes import Mark, check_metadata, mark_records
from apps.pipelines.schemas import RATIONALE, closed

FIRST, SECOND, TIE, INCONSISTENT = "first", "second", "tie", "inconsistent"
KEY: Final = "preference"
ITERATIONS: Final = 200

Pair = tuple[str, str]


class Params(base.Params):
    """``criteria`` say what makes a response better; ``aggregate`` how pairs become a ranking.

    The ranking question of the run has the response fields as its options.
    """

    instruction: str
    responses: list[str] = Field(min_length=2, max_length=8)
    criteria: str = Field(default="", max_length=10_000)
    aggregate: Literal["wins", "bradley_terry"] = "wins"
    overwrite: bool = True

    @model_validator(mode="after")
    def check(self) -> "Params":
        if len(set(self.responses)) < len(self.responses):
            raise ValueError("a response field is named twice")
        return self


@dataclass(frozen=True, slots=True)
class Comparison:
    """``verdicts`` by pair of fields: first, second, tie or inconsistent; the ``places`` that
    follow, best first, each with those that share it."""

    verdicts: Mapping[Pair, str]
    places: Sequence[Sequence[str]]


class Preference(RecordRecipe[Source | None, Comparison | None]):
    """Ranks the responses of each record by comparing all pairs, two calls a pair."""

    name: ClassVar[str] = "preference"
    title: ClassVar[str] = "Pairwise preference"
    paper: ClassVar[str] = "arXiv:2306.05685, arXiv:2306.02561"
    Params: ClassVar[type[base.Params]] = Params
    write_modes: ClassVar[tuple[str, ...]] = (SUGGESTION, METADATA)
    question_types: ClassVar[frozenset[str] | None] = frozenset({QuestionType.RANKING})

    def check(self, context: Context) -> None:
        params: Params = context.params
        check_text_fields(context.schema, [params.instruction, *params.responses])
        check_metadata(context, {KEY: {}})
        if context.write_mode != SUGGESTION:
            return
        rule = context.question
        if rule is None or rule.type != QuestionType.RANKING:
            raise InvalidError("A ranking question is needed, or metadata to write to.")
        if rule.options != frozenset(params.responses):
            raise InvalidError(f"The options of {rule.name!r} are not the response fields.")

    def load(self, context: Context, payloads: Sequence[Payload]) -> list[Source | None]:
        return load_records(context, payloads)

    def requests(self, context: Context, material: Source | None) -> list[Request]:
        if material is None:
            return []
        return [
            _request(context, material, shown)
            for pair in _pairs(context, material)
            for shown in (pair, pair[::-1])
        ]

    def parse(
        self, context: Context, material: Source | None, answers: list[Any]
    ) -> Comparison | None:
        if material is None or not answers:
            return None
        pairs = _pairs(context, material)
        winners = [answer["winner"] for answer in answers]
        verdicts = {
            pair: agreed(winners[2 * n], winners[2 * n + 1]) for n, pair in enumerate(pairs)
        }
        names = context.params.responses
        strengths = _AGGREGATES[context.params.aggregate](names, verdicts)
        return Comparison(verdicts, ranked(strengths))

    def write(
        self, context: Context, pairs: Sequence[Answered[Source | None, Comparison | None]]
    ) -> None:
        marks = []
        for pair in pairs:
            if pair.material is None or pair.result is None:
                continue
            answers = {}
            compared_all = len(pair.result.verdicts) == _all_pairs(context)
            if context.write_mode == SUGGESTION and context.question and compared_all:
                answers = {context.question.name: Answer(ranking(pair.result.places))}
            noted = _noted(context, pair.material, pair.result)
            marks.append(Mark(pair.material.id, pair.usage, {KEY: noted}, answers))
        mark_records(context, marks)

    def shown(
        self, context: Context, material: Source | None, result: Comparison | None
    ) -> dict[str, Any]:
        if material is None or result is None:
            return {"value": None}
        noted = _noted(context, material, result)
        return {"record_id": str(material.id), "value": ranking(result.places), **noted}


def agreed(one: str, other: str) -> str:
    """The verdict on a pair from both orders: ``one`` saw it as it is, ``other`` the other way."""
    turned = {"A": "B", "B": "A"}.get(other, TIE)
    if one != turned:
        return TIE if TIE in (one, other) else INCONSISTENT
    return {"A": FIRST, "B": SECOND}.get(one, TIE)


def wins(names: Sequence[str], verdicts: Mapping[Pair, str]) -> dict[str, float]:
    """Half a win for a tie, of whatever kind."""
    strength = dict.fromkeys(names, 0.0)
    for (first, second), verdict in verdicts.items():
        share = {FIRST: 1.0, SECOND: 0.0}.get(verdict, 0.5)
        strength[first] += share
        strength[second] += 1 - share
    return strength


def bradley_terry(names: Sequence[str], verdicts: Mapping[Pair, str]) -> dict[str, float]:
    """Strengths that add up to 1. Each has one tie with an imaginary response of mean strength,
    so that one which always wins stays finite."""
    won = {name: score + 0.5 for name, score in wins(names, verdicts).items()}
    strength = {name: 1 / len(names) for name in names}
    for _ in range(ITERATIONS):
        met = dict.fromkeys(names, 0.0)
        mean = sum(strength.values()) / len(names)
        for name in names:
            met[name] = 1 / (strength[name] + mean)
        for first, second in verdicts:
            shared = 1 / (strength[first] + strength[second])
            met[first] += shared
            met[second] += shared
        raised = {name: won[name] / met[name] for name in names}
        whole = sum(raised.values())
        strength = {name: value / whole for name, value in raised.items()}
    return strength


_AGGREGATES: Final = {"wins": wins, "bradley_terry": bradley_terry}


def ranked(strengths: Mapping[str, float]) -> list[list[str]]:
    """Places, best first; equal strengths share one."""
    places: dict[float, list[str]] = {}
    for name, strength in strengths.items():
        places.setdefault(round(strength, 6), []).append(name)
    return [places[strength] for strength in sorted(places, reverse=True)]


def ranking(places: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """As a ranking question stores it."""
    return [
        {"value": name, "rank": rank}
        for rank, names in enumerate(places, start=1)
        for name in names
    ]


def _pairs(context: Context, source: Source) -> list[Pair]:
    present = [name for name in context.params.responses if source.texts.get(name)]
    return list(combinations(present, 2))


def _all_pairs(context: Context) -> int:
    count = len(context.params.responses)
    return count * (count - 1) // 2


def _request(context: Context, source: Source, shown: Sequence[str]) -> Request:
    params: Params = context.params
    parts = [
        source.block(params.instruction, "instruction"),
        source.block(shown[0], "response A"),
        source.block(shown[1], "response B"),
    ]
    system = [
        "Compare two responses to an instruction. Judge them by their content alone: neither their "
        "order nor their length matters. Give the reason, then name the better one, or say tie."
    ]
    if params.criteria:
        system.append(data_block("criteria", params.criteria))
    if context.prompt.guidelines:
        system.append(data_block("guidelines", context.prompt.guidelines))
    schema = closed({"rationale": RATIONALE, "winner": {"enum": ["A", "B", TIE]}})
    return context.ask("\n\n".join(parts), system="\n\n".join(system), schema=schema)


def _noted(context: Context, source: Source, result: Comparison) -> dict[str, Any]:
    """``{"agent": …, "pairs": [{"first", "second", "verdict"}]}``; responses by who wrote them,
    as the record's metadata says (``<field>_model``), else by field."""

    def author(field: str) -> str:
        return str(source.metadata.get(f"{field}_model") or field)

    return {
        "agent": context.agent,
        "pairs": [
            {"first": author(first), "second": author(second), "verdict": verdict}
            for (first, second), verdict in result.verdicts.items()
        ],
    }
