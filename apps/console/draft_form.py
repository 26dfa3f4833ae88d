"""The form in which a person changes a draft: what it shows, and what it reads.

Names of its inputs: ``field.<name>``, of a chat ``role.<name>`` and ``content.<name>`` for every
message; ``q.<question>`` as on the annotate page, and ``label.``, ``quote.`` and ``at.<question>``
for every span; ``key`` for every piece of metadata, whose value is ``m0``, ``m1`` and so on.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from django.http import QueryDict
from django.utils.translation import gettext as _

from apps.console.draft_metadata import MetadataInputs
from apps.console.draft_spans import Mark, marks_of, read_marks
from apps.console.inputs import Input
from apps.core.errors import InvalidError
from apps.datasets.content import MAX_MESSAGE, MAX_ROLE, MAX_TEXT
from apps.datasets.models import FieldType, QuestionType
from apps.datasets.schema import DatasetSchema
from apps.drafts.editing import Edit
from apps.drafts.models import Draft
from apps.drafts.provenance import answers_of, edits
from apps.labeling.answers import misfit, read_values
from apps.labeling.questions import QuestionCard, show_questions

BLANK_TURNS: Final = 1


@dataclass(frozen=True, slots=True)
class Turn:
    """A message of a chat, as typed."""

    role: str
    content: str


@dataclass
class FieldInput:
    """A field of the draft; ``turns`` of a chat, ``text`` of any other.

    ``written`` is what the model wrote there, if somebody has changed it.
    """

    number: int
    name: str
    title: str
    type: str
    required: bool
    text: str = ""
    turns: list[Turn] = field(default_factory=list)
    written: str = ""
    error: str = ""

    @property
    def id(self) -> str:
        return f"f-{self.number}"


@dataclass
class QuestionInput:
    """A question with the suggested value; ``marks`` of a span question."""

    card: QuestionCard
    marks: list[Mark]
    written: str = ""
    error: str = ""

    @property
    def id(self) -> str:
        return self.card.dom_id

    @property
    def title(self) -> str:
        return self.card.title


class DraftForm:
    """A draft as it is, or as it was typed; ``errors`` are by ``fields.text`` and the like."""

    def __init__(self, schema: DatasetSchema, draft: Draft, post: QueryDict | None = None) -> None:
        self.schema, self.draft, self.post = schema, draft, post
        self.errors: dict[str, str] = {}
        self.metadata_inputs = MetadataInputs(schema, draft, post)
        self.edited = edits(draft)

    # --- What is typed ---------------------------------------------------------------------------
    def read(self) -> Edit:
        """What the draft shall say; what cannot be read is named in ``errors``."""
        fields = dict(self.draft.fields)
        for name in [name for name in fields if name not in self.schema.fields]:
            del fields[name]
        for name, part in self.schema.fields.items():
            value = self._read_field(name, part.type)
            if value is None:
                fields.pop(name, None)
            else:
                fields[name] = value
        suggestions = self._read_suggestions(fields)
        metadata = self.metadata_inputs.read()
        self.errors |= self.metadata_inputs.errors
        return Edit(fields=fields, metadata=metadata, suggestions=suggestions)

    def _read_field(self, name: str, type: str) -> Any:
        """None for nothing; what was not touched stays as it is, to the last blank."""
        stored = self.draft.fields.get(name)
        if type == FieldType.CHAT:
            typed = self._typed_turns(name)
            return stored if typed == _turns(stored) else _messages(typed)
        text = self._typed(f"field.{name}")
        if text == _as_typed(_text(stored)):
            return stored
        if not text.strip():
            return None
        return self._parse(name, text) if type == FieldType.CUSTOM else text

    def _parse(self, name: str, text: str) -> Any:
        try:
            value = json.loads(text)
            json.dumps(value, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            self.errors[f"fields.{name}"] = _(
                "This is no JSON. An object looks like %(example)s."
            ) % {"example": '{"name": "value"}'}
            return self.draft.fields.get(name)
        return value

    def _read_suggestions(self, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
        values = {name: one["value"] for name, one in read_values(self.schema, self._sent).items()}
        for name, rule in self.schema.questions.items():
            if rule.type == QuestionType.SPAN:
                values.pop(name, None)
                spans = self._read_spans(name, rule.field or "", fields)
                if spans:
                    values[name] = spans
        return [{"question": name, "value": value} for name, value in values.items()]

    def _read_spans(self, name: str, field: str, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
        before = self.draft.fields.get(field)
        try:
            return read_marks(self._typed_marks(name), _text(before), _text(fields.get(field)))
        except InvalidError as error:
            self.errors[f"suggestions.{name}"] = error.message
            return list(answers_of(self.draft.suggestions).get(name) or ())

    @property
    def _sent(self) -> QueryDict:
        return self.post if self.post is not None else QueryDict()

    def _typed(self, name: str) -> str:
        return _as_typed(self._sent.get(name, ""))

    def _typed_turns(self, name: str) -> list[Turn]:
        roles, texts = self._sent.getlist(f"role.{name}"), self._sent.getlist(f"content.{name}")
        turns = [
            Turn(role.strip(), _as_typed(text)) for role, text in zip(roles, texts, strict=False)
        ]
        return [turn for turn in turns if turn.content.strip()]

    def _typed_marks(self, name: str) -> list[Mark]:
        post = self._sent
        rows = zip(
            post.getlist(f"label.{name}"),
            post.getlist(f"quote.{name}"),
            post.getlist(f"at.{name}"),
            strict=False,
        )
        return [Mark(label, _as_typed(quote), at) for label, quote, at in rows]

    # --- What is shown ---------------------------------------------------------------------------
    @cached_property
    def fields(self) -> list[FieldInput]:
        return [
            self._field(number, name) for number, name in enumerate(self.schema.fields, start=1)
        ]

    def _field(self, number: int, name: str) -> FieldInput:
        part, stored = self.schema.fields[name], self.draft.fields.get(name)
        shown = FieldInput(number, name, part.title, part.type, part.required)
        if part.type == FieldType.CHAT:
            shown.turns = _turns(stored) if self.post is None else self._typed_turns(name)
            role = "user" if shown.turns and shown.turns[-1].role == "assistant" else "assistant"
            shown.turns = [*shown.turns, *[Turn(role, "")] * BLANK_TURNS]
        else:
            shown.text = _text(stored) if self.post is None else self._typed(f"field.{name}")
        shown.written = _text(self.edited.get("fields", {}).get(name))
        shown.error = self.errors.get(f"fields.{name}", "")
        return shown

    @cached_property
    def questions(self) -> list[QuestionInput]:
        if self.post is None:
            answers = answers_of(self.draft.suggestions)
            values = {name: {"value": value} for name, value in answers.items()}
        else:
            values = read_values(self.schema, self.post)
        cards = show_questions(
            self.schema, {}, _harmless(self.schema, values), {}, self.draft.fields
        )
        return [self._question(card) for card in cards]

    def _question(self, card: QuestionCard) -> QuestionInput:
        marks: list[Mark] = []
        if card.type == QuestionType.SPAN:
            text = _text(self.draft.fields.get(card.marked_field))
            value = answers_of(self.draft.suggestions).get(card.name)
            marks = marks_of(value, text) if self.post is None else self._typed_marks(card.name)
            marks = [mark for mark in marks if mark.quote] + [Mark.blank(), Mark.blank()]
        written = self.edited.get("suggestions", {})
        return QuestionInput(
            card=card,
            marks=marks,
            written=_said(written[card.name]) if card.name in written else "",
            error=self.errors.get(f"suggestions.{card.name}", ""),
        )

    @property
    def metadata(self) -> list[Input]:
        for key, one in self.metadata_inputs.by_key.items():
            one.error = self.errors.get(f"metadata.{key}", one.error)
        return list(self.metadata_inputs.by_key.values())

    @property
    def dropped(self) -> list[str]:
        """Fields of the draft that the dataset does not have."""
        return [name for name in self.draft.fields if name not in self.schema.fields]

    @property
    def wrong(self) -> list[tuple[str, str, str]]:
        """Id, title and error of every input that has one, in their order."""
        rows: list[FieldInput | QuestionInput] = [*self.fields, *self.questions]
        parts = [(one.id, one.title, one.error) for one in rows]
        parts += [(one.id, one.label, one.error) for one in self.metadata]
        return [part for part in parts if part[2]]

    @property
    def others(self) -> list[str]:
        """What is wrong and belongs to no input."""
        return [self.errors[name] for name in ("fields", "metadata") if name in self.errors]

    def refuse(self, reasons: Mapping[str, str]) -> None:
        """Take over what the dataset has against the edit, in the words of the page."""
        for place, reason in reasons.items():
            self.errors.setdefault(place, self._words(place, reason))

    def _words(self, place: str, reason: str) -> str:
        part, _dot, name = place.partition(".")
        if part == "suggestions" and name in self.schema.questions:
            marks = [{"label": mark.label} for mark in self._typed_marks(name)]
            answer = read_values(self.schema, self._sent).get(name, {"value": marks})
            return misfit(self.schema.questions[name], answer)
        if part == "fields" and name in self.schema.fields:
            empty = not self._typed(f"field.{name}").strip() and not self._typed_turns(name)
            return _("This is needed.") if empty else _field_words(self.schema.fields[name].type)
        if place == "fields":
            return _("A record says something in one field at least.")
        return reason


def _field_words(type: str) -> str:
    """What a field takes."""
    return {
        FieldType.TEXT: _("At most %(n)s characters.") % {"n": f"{MAX_TEXT:,}"},
        FieldType.IMAGE: _("Give the address of an image, or an image as a data URL."),
        FieldType.CHAT: _(
            "Each message needs a role of at most %(role)s characters, and a text of %(text)s."
        )
        % {"role": MAX_ROLE, "text": f"{MAX_MESSAGE:,}"},
        FieldType.CUSTOM: _("Give a JSON object, such as %(example)s.")
        % {"example": '{"name": "value"}'},
    }[FieldType(type)]


def _harmless(schema: DatasetSchema, values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what no widget could show, of a question that changed or a model that erred."""
    lists = {QuestionType.MULTI_LABEL, QuestionType.RANKING}
    found = {}
    for name, one in values.items():
        rule, value = schema.questions.get(name), one["value"]
        if rule is None or rule.type == QuestionType.SPAN:
            continue
        if rule.type not in lists or isinstance(value, list):
            found[name] = one
    return found


def _as_typed(text: str) -> str:
    """Forms send line ends as CRLF, whatever was typed."""
    return text.replace("\r\n", "\n").replace("\0", "")


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def _said(value: Any) -> str:
    return _("no suggestion") if value is None else _text(value)


def _turns(value: Any) -> list[Turn]:
    """The messages of a chat; what is none is not shown."""
    rows = value if isinstance(value, list) else []
    return [
        Turn(str(one.get("role", "")).strip(), _as_typed(str(one.get("content", ""))))
        for one in rows
        if isinstance(one, Mapping)
    ]


def _messages(turns: Sequence[Turn]) -> list[dict[str, str]] | None:
    return [{"role": turn.role, "content": turn.content} for turn in turns] or None
