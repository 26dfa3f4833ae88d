"""How a model is asked for JSON, and which parameters it knows: learned from its refusals.

Servers differ: some take a JSON schema, some only ``json_object`` with one beside it, some
``json_object`` alone, some nothing at all. The surest form is tried first; a refusal that speaks of
it leads to the next. What is found out holds for the process at once, and is written to the model
with ``remember``.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import UUID
from weakref import WeakKeyDictionary

from apps.llms.connections import ProviderConnection
from apps.llms.models import AnswerForm, Quirk
from apps.llms.refusals import AnsweredError
from apps.llms.wire import Request

_FORMS: Final = list(AnswerForm.values)
_FORM_WORDS: Final = (
    *("response_format", "json_schema", "json_object", "structured output", "schema"),
    *("grammar", "guided", "json mode"),
)
_NOT_KNOWN: Final = (
    *("unsupported", "not support", "does not support", "unknown", "unrecognized", "unexpected"),
    *(
        "not permitted",
        "not allowed",
        "extra",
        "max_completion_tokens' instead",
        "only the default",
    ),
)
_PARAMETERS: Final = {
    "max_tokens": Quirk.MAX_COMPLETION_TOKENS,
    "temperature": Quirk.NO_TEMPERATURE,
    "top_p": Quirk.NO_TOP_P,
    "seed": Quirk.NO_SEED,
}
_PUZZLES: Final = 3  # failures without a word about the form before the next form is tried
_PROOFS: Final = 3  # calls that a form come to so must be alone in answering
_WEIGHT: Final = 2000.0  # tokens that the ratio known so far counts for
_MOST_MEMORIES: Final = 10_000


@dataclass(frozen=True, slots=True)
class Dialect:
    """``form`` is None while nobody knows; then the surest is used.

    ``is_guess`` is a form that was come to by nothing but failures of the server.
    """

    form: str | None = None
    quirks: frozenset[str] = frozenset()
    is_guess: bool = False

    def body(self, request: Request) -> dict[str, Any]:
        """The call as this model wants it, for ``/chat/completions``."""
        form = (self.form or AnswerForm.JSON_SCHEMA) if request.schema is not None else None
        body: dict[str, Any] = {
            "model": request.model,
            "messages": _messages(request, form),
        }
        if Quirk.NO_TEMPERATURE not in self.quirks:
            body["temperature"] = request.temperature
        if request.top_p is not None and Quirk.NO_TOP_P not in self.quirks:
            body["top_p"] = request.top_p
        if request.max_tokens is not None:
            is_new = Quirk.MAX_COMPLETION_TOKENS in self.quirks
            body["max_completion_tokens" if is_new else "max_tokens"] = request.max_tokens
        seed = _seed(request)
        if seed is not None and Quirk.NO_SEED not in self.quirks:
            body["seed"] = seed
        answer_format = _format(request.schema, form) if request.schema is not None else None
        return body if answer_format is None else {**body, "response_format": answer_format}

    def without(self, parameter: str) -> "Dialect | None":
        """The dialect that does not use the parameter; None when it does not anyway."""
        quirk = _PARAMETERS[parameter]
        return None if quirk in self.quirks else replace(self, quirks=self.quirks | {quirk})

    def less_sure(self, *, is_guess: bool) -> "Dialect | None":
        """The dialect with the next form; None after the last. What follows a guess is one."""
        following = _FORMS[_FORMS.index(self.form or _FORMS[0]) + 1 :]
        is_guess = is_guess or self.is_guess
        return replace(self, form=following[0], is_guess=is_guess) if following else None


@dataclass(slots=True)
class Memory:
    """What this process knows of a model; ``new_…`` is not written down yet."""

    dialect: Dialect
    characters: float
    tokens: float
    is_new: bool = False
    new_characters: float = 0.0
    new_tokens: float = 0.0
    puzzles: int = 0
    proofs: int = 0
    locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = field(
        default_factory=WeakKeyDictionary
    )

    @property
    def characters_per_token(self) -> float:
        return self.characters / self.tokens

    def turn(self) -> asyncio.Lock:
        """One call at a time finds out, in this loop."""
        return self.locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())

    def next_try(self, tried: Dialect, request: Request, error: AnsweredError) -> Dialect | None:
        """Another dialect worth trying after the refusal of one; None: it is not about that."""
        if error.status not in (400, 404, 415, 422, 500, 501):
            return None
        told = f"{error.param} {error.message}".lower()
        if error.status < 500 and (parameter := _parameter_refused(tried, request, error, told)):
            return tried.without(parameter)
        if request.schema is None or "context_length" in error.code:
            return None
        is_named = any(word in told for word in _FORM_WORDS)
        if not is_named and not self._is_puzzling(error.status):
            return None
        return tried.less_sure(is_guess=error.status >= 500 and not is_named)

    def learn(self, spoken: Dialect, request: Request) -> None:
        """The call succeeded in this dialect."""
        form = self.dialect.form
        if form is None and request.schema is not None and self._is_proven(spoken):
            form = spoken.form or _FORMS[0]
        known = Dialect(form, self.dialect.quirks | spoken.quirks)
        if known != self.dialect:
            self.dialect, self.is_new = known, True

    def count(self, characters: int, tokens: int) -> None:
        """A prompt of so many characters had so many tokens."""
        if tokens > 0:
            self.characters += characters
            self.tokens += tokens
            self.new_characters += characters
            self.new_tokens += tokens

    def _is_proven(self, spoken: Dialect) -> bool:
        """Whether the form is the model's, not one that a server's bad moment led to.

        A guess is proven by several calls in a row of which each fails in the surest form and
        is answered in this one; so the next call tries the surest again.
        """
        self.proofs = self.proofs + 1 if spoken.is_guess else 0
        is_proven = not spoken.is_guess or self.proofs >= _PROOFS
        self.puzzles = 0 if is_proven else _PUZZLES - 1
        return is_proven

    def _is_puzzling(self, status: int) -> bool:
        """Whether a refusal without a reason may be due to the form: while no form ever worked.

        A server's error may be chance: only several in a row count.
        """
        if self.dialect.form is not None:
            return False
        if status < 500:
            return status in (400, 422)
        self.puzzles += 1
        return self.puzzles >= _PUZZLES


_memories: dict[tuple[UUID, str], Memory] = {}


def memory_of(connection: ProviderConnection) -> Memory:
    """This process' memory of the model; what the row knows already goes into it."""
    # The address is part of the key: what was learned of one server is not true of another.
    key = (connection.model_id, connection.base_url)
    memory = _memories.get(key)
    if memory is None:
        if len(_memories) >= _MOST_MEMORIES:
            _memories.clear()
        dialect = Dialect(connection.answer_form, connection.quirks)
        characters = _WEIGHT * connection.characters_per_token
        memory = _memories[key] = Memory(dialect, characters, _WEIGHT)
    elif memory.dialect.form is None and connection.answer_form is not None:
        memory.dialect = Dialect(connection.answer_form, connection.quirks)
    return memory


def forget() -> None:
    """Begin anew in this process."""
    _memories.clear()


def new_knowledge(connection: ProviderConnection) -> Memory | None:
    """The memory, if it holds something worth writing down."""
    memory = _memories.get((connection.model_id, connection.base_url))
    if memory is None:
        return None
    # What weighs little against what is known already is not worth a statement.
    enough = max(10 * _WEIGHT, memory.tokens / 4)
    return memory if memory.is_new or memory.new_tokens >= enough else None


def _parameter_refused(
    tried: Dialect, request: Request, error: AnsweredError, told: str
) -> str | None:
    """The parameter that the refusal is about, if the call had it."""
    body = tried.body(request)
    told = f"{error.code} {told}"
    if not any(word in told for word in _NOT_KNOWN):
        return None  # it may be the value that is refused
    for parameter in _PARAMETERS:
        if parameter in told and parameter in body:
            return parameter
    return None


def _seed(request: Request) -> int | None:
    """Another seed for another sample, so that it is another call on the wire too."""
    if request.seed is None and request.sample_index == 0:
        return None
    return (request.seed or 0) + request.sample_index


def _messages(request: Request, form: str | None) -> list[dict[str, str]]:
    """The messages; where the server is not told the schema, the model is."""
    messages = [dict(message) for message in request.messages]
    if form not in (AnswerForm.JSON_OBJECT, AnswerForm.TEXT):
        return messages
    schema = json.dumps(request.schema, ensure_ascii=False, separators=(",", ":"))
    told = (
        "Answer with one JSON object and nothing else, no fence and no comment."
        f" It satisfies this JSON schema:\n{schema}"
    )
    if messages and messages[0]["role"] == "system":
        messages[0]["content"] += f"\n\n{told}"
        return messages
    return [{"role": "system", "content": told}, *messages]


def _format(schema: Mapping[str, Any], form: str | None) -> dict[str, Any] | None:
    if form == AnswerForm.JSON_SCHEMA:
        described = {"name": "answer", "schema": schema, "strict": is_strict(schema)}
        return {"type": "json_schema", "json_schema": described}
    if form == AnswerForm.JSON_OBJECT_SCHEMA:
        return {"type": "json_object", "schema": schema}
    return {"type": "json_object"} if form == AnswerForm.JSON_OBJECT else None


_STRICT_KEYS: Final = {
    *("type", "properties", "required", "additionalProperties", "items", "enum", "const"),
    *("description", "title", "anyOf", "$ref", "$defs", "minimum", "maximum", "pattern"),
    *("minItems", "maxItems"),
}


def is_strict(schema: Any) -> bool:
    """Whether the schema keeps to what servers with a strict mode accept there."""
    if not isinstance(schema, Mapping) or not schema.keys() <= _STRICT_KEYS:
        return False
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", [])]
    inner += [*schema.get("$defs", {}).values()]
    inner += [schema["items"]] if "items" in schema else []
    if "properties" in schema:
        required = set(schema.get("required", ()))
        is_closed = schema.get("additionalProperties") is False
        if not is_closed or required != set(schema["properties"]):
            return False
    return all(map(is_strict, inner))
