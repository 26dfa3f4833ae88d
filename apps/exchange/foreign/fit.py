"""An item of another tool becomes a record of a dataset. Used inside the organization."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from apps.core.errors import InvalidError
from apps.datasets.models import FieldType, QuestionType
from apps.datasets.schema import DatasetSchema, QuestionRule
from apps.exchange.compose import People
from apps.exchange.foreign.hints import Hints
from apps.exchange.own_form import moment, read_own_form
from apps.exchange.rows import Row
from apps.records.inputs import RecordInput

SUBMITTED: Final = "submitted"
DRAFT: Final = "draft"


class Fitter:
    """Makes the records of one file.

    ``users`` are usernames here by names there; ``responder`` is whose answers are that name
    nobody, or nobody known. Answers of nobody at all are suggestions.
    """

    def __init__(self, hints: Hints, users: Mapping[str, str], responder: str) -> None:
        self.hints = hints
        self.users = users
        self.responder = responder
        self.people = People()

    def __call__(self, schema: DatasetSchema, row: Row) -> RecordInput:
        """The record. Raises ``InvalidError`` with the reason."""
        return read_own_form(self._own_form(schema, row.values), schema=schema, people=self.people)

    def _own_form(self, schema: DatasetSchema, item: Mapping[str, Any]) -> dict[str, Any]:
        fields, metadata, vectors = self._columns(schema, item)
        suggestions = [
            fitted
            for one in item["suggestions"]
            if (fitted := self._suggestion(schema, one)) is not None
        ]
        responses: dict[str, dict[str, Any]] = {}
        for one in _given(schema, item):
            response = self._response(schema, one)
            if user := response["user"]:
                responses[user] = self._newer(responses.get(user), response)
            else:
                suggestions += _as_suggestions(response, suggestions)
        return {
            "id": item["id"],
            "fields": fields,
            "metadata": metadata,
            "suggestions": suggestions,
            "responses": list(responses.values()),
            "vectors": vectors,
        }

    def _columns(
        self, schema: DatasetSchema, item: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Fields, metadata and vectors; what has no place is noted."""
        fields, vectors = {}, dict(item.get("vectors") or {})
        metadata = dict(item.get("metadata") or {})
        for name, value in item["data"].items():
            if value is None:
                continue
            if name in schema.fields:
                fields[name] = _field_value(schema.fields[name].type, value)
            elif name in schema.vectors:
                vectors[name] = value
            elif name in schema.properties or schema.dataset.allow_extra_metadata:
                metadata[name] = value
            else:
                self.hints.ignored.add(name)
        if not fields:
            there = ", ".join(schema.fields)
            raise InvalidError(f"no column is a field of the dataset, which has: {there}")
        return fields, metadata, vectors

    def _suggestion(self, schema: DatasetSchema, given: Mapping[str, Any]) -> dict[str, Any] | None:
        rule = self._rule(schema, given["question"])
        value = _fitted(rule, given["value"]) if rule else None
        if value is None:
            return None
        return {**given, "value": value, "score": _fitted_score(value, given.get("score"))}

    def _response(self, schema: DatasetSchema, given: Mapping[str, Any]) -> dict[str, Any]:
        """Completed with empty spans; a draft where a required answer is missing still."""
        values = {}
        for name, answer in given["values"].items():
            rule = self._rule(schema, name)
            value = _fitted(rule, answer) if rule else None
            if value is not None:
                values[name] = value
        status = given["status"]
        if status == SUBMITTED:
            for name in schema.required_questions:
                if schema.questions[name].type == QuestionType.SPAN:
                    values.setdefault(name, [])
            if not values.keys() >= set(schema.required_questions):
                status = DRAFT
        user = self._user(given.get("user"))
        return {**given, "user": user, "status": status, "values": values}

    def _newer(self, before: dict[str, Any] | None, response: dict[str, Any]) -> dict[str, Any]:
        """Of two answers of one person the newer, which is the later one where no time says so."""
        if before is None:
            return response
        self.hints.ignored.add(f"{response['user']} (an earlier answer to the same item)")
        first, second = (moment(one.get("inserted_at")) for one in (before, response))
        return before if first and second and first > second else response

    def _rule(self, schema: DatasetSchema, name: str) -> QuestionRule | None:
        rule = schema.questions.get(name)
        if rule is None:
            self.hints.ignored.add(name)
        return rule

    def _user(self, given: str | None) -> str:
        if given is None:
            return self.responder
        if given in self.users:
            return self.users[given]
        try:
            self.people.id_of(given)
        except InvalidError as error:
            if self.responder:
                return self.responder
            wanted = f"say who it is: --user {given[:100]}=USERNAME, or --response-user USERNAME"
            raise InvalidError(f"{error.message}; {wanted}") from error
        return given


def _given(schema: DatasetSchema, item: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The item's answers; that there is nothing to mark is one to a question of spans alone."""
    given: list[Mapping[str, Any]] = item["responses"]
    rule = schema.questions.get(item.get("unmarked") or "")
    if rule is None or rule.type != QuestionType.SPAN:
        return given
    return [*given, {"user": None, "status": SUBMITTED, "values": {rule.name: []}}]


def _as_suggestions(
    response: Mapping[str, Any], known: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The answers of nobody; a suggestion that is there goes before them."""
    taken = {one["question"] for one in known}
    return [
        {"question": name, "value": value, "type": "human"}
        for name, value in response["values"].items()
        if name not in taken
    ]


def _field_value(type: str, value: Any) -> Any:
    if type == FieldType.TEXT and isinstance(value, int | float):
        return str(value)
    return value


# --- Answers in the form of their questions; None is no answer --------------------------------
def _fitted(rule: QuestionRule, value: Any) -> Any:
    return _FITTERS.get(rule.type, _same)(rule, value)


def _same(rule: QuestionRule, value: Any) -> Any:
    return value


def _single(rule: QuestionRule, value: Any) -> Any:
    """One text: tools give a list of one."""
    if isinstance(value, list):
        if len(value) > 1:
            raise InvalidError(f"{len(value)} answers where {rule.name!r} takes one")
        value = value[0] if value else None
    return str(value) if isinstance(value, int | float) else value


def _several(rule: QuestionRule, value: Any) -> Any:
    given = value if isinstance(value, list) else [value]
    return list(dict.fromkeys(map(str, given))) or None


def _rating(rule: QuestionRule, value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _spans(rule: QuestionRule, value: Any) -> Any:
    """Each once: two regions may say the same."""
    if not isinstance(value, list):
        return value
    return [one for place, one in enumerate(value) if one not in value[:place]]


_FITTERS: Final[dict[str, Callable[[QuestionRule, Any], Any]]] = {
    QuestionType.LABEL: _single,
    QuestionType.TEXT: _single,
    QuestionType.MULTI_LABEL: _several,
    QuestionType.RATING: _rating,
    QuestionType.SPAN: _spans,
}


def _fitted_score(value: Any, score: Any) -> Any:
    """A number from 0 to 1, for each of a list; tools give one for the whole, or of any size."""
    scores = score if isinstance(score, list) else [score]
    if not all(isinstance(one, int | float) and 0 <= one <= 1 for one in scores):
        return None
    if not isinstance(value, list):
        return scores[0] if len(scores) == 1 else None
    if len(scores) == len(value):
        return scores
    return scores * len(value) if len(scores) == 1 else None
