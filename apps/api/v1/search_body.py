"""A search as it stands in a body."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BeforeValidator, Field, model_validator

from apps.api.v1.values import Numbers
from apps.api.views import Schema
from apps.search import query

MAX_FILTERS = 50
MAX_TERMS = 250
MAX_SORTS = 10


class SearchPage(Schema):
    offset: int = Field(default=0, ge=0, le=2**31 - 1)
    limit: int = Field(default=50, ge=1, le=1000)
    include: list[str] = Field(default_factory=list)


class RecordScopeBody(Schema):
    entity: Literal["record"]
    property: query.RecordProperty

    def to_scope(self) -> query.Scope:
        return query.RecordScope(self.property)


class MetadataScopeBody(Schema):
    entity: Literal["metadata"]
    metadata_property: str

    def to_scope(self) -> query.Scope:
        return query.MetadataScope(self.metadata_property)


class SuggestionScopeBody(Schema):
    entity: Literal["suggestion"]
    question: str
    property: query.SuggestionProperty | None = "value"

    def to_scope(self) -> query.Scope:
        return query.SuggestionScope(self.question, self.property or "value")


class ResponseScopeBody(Schema):
    entity: Literal["response"]
    question: str | None = None
    property: Literal["status"] | None = None

    def to_scope(self) -> query.Scope:
        return query.ResponseScope(None if self.property else self.question)


ScopeBody = Annotated[
    RecordScopeBody | MetadataScopeBody | SuggestionScopeBody | ResponseScopeBody,
    Field(discriminator="entity"),
]


def _text(value: Any) -> Any:
    """Truth values as JSON writes them; numbers are coerced by the type."""
    return str(value).lower() if isinstance(value, bool) else value


_Term = Annotated[str, Field(coerce_numbers_to_str=True), BeforeValidator(_text)]


class TermsBody(Schema):
    type: Literal["terms"]
    scope: ScopeBody
    values: list[_Term] = Field(min_length=1, max_length=MAX_TERMS)

    def to_filter(self) -> query.Filter:
        return query.Terms(self.scope.to_scope(), self.values)


def _bound(given: float | str | None) -> float | str | datetime | None:
    """A number or a time also where it is written as text; a time is UTC unless it says more."""
    try:
        return float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        pass
    try:
        moment = datetime.fromisoformat(given)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return given
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class RangeBody(Schema):
    type: Literal["range"]
    scope: ScopeBody
    ge: float | str | None = None
    le: float | str | None = None

    @model_validator(mode="after")
    def bounds_in_order(self) -> "RangeBody":
        if self.ge is None and self.le is None:
            raise ValueError("either 'ge' or 'le' must be given")
        low, high = _bound(self.ge), _bound(self.le)
        if type(low) is type(high) and low > high:  # type: ignore[operator]
            raise ValueError("'ge' must be lower than or equal to 'le'")
        return self

    def to_filter(self) -> query.Filter:
        return query.Range(self.scope.to_scope(), self.ge, self.le)


FilterBody = Annotated[TermsBody | RangeBody, Field(discriminator="type")]


class FiltersBody(Schema):
    all_of: list[FilterBody] | None = Field(
        default=None, alias="and", min_length=1, max_length=MAX_FILTERS
    )


class SortBody(Schema):
    scope: ScopeBody
    order: Literal["asc", "desc"] = "asc"

    def to_sort(self) -> query.Sort:
        return query.Sort(self.scope.to_scope(), descending=self.order == "desc")


class TextBody(Schema):
    q: str
    field: str | None = None

    def to_words(self) -> query.Words:
        return query.Words(self.q, self.field)


class VectorBody(Schema):
    """A named vector that is given, or that of a record."""

    name: str
    record_id: UUID | None = None
    value: Numbers | None = None
    order: Literal["most_similar", "least_similar"] = "most_similar"

    @model_validator(mode="after")
    def one_of_two(self) -> "VectorBody":
        if (self.record_id is None) == (self.value is None):
            raise ValueError("either 'record_id' or 'value' must be given, and not both")
        return self

    def to_similar(self) -> query.Similar:
        least = self.order == "least_similar"
        return query.Similar(self.name, self.value, self.record_id, least)


class HybridBody(Schema):
    """Words and a likeness in one ranking. ``phrase`` is embedded here with the model that comes
    along; it may stand instead of a vector."""

    text: str
    vector: VectorBody | None = None
    phrase: str | None = Field(default=None, min_length=1, max_length=10_000)

    @model_validator(mode="after")
    def one_likeness(self) -> "HybridBody":
        if self.vector is not None and self.phrase is not None:
            raise ValueError("either 'vector' or 'phrase' may be given, not both")
        return self


class QueryBody(Schema):
    text: TextBody | None = None
    vector: VectorBody | None = None
    hybrid: HybridBody | None = None

    @model_validator(mode="after")
    def hybrid_alone(self) -> "QueryBody":
        if self.hybrid is not None and (self.text is not None or self.vector is not None):
            raise ValueError("'hybrid' takes the place of 'text' and 'vector'")
        return self


NO_QUERY = QueryBody()
NO_FILTERS = FiltersBody()


class SearchBody(Schema):
    query: QueryBody | None = None
    filters: FiltersBody | None = None
    sort: list[SortBody] | None = Field(default=None, min_length=1, max_length=MAX_SORTS)
