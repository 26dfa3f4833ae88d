"""The first records of a new dataset, as people will see them when they answer."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

from apps.core.errors import DomainError
from apps.datasets.models import Dataset, DatasetStatus
from apps.datasets.schema import DatasetSchema
from apps.exchange.compose import People
from apps.exchange.creation import outline
from apps.exchange.creation.content import SketchContent
from apps.exchange.creation.importing import compose_row
from apps.exchange.creation.services import file_of
from apps.exchange.formats import FileFormat, read_table
from apps.exchange.models import DatasetSketch
from apps.exchange.rows import Row
from apps.exchange.targets import ColumnMapping
from apps.labeling.fields import FieldCard, show_fields, show_metadata
from apps.labeling.questions import QuestionCard, show_questions
from apps.records.bulk import clean_record
from apps.records.inputs import RecordInput
from apps.records.models import Suggestion

SHOWN: Final = 5  # records
APART: Final = 100  # between the numbers of two records' parts, which are ids in the page
SAMPLE: Final = "…"


@dataclass
class PreviewRecord:
    """A record, or why its row would be left out."""

    number: int
    fields: list[FieldCard] = field(default_factory=list)
    questions: list[QuestionCard] = field(default_factory=list)
    metadata: list[tuple[str, str]] = field(default_factory=list)
    problem: str = ""


@dataclass
class Preview:
    """``problem``: why there can be no dataset as it is."""

    records: list[PreviewRecord] = field(default_factory=list)
    problem: str = ""


def preview_of(sketch: DatasetSketch, content: SketchContent, *, is_asked: bool = True) -> Preview:
    """Five records, read from the file anew; ``is_asked`` as for ``blueprint_of``.

    Inside the organization.
    """
    try:
        blueprint = outline.blueprint_of(content, is_asked=is_asked)
        dataset = Dataset(name=content.name or "…", status=DatasetStatus.READY)
        schema = outline.schema_of(blueprint, dataset)
        if sketch.format is None:
            return Preview([_record(schema, 1, _sample(content))])
        mapping = ColumnMapping(
            schema, outline.columns_of(content), responder=sketch.author.username
        )
        rows = _rows(file_of(sketch.id), FileFormat(sketch.format))
        return Preview([_of_row(schema, mapping, content, *row) for row in rows])
    except DomainError as error:
        return Preview(problem=error.message)


def _rows(path: Path, format: FileFormat) -> Iterator[tuple[Row, bool]]:
    with path.open("rb") as source:
        table = read_table(source, format)
        for row in islice(table.rows, SHOWN):
            yield row, table.from_text


def _of_row(
    schema: DatasetSchema,
    mapping: ColumnMapping,
    content: SketchContent,
    row: Row,
    from_text: bool,
) -> PreviewRecord:
    if row.problem:
        return PreviewRecord(row.number, problem=row.problem)
    values = {one.column: row.values.get(one.column) for one in content.columns}
    try:
        item = compose_row(values, mapping, schema=schema, people=People(), from_text=from_text)
        clean_record(schema, item)
    except DomainError as error:
        return PreviewRecord(row.number, problem=error.message)
    return _record(schema, row.number, item)


def _sample(content: SketchContent) -> RecordInput:
    """A record of a dataset that has none yet."""
    values: dict[str, Any] = {}
    for one in outline.fields_of(content):
        chat = [{"role": "user", "content": SAMPLE}]
        values[one.name] = chat if one.type == "chat" else f"{one.title} {SAMPLE}"
    return RecordInput(external_id="1", fields=values, metadata={})


def _record(schema: DatasetSchema, number: int, item: RecordInput) -> PreviewRecord:
    suggestions = {
        one.question_id: Suggestion(
            question_id=one.question_id,
            value=one.value,
            score=one.score,
            agent=one.agent,
            type=one.type,
        )
        for one in item.suggestions
    }
    answers = (item.responses[0].values if item.responses else None) or {}
    fields = item.fields or {}
    questions = show_questions(schema, suggestions, answers, {}, fields)
    cards = show_fields(schema, fields, questions)
    shift = APART * number
    return PreviewRecord(
        number,
        fields=[replace(card, number=card.number + shift) for card in cards],
        questions=[replace(card, number=card.number + shift) for card in questions],
        metadata=show_metadata(schema, item.metadata, all_of_it=True),
    )
