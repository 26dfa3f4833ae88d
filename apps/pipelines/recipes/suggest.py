"""J1: a model answers a question about each record, as a suggestion for the people who decide.

Works for all six kinds of question. The examples in a prompt are the record's nearest neighbours
among those that people have answered (J. Liu et al., "What Makes Good In-Context Examples for
GPT-3?", 2021). Of several samples the answer given most often counts, and its share is the
confidence (X. Wang et al., "Self-Consistency Improves Chain of Thought Reasoning", 2022).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar
from uuid import UUID

from pydantic import Field

from apps.core.errors import InvalidError
from apps.datasets.schema import QuestionRule
from apps.datasets.values import canonical
from apps.llms.wire import Request
from apps.pipelines.errors import InvalidAnswerError
from apps.pipelines.history import Said, keep_suggestions
from apps.pipelines.parsers import Answer, parse_answer
from apps.pipelines.prompts import Shot, check_prompt, prompt_text
from apps.pipelines.recipes.base import (
    SUGGESTION,
    Answered,
    Context,
    Params,
    Payload,
    Usage,
)
from apps.pipelines.recipes.records import RecordRecipe, by_payload, read_records
from apps.pipelines.schemas import answer_schema
from apps.pipelines.shots import Pool, choose, pool_of_job
from apps.quality.head import Proposal
from apps.records.models import Record
from apps.records.text import searchable_text

SYSTEM = (
    "You label data. Answer the question about the record, as one JSON object and nothing else."
)


class SuggestParams(Params):
    """``overwrite`` replaces the suggestions of other agents; theirs are kept in the history.

    ``vector`` names the records' vector by which examples are near; without one their texts are
    compared.
    """

    rationale: bool = False
    confidence: bool = True
    overwrite: bool = True
    vector: str | None = Field(default=None, max_length=200)


@dataclass(frozen=True, slots=True)
class Asked:
    """A record with its examples; ``fields`` are empty when it is gone."""

    record_id: UUID | None
    fields: Mapping[str, Any] = field(default_factory=dict)
    shots: Sequence[Shot] = ()


class Suggest(RecordRecipe[Asked, Answer | None]):
    """One call a record, or ``asking.n`` whose answers are counted as votes."""

    name = "suggest"
    title = "Suggest answers"
    paper = "https://arxiv.org/abs/2101.06804"
    Params = SuggestParams
    needs_question = True
    write_modes: ClassVar[tuple[str, ...]] = (SUGGESTION,)

    def check(self, context: Context) -> None:
        check_prompt(context.schema, context.prompt.template)
        vector = context.params.vector
        if vector is not None and vector not in context.schema.vectors:
            raise InvalidError(f"This dataset has no vector {vector!r}.")

    def load(self, context: Context, payloads: Sequence[Payload]) -> list[Asked]:
        found = read_records(payloads)
        shots = self._shots(context, list(found.values()))
        asked = {
            id: Asked(record.id, record.fields, shots[record.id]) for id, record in found.items()
        }
        return [one or Asked(None) for one in by_payload(payloads, asked)]

    def _shots(self, context: Context, records: Sequence[Record]) -> dict[UUID, list[Shot]]:
        prompt, vector = context.prompt, context.params.vector
        if not prompt.shots or not records:
            return {record.id: [] for record in records}
        return choose(
            self.pool(context),
            {one.id: searchable_text(one.fields, context.schema.fields) for one in records},
            count=prompt.shots,
            strategy=prompt.strategy,
            settings=context.schema.vectors.get(vector) if vector else None,
        )

    def pool(self, context: Context) -> Pool:
        """What examples are taken from."""
        return pool_of_job(context.job_id, context.schema, _rule(context), context.began_at)

    def requests(self, context: Context, material: Asked) -> list[Request]:
        if material.record_id is None:
            return []
        rule, prompt, params = _rule(context), context.prompt, context.params
        text = prompt_text(
            context.schema,
            rule,
            material.fields,
            template=prompt.template,
            guidelines=prompt.guidelines,
            asked=prompt.asked,
            shots=material.shots,
        )
        schema = answer_schema(rule, rationale=params.rationale, confidence=params.confidence)
        return [
            context.ask(text, system=SYSTEM, schema=schema, sample_index=index)
            for index in range(context.asking.n)
        ]

    def parse(self, context: Context, material: Asked, answers: list[Any]) -> Answer | None:
        found = []
        for index, document in enumerate(answers):
            try:
                found.append(parse_answer(_rule(context), document, material.fields))
            except InvalidError as error:
                raise InvalidAnswerError(index, error.message) from error
        return elected(found) if found else None

    def write(self, context: Context, pairs: Sequence[Answered[Asked, Answer | None]]) -> None:
        said = {
            pair.material.record_id: _said(pair.result, pair.usage)
            for pair in pairs
            if pair.result is not None and pair.material.record_id is not None
        }
        overwrite = context.params.overwrite
        keep_suggestions(context=context, rule=_rule(context), said=said, overwrite=overwrite)

    def shown(self, context: Context, material: Asked, result: Answer | None) -> dict[str, Any]:
        if result is None:
            return {"value": None}
        return {
            "record_id": str(material.record_id),
            "value": result.value,
            "confidence": result.confidence,
            "rationale": result.rationale,
        }


def _said(answer: Answer, usage: Usage) -> Said:
    return Said(Proposal(answer.value, answer.score), usage, answer.rationale)


def elected(answers: Sequence[Answer]) -> Answer:
    """The answer that was given most often, the first of equals; its share is the confidence."""
    if len(answers) == 1:
        return answers[0]
    votes = Counter(canonical(answer.value) for answer in answers)
    winner, count = votes.most_common(1)[0]
    chosen = next(one for one in answers if canonical(one.value) == winner)
    return replace(chosen, confidence=round(count / len(answers), 4))


def _rule(context: Context) -> QuestionRule:
    if context.question is None:
        raise InvalidError("This needs a question.")
    return context.question
