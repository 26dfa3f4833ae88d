"""A record there becomes a record here; a part that breaks our rules is left out and told of."""

from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel, ValidationError

from apps.annotation.services import clean_responses
from apps.core.errors import DomainError, InvalidError
from apps.datasets import content, values
from apps.datasets.schema import DatasetSchema
from apps.exchange.argilla import wire
from apps.exchange.argilla.people import People
from apps.exchange.argilla.report import Counts, Report
from apps.exchange.blueprint import first_fault
from apps.exchange.compose import check_about, checked_status
from apps.exchange.own_form import in_utc
from apps.exchange.rows import Row
from apps.exchange.strict_json import check_document
from apps.records.bulk import MAX_EXTERNAL_ID, clean_suggestion
from apps.records.inputs import RecordInput, ResponseInput, SuggestionInput

_Document = TypeVar("_Document", bound=BaseModel)


def external_id_of(given: Mapping[str, Any]) -> str:
    """The record's external id, or its id there when it has none that can be kept."""
    name = given.get("external_id")
    fits = isinstance(name, str) and 1 <= len(name) <= MAX_EXTERNAL_ID
    return str(name if fits else given.get("id"))


def count(given: Mapping[str, Any]) -> Counts:
    """What a record brings, good or not."""
    return Counts(
        records=1,
        responses=len(given.get("responses") or ()),
        suggestions=len(given.get("suggestions") or ()),
        vectors=len(given.get("vectors") or ()),
    )


class Composer:
    """Makes records of a dataset's rows; ``questions`` are the names by id there."""

    def __init__(
        self, where: str, questions: Mapping[UUID, str], people: People, report: Report
    ) -> None:
        self.where = where
        self.questions = questions
        self.people = people
        self.report = report

    def __call__(self, schema: DatasetSchema, row: Row) -> RecordInput:
        """The record. Raises ``InvalidError`` when its fields cannot be kept."""
        check_document({name: one for name, one in row.values.items() if name != "vectors"})
        record = _parsed(wire.Record, row.values)
        return _Parts(self, schema, record, external_id_of(row.values)).composed()


class _Parts:
    """One record's parts, each tried by itself."""

    def __init__(
        self, composer: Composer, schema: DatasetSchema, record: wire.Record, name: str
    ) -> None:
        self.composer = composer
        self.schema = schema
        self.record = record
        self.name = name
        self.fields = content.clean_fields(schema, record.fields)

    def composed(self) -> RecordInput:
        record = self.record
        if record.external_id is not None and record.external_id != self.name:
            self._skip("external id", f"it has not 1 to {MAX_EXTERNAL_ID} characters")
        return RecordInput(
            external_id=self.name,
            fields=self.fields,
            metadata=self._metadata(),
            suggestions=self._suggestions(),
            responses=self._responses(),
            vectors=self._vectors(),
            inserted_at=in_utc(record.inserted_at),
        )

    def _skip(self, what: str, reason: str) -> None:
        self.composer.report.skip(self.composer.where, f"{what} of record {self.name!r}", reason)

    def _metadata(self) -> dict[str, Any] | None:
        if self.record.metadata is None:
            return None
        kept = {}
        for name, value in self.record.metadata.items():
            try:
                content.check_metadata(self.schema, {name: value})
            except DomainError as error:
                self._skip(f"metadata {name!r}", error.message)
            else:
                kept[name] = value
        return kept

    def _suggestions(self) -> list[SuggestionInput]:
        kept: dict[str, SuggestionInput] = {}
        for document in self.record.suggestions:
            name = "?"
            try:
                given = _parsed(wire.Suggestion, document)
                name = self.composer.questions.get(given.question_id, "?")
                kept[name] = self._suggestion(name, given)
            except DomainError as error:
                self._skip(f"suggestion for {name!r}", error.message)
        return list(kept.values())

    def _suggestion(self, name: str, given: wire.Suggestion) -> SuggestionInput:
        rule = self.schema.questions.get(name)
        if rule is None:
            raise InvalidError("the dataset has no such question")
        check_about({"agent": given.agent, "type": given.type})
        suggestion = SuggestionInput(rule.id, given.value, given.score, given.agent, given.type)
        clean_suggestion(self.schema, suggestion, self.fields)
        return suggestion

    def _responses(self) -> list[ResponseInput]:
        kept: dict[UUID, ResponseInput] = {}
        for document in self.record.responses:
            author = "?"
            try:
                given = _parsed(wire.Response, document)
                user = self.composer.people.users.get(given.user_id)
                author = user.username if user else str(given.user_id)
                response = self._response(given)
                kept[response.user_id] = response
            except DomainError as error:
                self._skip(f"response of {author!r}", error.message)
        return list(kept.values())

    def _response(self, given: wire.Response) -> ResponseInput:
        user_id = self.composer.people.member_id(given.user_id)
        if user_id is None:
            raise InvalidError("the server has no such user")
        response = ResponseInput(
            user_id=user_id,
            status=checked_status(given.status),
            values=given.values or {},
            inserted_at=in_utc(given.inserted_at),
        )
        [cleaned] = clean_responses(
            schema=self.schema, responses=[response], fields=self.fields, known_users={user_id}
        )
        return cleaned

    def _vectors(self) -> dict[str, Any]:
        kept = {}
        for name, numbers in (self.record.vectors or {}).items():
            try:
                kept[name] = values.clean_vector(self.schema, name, numbers)
            except DomainError as error:
                self._skip(f"vector {name!r}", error.message)
        return kept


def _parsed(model: type[_Document], document: Any) -> _Document:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise InvalidError(first_fault(error)) from error
