"""A dataset's shape, asked for every value."""

from functools import cached_property
from threading import Lock
from typing import Any
from uuid import UUID

from apps.core.tenancy import current
from apps.datasets.models import (
    Dataset,
    DatasetStatus,
    Field,
    MetadataProperty,
    Question,
    QuestionType,
    VectorSettings,
)


class QuestionRule:
    """A question with what its answers are checked against, ready for quick look-ups."""

    __slots__ = ("field", "id", "name", "options", "overlapping", "question", "required", "type")

    def __init__(self, question: Question) -> None:
        self.question = question
        self.id: UUID = question.id
        self.name: str = question.name
        self.type: str = question.type
        self.required: bool = question.required
        self.options = frozenset(option["value"] for option in question.options)
        self.field: str | None = question.settings.get("field")
        self.overlapping: bool = bool(question.settings.get("allow_overlapping"))

    @property
    def values(self) -> list[Any]:
        """The options in the order in which they are shown; ratings from the least, for what
        measures them goes by their places."""
        values = [option["value"] for option in self.question.options]
        return sorted(values) if self.type == QuestionType.RATING else values


class DatasetParts:
    """Fields, questions, metadata properties and vector settings of a dataset, by name.

    Each kind is read when first asked for: one query a kind.
    """

    def __init__(self, dataset_id: UUID) -> None:
        self.dataset_id = dataset_id

    @cached_property
    def fields(self) -> dict[str, Field]:
        return {part.name: part for part in self._of(Field)}

    @cached_property
    def questions(self) -> dict[str, QuestionRule]:
        return {part.name: QuestionRule(part) for part in self._of(Question)}

    @cached_property
    def properties(self) -> dict[str, MetadataProperty]:
        return {part.name: part for part in self._of(MetadataProperty)}

    @cached_property
    def vectors(self) -> dict[str, VectorSettings]:
        return {part.name: part for part in self._of(VectorSettings)}

    def _of(self, kind: Any) -> Any:
        return kind.objects.filter(dataset_id=self.dataset_id).in_order()


class DatasetSchema:
    """A dataset with its parts: what every value is checked against.

    Parts may be shared between threads: read them, never change them.
    """

    def __init__(self, dataset: Dataset, parts: DatasetParts) -> None:
        self.dataset = dataset
        self._parts = parts

    @property
    def fields(self) -> dict[str, Field]:
        return self._parts.fields

    @property
    def questions(self) -> dict[str, QuestionRule]:
        return self._parts.questions

    @property
    def properties(self) -> dict[str, MetadataProperty]:
        return self._parts.properties

    @property
    def vectors(self) -> dict[str, VectorSettings]:
        return self._parts.vectors

    @cached_property
    def questions_by_id(self) -> dict[UUID, QuestionRule]:
        return {rule.id: rule for rule in self.questions.values()}

    @cached_property
    def required_fields(self) -> list[str]:
        return [name for name, field in self.fields.items() if field.required]

    @cached_property
    def required_questions(self) -> list[str]:
        return [name for name, rule in self.questions.items() if rule.required]


def load_schema(dataset: Dataset) -> DatasetSchema:
    """The dataset with its parts at its ``schema_version``.

    A published dataset's parts hardly ever change, so the process remembers the last ones used.
    A draft's are read anew each time.
    """
    if dataset.status == DatasetStatus.DRAFT:
        return DatasetSchema(dataset, DatasetParts(dataset.id))
    key = (current(), dataset.id, dataset.schema_version)
    with _lock:
        parts = _remembered.pop(key, None) or DatasetParts(dataset.id)
        _remembered[key] = parts  # the last one used stands last
        if len(_remembered) > MAX_REMEMBERED:
            del _remembered[next(iter(_remembered))]
    return DatasetSchema(dataset, parts)


MAX_REMEMBERED = 256
_remembered: dict[tuple[UUID, UUID, int], DatasetParts] = {}
_lock = Lock()
