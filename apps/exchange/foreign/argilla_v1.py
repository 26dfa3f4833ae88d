"""A feedback dataset of Argilla 1.x as it was saved or pushed: rows, and ``argilla.yaml`` beside.

Of a question ``q`` there are the columns ``q``, answers ``[{"user_id", "value", "status"}]``,
``q-suggestion`` and ``q-suggestion-metadata`` with type, score and agent. ``metadata`` is JSON
text, ``vectors`` an object; every other column is a field. ``argilla.yaml``, or ``argilla.cfg`` of
early versions, has the settings.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from apps.core.errors import InvalidError
from apps.exchange.blueprint import Blueprint, first_fault
from apps.exchange.foreign.hints import Hints
from apps.exchange.foreign.tables import read_tables
from apps.exchange.rows import Row
from apps.exchange.strict_json import read_json

CONFIGURATIONS: Final = ("argilla.yaml", "argilla.cfg")
MAX_CONFIGURATION: Final = 4 * 1024 * 1024  # bytes
SUGGESTION: Final = "-suggestion"
ABOUT: Final = "-suggestion-metadata"


def read_argilla_v1(place: Path, hints: Hints) -> Iterator[Row]:
    """The rows as items. Raises ``InvalidError`` for settings that make no sense."""
    hints.blueprint = _blueprint(place)
    for row in read_tables(place):
        if row.problem is None:
            try:
                row.values = _item(row.values, hints.blueprint)
            except InvalidError as error:
                row.problem = error.message
        yield row


# --- Rows -------------------------------------------------------------------------------------
def _item(given: Mapping[str, Any], blueprint: Blueprint | None) -> dict[str, Any]:
    questions = [name.removesuffix(SUGGESTION) for name in given if name.endswith(SUGGESTION)]
    if blueprint is not None:
        questions = [one.name for one in blueprint.questions]
    if not questions:
        raise InvalidError("no Argilla 1.x row: it has no column of a question")
    own = {"external_id", "metadata", "vectors", "id"}
    own |= {f"{name}{ending}" for name in questions for ending in ("", SUGGESTION, ABOUT)}
    given_id = given.get("external_id") or given.get("id")
    vectors = given.get("vectors")
    return {
        "id": None if given_id is None else str(given_id),
        "data": {name: value for name, value in given.items() if name not in own},
        "metadata": _metadata(given.get("metadata")),
        "vectors": _filled(vectors) if isinstance(vectors, dict) else {},
        "suggestions": [one for name in questions if (one := _suggestion(name, given))],
        "responses": _responses(questions, given),
    }


def _metadata(given: Any) -> dict[str, Any]:
    """JSON as text; null where ``datasets`` filled up a value that the record has not."""
    metadata = read_json(given) if isinstance(given, str) and given else given
    if not isinstance(metadata, dict | None):
        raise InvalidError("metadata is no object")
    return _filled(metadata or {})


def _filled(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


def _suggestion(name: str, given: Mapping[str, Any]) -> dict[str, Any] | None:
    value = _rows_of(given.get(f"{name}{SUGGESTION}"))
    if value is None or value == []:
        return None
    about = given.get(f"{name}{ABOUT}")
    known = about if isinstance(about, dict) else {}
    known = {key: known.get(key) for key in ("score", "agent", "type")}
    return {"question": name, "value": value, **known}


def _responses(questions: list[str], given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Answers to single questions, put together by their author."""
    responses: dict[Any, dict[str, Any]] = {}
    for name in questions:
        for answer in _rows_of(given.get(name)) or ():
            if not isinstance(answer, dict):
                raise InvalidError(f"{name} is no list of answers")
            user = answer.get("user_id")
            status = answer.get("status") or "submitted"
            start: dict[str, Any] = {"user": user, "status": status, "values": {}}
            response = responses.setdefault(user, start)
            if answer.get("value") is not None:
                response["values"][name] = _rows_of(answer["value"])
    return list(responses.values())


def _rows_of(value: Any) -> Any:
    """A list of objects that ``datasets`` may have turned into an object of lists."""
    if isinstance(value, dict) and value and all(isinstance(one, list) for one in value.values()):
        columns = list(value.values())
        return [dict(zip(value, row, strict=False)) for row in zip(*columns, strict=False)]
    return value


# --- Settings ---------------------------------------------------------------------------------
def _blueprint(place: Path) -> Blueprint | None:
    directory = place if place.is_dir() else place.parent
    for name in CONFIGURATIONS:
        file = directory / name
        if file.is_file():
            return _read_configuration(file)
    return None


def _read_configuration(file: Path) -> Blueprint:
    if file.stat().st_size > MAX_CONFIGURATION:
        raise InvalidError(f"{file.name} is longer than {MAX_CONFIGURATION} bytes")
    try:
        given = yaml.safe_load(file.read_bytes())
        return Blueprint(
            fields=[{**_part(one), "settings": _field(one)} for one in given["fields"]],
            questions=[{**_part(one), "settings": _question(one)} for one in given["questions"]],
            properties=[
                {**_part(one), "settings": _property(one)}
                for one in given.get("metadata_properties") or ()
            ],
            vectors=[_part(one) for one in given.get("vectors_settings") or ()],
            guidelines=given.get("guidelines"),
            allow_extra_metadata=bool(given.get("allow_extra_metadata", True)),
        )
    except ValidationError as error:
        raise InvalidError(f"{file.name}: {first_fault(error)}") from error
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise InvalidError(
            f"{file.name} does not hold an Argilla 1.x dataset's settings"
        ) from error


def _part(given: Mapping[str, Any]) -> dict[str, Any]:
    part = {name: value for name, value in given.items() if value is not None}
    return {**part, "title": part.get("title") or part["name"]}


def _field(given: Mapping[str, Any]) -> dict[str, Any]:
    stored = given.get("settings") or given
    return {
        "type": stored.get("type", "text"),
        "use_markdown": bool(stored.get("use_markdown", False)),
    }


def _question(given: Mapping[str, Any]) -> dict[str, Any]:
    """``labels`` or ``values`` are a list, or an object of titles; or settings as in 2.x."""
    stored = dict(given.get("settings") or given)
    kind = stored["type"]
    if kind == "text":
        return {"type": kind, "use_markdown": bool(stored.get("use_markdown", False))}
    if "options" in stored:
        return stored
    choices = stored["labels"] if "labels" in stored else stored["values"]
    if kind == "rating":
        return {"type": kind, "options": [{"value": value} for value in choices]}
    named = choices if isinstance(choices, dict) else {}
    options = [_option(one, named) for one in choices]
    more = {"visible_options": stored.get("visible_labels"), "field": stored.get("field")}
    if not more["visible_options"] or more["visible_options"] < 3:
        more["visible_options"] = None
    return {"type": kind, "options": options, **more}


def _option(given: Any, named: Mapping[Any, Any]) -> dict[str, str]:
    if isinstance(given, dict):
        return {"value": str(given["value"]), "text": str(given.get("text") or given["value"])}
    return {"value": str(given), "text": str(named.get(given) or given)}


def _property(given: Mapping[str, Any]) -> dict[str, Any]:
    stored = given.get("settings") or given
    return {name: stored[name] for name in ("type", "values", "min", "max") if name in stored}
