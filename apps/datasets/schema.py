"""A dataset's shape, loaded once per request and asked for every value."""

from functools import cached_property
from uuid import UUID

from apps.datasets.models import (
    Dataset,
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


class DatasetSchema:
    """Fields, questions, metadata properties and vector settings by name.

    Each part is read when first asked for: one query a part.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    @cached_property
    def fields(self) -> dict[str, Field]:
        parts = Field.objects.filter(dataset=self.dataset).in_order()
        return {field.name: field for field in parts}

    @cached_property
    def questions(self) -> dict[str, QuestionRule]:
        parts = Question.objects.filter(dataset=self.dataset).in_order()
        return {question.name: QuestionRule(question) for question in parts}

    @cached_property
    def questions_by_id(self) -> dict[UUID, QuestionRule]:
        return {rule.id: rule for rule in self.questions.values()}

    @cached_property
    def properties(self) -> dict[str, MetadataProperty]:
        parts = MetadataProperty.objects.filter(dataset=self.dataset).in_order()
        return {property.name: property for property in parts}

    @cached_property
    def vectors(self) -> dict[str, VectorSettings]:
        parts = VectorSettings.objects.filter(dataset=self.dataset).in_order()
        return {settings.name: settings for settings in parts}

    @cached_property
    def required_fields(self) -> list[str]:
        return [name for name, field in self.fields.items() if field.required]

    @cached_property
    def required_questions(self) -> list[str]:
        return [name for name, rule in self.questions.items() if rule.required]

    @cached_property
    def span_fields(self) -> set[str]:
        """The fields that span questions mark."""
        return {
            rule.field
            for rule in self.questions.values()
            if rule.type == QuestionType.SPAN and rule.field
        }


def load_schema(dataset: Dataset) -> DatasetSchema:
    """The dataset's shape; its parts are read as they are needed."""
    return DatasetSchema(dataset)
