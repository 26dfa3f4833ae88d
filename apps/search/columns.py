"""What a scope means in SQL: the values a record has there, to be compared and sorted by."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Final
from uuid import UUID

from apps.core.errors import InvalidError
from apps.datasets.models import PropertyType, QuestionType
from apps.datasets.schema import DatasetSchema, QuestionRule
from apps.records.side_rows import MAX_TERM
from apps.search.between import (
    CLASSED,
    any_of,
    outcome_condition,
    pair_condition,
    read_outcome,
    read_pair,
)
from apps.search.query import (
    AnswererScope,
    Filter,
    MetadataScope,
    OutcomeScope,
    PairScope,
    RecordScope,
    ResponseScope,
    Scope,
    SuggestionScope,
    Terms,
    Viewpoint,
)

NEVER: Final = "false"
PENDING: Final = "pending"
LISTS: Final = {QuestionType.MULTI_LABEL, QuestionType.RANKING, QuestionType.SPAN}
LABELS: Final = {QuestionType.LABEL, QuestionType.MULTI_LABEL}


class Parameters:
    """Placeholders with names of their own."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.values: dict[str, Any] = {}

    def add(self, value: Any, type: str) -> str:
        """The placeholder of a new value of this PostgreSQL type."""
        name = f"{self.prefix}_{len(self.values)}"
        self.values[name] = value
        return f"%({name})s::{type}"


# --- Kinds: how given text becomes a value ----------------------------------------------------
@dataclass(frozen=True, slots=True)
class Kind:
    """A PostgreSQL type and its reader, which raises ``ValueError`` for what it cannot read."""

    name: str
    type: str
    read: Callable[[str], Any]

    def bound(self, given: float | str) -> Any:
        """A bound of a range. Raises ``InvalidError``."""
        try:
            return self.read(str(given))
        except (ValueError, OverflowError):
            raise InvalidError(f"{str(given)[:100]!r} is not a {self.name}") from None

    def terms(self, given: Sequence[str]) -> list[Any]:
        """The values that can be read; nothing equals the others."""
        values = []
        for text in given:
            try:
                values.append(self.read(text))
            except (ValueError, OverflowError):
                continue
        return values


def _number(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(text)
    return number


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _rating(text: str) -> str:
    """A rating's key: ``1.0`` is the rating 1."""
    number = _number(text)
    return str(int(number)) if number.is_integer() else text


TEXT: Final = Kind("text", "text", lambda text: text)
TERM: Final = Kind("text", "text", lambda text: text[:MAX_TERM])
NUMBER: Final = Kind("number", "float8", _number)
TIME: Final = Kind("time in ISO 8601", "timestamptz", _time)
ID: Final = Kind("UUID", "uuid", UUID)
RATING: Final = Kind("rating", "text", _rating)


# --- Columns ----------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Column:
    """Values of one kind: of the record itself, or of the rows beside it.

    ``source`` is a table with its alias, ``rows`` the condition that says which of its rows are
    meant, both empty for the record itself. ``key`` is what is sorted by, if not ``expression``;
    ``single``: at most one such row a record.
    """

    expression: str
    kind: Kind
    parameters: Parameters
    source: str = ""
    rows: str = ""
    key: str = ""
    single: bool = True

    def condition(self, given: Filter) -> str:
        """SQL over ``r`` that is true of the records the filter wants."""
        compared = self.compare(given)
        if not self.source or compared == NEVER:
            return compared
        return f"EXISTS (SELECT FROM {self.source} WHERE {self.rows} AND {compared})"

    def compare(self, given: Filter) -> str:
        if isinstance(given, Terms):
            values = self.kind.terms(given.values)
            array = f"{self.kind.type}[]"
            return f"{self.expression} = ANY ({self.parameters.add(values, array)})"
        bounds = []
        for operator, bound in ((">=", given.ge), ("<=", given.le)):
            if bound is not None:
                value = self.parameters.add(self.kind.bound(bound), self.kind.type)
                bounds.append(f"{self.expression} {operator} {value}")
        return " AND ".join(bounds)

    def sort_key(self, *, descending: bool) -> str:
        """SQL over ``r`` to sort by: of several values the lowest, or the highest first."""
        key = self.key or self.expression
        if not self.source:
            return key
        if not self.single:
            key = self._one_of_many(key, descending)
        return f"(SELECT {key} FROM {self.source} WHERE {self.rows})"

    def order(self, *, descending: bool) -> str:
        """What stands in an ``ORDER BY``: records without a value come last."""
        way = "DESC" if descending else "ASC"
        return f"{self.sort_key(descending=descending)} {way} NULLS LAST"

    def joined_order(self, *, descending: bool) -> str:
        """The same where ``source`` is joined, so never null: saying where nulls come would keep
        it from its index."""
        return f"{self.key or self.expression} {'DESC' if descending else 'ASC'}"

    def _one_of_many(self, key: str, descending: bool) -> str:
        return f"{'max' if descending else 'min'}({key})"


@dataclass(frozen=True, slots=True)
class JsonColumn(Column):
    """A JSON value or a list of them, any of which may match; compared by SQL/JSON path, which
    finds nothing, and does not fail, where types differ."""

    def compare(self, given: Filter) -> str:
        if isinstance(given, Terms):
            return self._exists("@ == $values[*]", values=self.kind.terms(given.values))
        bounds = {"ge": given.ge, "le": given.le}
        read = {name: self.kind.bound(b) for name, b in bounds.items() if b is not None}
        operators = {"ge": "@ >= $ge", "le": "@ <= $le"}
        return self._exists(" && ".join(operators[name] for name in read), **read)

    def _exists(self, test: str, **values: Any) -> str:
        given = self.parameters.add(json.dumps(values), "jsonb")
        return f"jsonb_path_exists({self.expression}, '$[*] ? ({test})', {given})"


@dataclass(frozen=True, slots=True)
class RatingColumn(Column):
    """Ratings that models suggest: one is found by its key, which is indexed, a range as JSON."""

    def compare(self, given: Filter) -> str:
        if isinstance(given, Terms):
            return Column.compare(self, given)
        return JsonColumn("s.value", NUMBER, self.parameters).compare(given)


@dataclass(frozen=True, slots=True)
class StatusColumn(Column):
    """The status of responses, or who gave them; and pending: no response at all."""

    def condition(self, given: Filter) -> str:
        found = Column.condition(self, given)
        if not isinstance(given, Terms) or PENDING not in given.values:
            return found
        return f"({found} OR NOT EXISTS (SELECT FROM {self.source} WHERE {self.rows}))"


@dataclass(frozen=True, slots=True)
class AverageColumn(JsonColumn):
    """Numbers that several people gave; sorted by their average."""

    def _one_of_many(self, key: str, descending: bool) -> str:
        return f"avg({key})"


@dataclass(frozen=True, slots=True)
class NoColumn(Column):
    """What cannot be compared: free texts, rankings, spans."""

    def condition(self, given: Filter) -> str:
        return NEVER

    def sort_key(self, *, descending: bool) -> str:
        return "NULL::text"


@dataclass(frozen=True, slots=True)
class BetweenColumn(NoColumn):
    """What answers are to each other; ``read`` and ``mean`` say what a value asks for."""

    rule: QuestionRule | None = None
    read_one: Callable[[str], Any] = read_pair
    mean: Callable[..., str] = pair_condition

    def condition(self, given: Filter) -> str:
        if not isinstance(given, Terms):
            return NEVER
        found = [one for text in given.values if (one := self.read_one(text)) is not None]
        return any_of(self.mean(self.rule, one, self.parameters.add) for one in found)


# --- Scopes -----------------------------------------------------------------------------------
_BESIDE: Final = (
    "{0}.organization_id = r.organization_id AND {0}.dataset_id = r.dataset_id"
    " AND {0}.record_id = r.id"
)


class Scopes:
    """The columns that the scopes of one search mean."""

    def __init__(self, schema: DatasetSchema, viewpoint: Viewpoint, parameters: Parameters) -> None:
        self.schema = schema
        self.viewpoint = viewpoint
        self.parameters = parameters

    def column(self, scope: Scope) -> Column:
        """Raises ``InvalidError`` for an unknown question or property."""
        if isinstance(scope, RecordScope):
            kind = {"id": ID, "inserted_at": TIME, "updated_at": TIME}.get(scope.property, TEXT)
            return Column(f"r.{scope.property}", kind, self.parameters)
        if isinstance(scope, MetadataScope):
            return self._metadata(scope)
        if isinstance(scope, SuggestionScope):
            return self._suggestion(scope)
        if isinstance(scope, AnswererScope):
            source = self._responses(None)
            return StatusColumn("x.user_id", ID, self.parameters, *source, single=False)
        if isinstance(scope, PairScope | OutcomeScope):
            return self._between(scope)
        return self._response(scope)

    def _between(self, scope: PairScope | OutcomeScope) -> Column:
        """Nothing for who may not see others' answers."""
        rule = self._question(scope.question)
        is_pair = isinstance(scope, PairScope)
        if self.viewpoint.own is not None or not (is_pair or rule.type in CLASSED):
            return NoColumn("", TEXT, self.parameters)
        functions = (read_pair, pair_condition) if is_pair else (read_outcome, outcome_condition)
        return BetweenColumn("", TEXT, self.parameters, "", "", "", True, rule, *functions)

    def _metadata(self, scope: MetadataScope) -> Column:
        property = self.schema.properties.get(scope.property)
        if property is None or property.name in self.viewpoint.hidden:
            raise self._unknown("MetadataProperty", scope.property)
        number = self.parameters.add(property.number, "smallint")
        source = "record_metadata m", f"{_BESIDE.format('m')} AND m.number = {number}"
        if property.type == PropertyType.TERMS:
            return Column("m.term", TERM, self.parameters, *source, single=False)
        return Column("m.value", NUMBER, self.parameters, *source)

    def _suggestion(self, scope: SuggestionScope) -> Column:
        rule = self._question(scope.question)
        question = self.parameters.add(rule.id, "uuid")
        source = "suggestion s", f"{_BESIDE.format('s')} AND s.question_id = {question}"
        if scope.property == "value":
            return self._suggested_value(rule, source)
        if scope.property != "score":
            return Column(f"s.{scope.property}", TEXT, self.parameters, *source)
        if rule.type in LISTS:
            return JsonColumn("s.score", NUMBER, self.parameters, *source, key="s.certainty")
        return Column("s.certainty", NUMBER, self.parameters, *source)

    def _suggested_value(self, rule: QuestionRule, source: tuple[str, str]) -> Column:
        if rule.type == QuestionType.LABEL:
            return Column("s.value_key", TEXT, self.parameters, *source)
        if rule.type == QuestionType.RATING:
            key = "s.value_key::float8"
            return RatingColumn("s.value_key", RATING, self.parameters, *source, key=key)
        if rule.type == QuestionType.MULTI_LABEL:
            return JsonColumn("s.value", TEXT, self.parameters, *source, key="s.value ->> 0")
        return NoColumn("", TEXT, self.parameters)

    def _response(self, scope: ResponseScope) -> Column:
        source = self._responses(scope.member)
        if scope.question is None:
            return StatusColumn("x.status", TEXT, self.parameters, *source, single=False)
        rule = self._question(scope.question)
        if rule.type not in LABELS | {QuestionType.RATING}:
            return NoColumn("", TEXT, self.parameters)
        value = f"x.values -> {self.parameters.add(rule.name, 'text')} -> 'value'"
        text = f"({value} #>> '{{}}')"
        if rule.type == QuestionType.RATING:
            key = f"{text}::float8"
            return AverageColumn(value, NUMBER, self.parameters, *source, key=key, single=False)
        return JsonColumn(value, TEXT, self.parameters, *source, key=text, single=False)

    def _responses(self, member: UUID | None) -> tuple[str, str]:
        """Where responses are: of one member if named, and one's own if no others count."""
        rows = _BESIDE.format("x")
        for one in {member, self.viewpoint.own} - {None}:
            rows += f" AND x.user_id = {self.parameters.add(one, 'uuid')}"
        return "response x", rows

    def _question(self, name: str) -> QuestionRule:
        rule = self.schema.questions.get(name)
        if rule is None:
            raise self._unknown("Question", name)
        return rule

    def _unknown(self, kind: str, name: str) -> InvalidError:
        dataset_id = self.schema.dataset.id
        return InvalidError(f"{kind} not found filtering by name={name}, dataset_id={dataset_id}")
