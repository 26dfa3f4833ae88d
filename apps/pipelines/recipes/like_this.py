"""Like this, but …: new records after chosen ones, changed as somebody says.

Variation of examples: Self-Instruct (Wang et al., 2022, arXiv:2212.10560); sentence pairs by
free instruction: GenerateSentencePair after SFR/E5 (Wang et al., 2024, arXiv:2401.00368).
Several records a call, as these repeat one another less than those of several calls.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from uuid import UUID

from pydantic import Field, model_validator

from apps.core.errors import InvalidError
from apps.datasets.models import QuestionType
from apps.datasets.schema import DatasetSchema, QuestionRule
from apps.drafts.content import compared_text
from apps.drafts.inputs import DraftInput
from apps.drafts.writing import check_room
from apps.llms.wire import Request
from apps.pipelines.blocks import data_block
from apps.pipelines.errors import InvalidAnswerError
from apps.pipelines.recipes import base
from apps.pipelines.recipes.base import NEW_RECORDS, Answered, Context, Payload, Recipe
from apps.pipelines.recipes.materials import Source, check_plain_fields, read_records
from apps.pipelines.recipes.quotas import LARGEST, calls_for, fill_quotas, plan_quotas
from apps.pipelines.schemas import closed

SHOWN: Final = 4  # examples a call
WARM: Final = 0.9  # temperature, where none is given: at 0 every call would say the same
MAX_TEXT: Final = 20_000  # characters of a field


class Params(base.Params):
    """``sources`` are the records to start from. The fields of ``vary`` are written anew, the
    others are copied from a source. ``quotas`` are by label of the run's question; without one
    there is a ``total``."""

    sources: list[UUID] = Field(min_length=1, max_length=50)
    change: str = Field(min_length=1, max_length=5_000)
    vary: list[str] = Field(min_length=1, max_length=20)
    total: int = Field(default=100, ge=1, le=LARGEST)
    quotas: dict[str, int] = Field(default_factory=dict, max_length=500)

    @model_validator(mode="after")
    def check(self) -> "Params":
        if any(quota < 1 for quota in self.quotas.values()):
            raise ValueError("a quota is at least 1")
        if sum(self.wanted.values()) > LARGEST:
            raise ValueError(f"at most {LARGEST} records at a time")
        return self

    @property
    def wanted(self) -> dict[str, int]:
        return self.quotas or {"": self.total}


@dataclass(frozen=True, slots=True)
class Asked:
    """One call: the sources in turn, the first of which lends what is kept; which class."""

    sources: Sequence[Source]
    group: str
    count: int
    number: int


class LikeThis(Recipe[Asked, list[dict[str, str]]]):
    """Writes records like the sources, with a change, until there are so many of each class."""

    name: ClassVar[str] = "like_this"
    title: ClassVar[str] = "Like this, but …"
    paper: ClassVar[str] = "arXiv:2212.10560, arXiv:2401.00368"
    Params: ClassVar[type[base.Params]] = Params
    write_modes: ClassVar[tuple[str, ...]] = (NEW_RECORDS,)

    def check(self, context: Context) -> None:
        params: Params = context.params
        check_plain_fields(context.schema, params.vary)
        check_groups(context.question, params.quotas)
        if not read_records(context, params.sources):
            raise InvalidError("None of the sources is a record of this dataset.")
        check_room(context.dataset, sum(params.wanted.values()))

    def plan(self, context: Context) -> Iterator[Payload]:
        return plan_quotas(context.params.wanted)

    def count(self, context: Context) -> int:
        return calls_for(context.params.wanted)

    def load(self, context: Context, payloads: Sequence[Payload]) -> list[Asked]:
        params: Params = context.params
        found = read_records(context, params.sources)
        sources = [found[id] for id in params.sources if id in found]
        return [Asked(_from(sources, payload["number"]), *_three(payload)) for payload in payloads]

    def requests(self, context: Context, material: Asked) -> list[Request]:
        if not material.sources:
            return []
        record = {name: {"type": "string"} for name in context.params.vary}
        records = {
            "type": "array",
            "items": closed(record),
            "minItems": 1,
            "maxItems": material.count,
        }
        return [
            context.ask(
                _user(context, material),
                system=_system(context, material),
                schema=closed({"records": records}),
                sample_index=material.number,
                temperature=context.asking.temperature or WARM,
            )
        ]

    def parse(self, context: Context, material: Asked, answers: list[Any]) -> list[dict[str, str]]:
        if not answers:
            return []
        records: list[dict[str, str]] = answers[0]["records"]
        for record in records:
            check_texts(0, record)
        return records

    def write(
        self, context: Context, pairs: Sequence[Answered[Asked, list[dict[str, str]]]]
    ) -> None:
        params: Params = context.params
        drafts = [
            DraftInput(
                seq=pair.seq,
                ordinal=ordinal,
                fields=_whole(context.schema, pair.material.sources[0], record),
                suggestions=label_suggestion(context.question, pair.material.group),
                parents=[source.id for source in pair.material.sources[:SHOWN]],
                group=pair.material.group,
            )
            for pair in pairs
            for ordinal, record in enumerate(pair.result)
        ]
        fill_quotas(
            context,
            recipe=self.name,
            dataset=context.dataset,
            quotas=params.wanted,
            drafts=drafts,
            seqs=[pair.seq for pair in pairs],
            compared=params.vary,
            sources=_texts(context, [pair.material for pair in pairs]),
        )

    def shown(
        self, context: Context, material: Asked, result: list[dict[str, str]]
    ) -> dict[str, Any]:
        return {
            "value": [_whole(context.schema, material.sources[0], record) for record in result],
            "group": material.group,
            "parents": [str(source.id) for source in material.sources[:SHOWN]],
        }


def check_groups(rule: QuestionRule | None, quotas: Mapping[str, int]) -> None:
    """Raise ``InvalidError`` unless the quotas are of labels of the question."""
    if not quotas:
        return
    if rule is None or rule.type != QuestionType.LABEL:
        raise InvalidError("Quotas need a label question.")
    unknown = sorted(set(quotas) - {str(value) for value in rule.options})
    if unknown:
        raise InvalidError(f"{rule.name!r} has no label {unknown[0]!r}.")


def check_texts(index: int, record: Mapping[str, str]) -> None:
    """Raise ``InvalidAnswerError`` for a text that no record should have."""
    for name, text in record.items():
        if not text.strip():
            raise InvalidAnswerError(index, f"{name!r} is empty.")
        if len(text) > MAX_TEXT:
            raise InvalidAnswerError(index, f"{name!r} is longer than {MAX_TEXT} characters.")


def label_suggestion(rule: QuestionRule | None, group: str) -> list[dict[str, Any]]:
    """The class that was asked for, as a suggestion: people say whether it is so."""
    return [{"question": rule.name, "value": group}] if rule is not None and group else []


def label_words(rule: QuestionRule, value: str) -> str:
    """A label with its description, as its question has it."""
    option = next((one for one in rule.question.options if str(one["value"]) == value), {})
    named = str(option.get("text") or value)
    described = str(option.get("description") or "")
    return f"{named}: {described}" if described else named


def _from(sources: Sequence[Source], number: int) -> list[Source]:
    """The sources, beginning at another one each time."""
    start = number % len(sources) if sources else 0
    return [*sources[start:], *sources[:start]]


def _three(payload: Payload) -> tuple[str, int, int]:
    return payload["group"], payload["count"], payload["number"]


def _user(context: Context, asked: Asked) -> str:
    params: Params = context.params
    shown = []
    for place, source in enumerate(asked.sources[:SHOWN], start=1):
        blocks = [source.block(name) for name in source.texts]
        shown.append("\n".join([f"Example {place}:", *blocks]))
    return "\n\n".join([*shown, data_block("change", params.change)])


def _system(context: Context, asked: Asked) -> str:
    params: Params = context.params
    kept = [name for name in asked.sources[0].texts if name not in params.vary]
    lines = [
        "Write new records that resemble the examples in kind, but say something else, changed as "
        "the block 'change' asks. They must differ from the examples and from one another in more "
        "than a few words.",
        f"Write {asked.count} records with the fields: {', '.join(params.vary)}.",
    ]
    if kept:
        lines.append(f"They go with the first example's {', '.join(kept)}, which stay as they are.")
    if asked.group and context.question is not None:
        words = data_block("label", label_words(context.question, asked.group))
        lines.append(f"Each of them must deserve this label:\n{words}")
    if context.prompt.guidelines:
        lines.append(data_block("guidelines", context.prompt.guidelines))
    return "\n\n".join(lines)


def _whole(schema: DatasetSchema, first: Source, record: Mapping[str, str]) -> dict[str, Any]:
    """All fields of a new record: written, or kept; in the dataset's order."""
    merged = {**first.fields, **record}
    return {name: merged[name] for name in schema.fields if name in merged}


def _texts(context: Context, asked: Sequence[Asked]) -> dict[UUID, str]:
    """What the sources say, as far as it is compared."""
    sources = {source.id: source for one in asked for source in one.sources}
    return {
        id: compared_text(source.fields, context.schema, context.params.vary)
        for id, source in sources.items()
    }
