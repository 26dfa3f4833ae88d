"""What a prompt's template may name, and the template that is used where nobody wrote one."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _

from apps.core.errors import InvalidError
from apps.datasets.models import Field, FieldType
from apps.datasets.schema import DatasetSchema, QuestionRule
from apps.pipelines.blocks import Data, data_block
from apps.pipelines.schemas import INSTRUCTIONS, as_answer
from apps.pipelines.templates import check_template, mentioned, render

# Names with a meaning of their own; a field called so is reached as ``fields.<name>``.
OWN_NAMES: Final = ("fields", "record", "guidelines", "question", "options", "shots")
QUESTION_PARTS: Final = ("name", "title", "description", "type", "instruction", "options")

DEFAULT: Final = """\
{% if guidelines %}
# Guidelines
{{ guidelines }}

{% endif %}
# Question
{{ question.title }}
{% if question.description %}
{{ question.description }}
{% endif %}
{{ question.instruction }}
{% if options %}

# Options
{{ options }}
{% endif %}
{% if shots %}

# Examples answered by people
{{ shots }}
{% endif %}

# The record
{{ record }}
"""


@dataclass(frozen=True, slots=True)
class Shot:
    """A record that people have answered, shown as an example."""

    fields: Mapping[str, Any]
    value: Any


def field_values(schema: DatasetSchema, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that have words, as templates see them: every text in them is ``Data``."""
    return {
        name: _as_data(fields.get(name), name)
        for name, field in schema.fields.items()
        if field.type != FieldType.IMAGE
    }


def _as_data(value: Any, name: str) -> Any:
    if isinstance(value, str):
        return Data(value, name)
    if isinstance(value, list):
        return [_as_data(item, name) for item in value]
    if isinstance(value, Mapping):
        return {Data(key, name): _as_data(item, name) for key, item in value.items()}
    return value


def record_blocks(schema: DatasetSchema, fields: Mapping[str, Any]) -> str:
    """All of a record's words, each field in a block of its own."""
    shown = ((name, words(field, fields.get(name))) for name, field in schema.fields.items())
    return "\n".join(data_block(name, text) for name, text in shown if text)


def words(field: Field, value: Any) -> str:
    """What a field says, as text; nothing for images."""
    if value is None or field.type == FieldType.IMAGE:
        return ""
    if isinstance(value, str):
        return value
    if field.type == FieldType.CHAT:
        return "\n".join(f"{turn['role']}: {turn['content']}" for turn in value)
    return json.dumps(value, ensure_ascii=False)


def shot_blocks(schema: DatasetSchema, rule: QuestionRule, shots: Sequence[Shot]) -> str:
    """Examples with their answers, in the form that is asked for."""
    parts = []
    for number, shot in enumerate(shots, start=1):
        answer = json.dumps(as_answer(rule, shot.value, shot.fields), ensure_ascii=False)
        blocks = record_blocks(schema, shot.fields)
        parts.append(f"Example {number}:\n{blocks}\n{data_block('answer', answer)}")
    return "\n\n".join(parts)


def question_values(rule: QuestionRule, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The question as templates see it; ``asked`` is how it read when the prompt was made.

    Once its options are others, those that can be answered now are shown.
    """
    settings = asked.get("settings") or {}
    if {option["value"] for option in settings.get("options", [])} != rule.options:
        settings = rule.question.settings
    return {
        "name": rule.name,
        "title": asked.get("title", rule.question.title),
        "description": asked.get("description", rule.question.description) or "",
        "type": rule.type,
        "instruction": INSTRUCTIONS[rule.type],
        "options": settings.get("options", []),
    }


def option_lines(options: Sequence[Mapping[str, Any]]) -> str:
    """The options, a line each, with what people are told about them."""
    lines = []
    for option in options:
        value, text, said = option["value"], option.get("text"), option.get("description")
        shown = f"- {value}" if text in (None, value) else f"- {value}: {text}"
        lines.append(f"{shown} ({said})" if said else shown)
    return "\n".join(lines)


def prompt_text(
    schema: DatasetSchema,
    rule: QuestionRule,
    fields: Mapping[str, Any],
    *,
    template: str = "",
    guidelines: str = "",
    asked: Mapping[str, Any] | None = None,
    shots: Sequence[Shot] = (),
) -> str:
    """The prompt about one record. Raises ``InvalidError`` for what the template may not do."""
    data, question = field_values(schema, fields), question_values(rule, asked or {})
    values = {
        **data,
        "fields": data,
        "record": record_blocks(schema, fields),
        "guidelines": guidelines,
        "question": question,
        "options": option_lines(question["options"]),
        "shots": shot_blocks(schema, rule, shots),
    }
    return render(template or DEFAULT, values).strip()


def names_of(schema: DatasetSchema) -> dict[str, Collection[str] | None]:
    """What a template about the dataset's records may name, with the parts of each."""
    fields = [name for name, field in schema.fields.items() if field.type != FieldType.IMAGE]
    return {
        **dict.fromkeys(fields),
        **dict.fromkeys(OWN_NAMES),
        "fields": fields,
        "question": QUESTION_PARTS,
    }


def check_prompt(schema: DatasetSchema, template: str) -> None:
    """Raise ``InvalidError`` unless the template can be run and says something of the record."""
    if not template:
        return
    names = names_of(schema)
    check_template(template, names)
    fields = {"fields", "record", *schema.fields}
    if not fields & mentioned(template):
        raise InvalidError(_("The template names no field of the record."))
