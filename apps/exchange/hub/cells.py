"""Values of the Hub's columns as JSON, and as what a target of the dataset takes."""

import base64
import io
import json
import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from apps.core.errors import InvalidError
from apps.datasets.models import FieldType, PropertyType, QuestionType
from apps.datasets.schema import DatasetSchema
from apps.exchange import cells
from apps.exchange.hub import library
from apps.exchange.strict_json import read_json
from apps.exchange.targets import Kind, Target

# Reads the file of a picture by its path.
Opener = Callable[[str], bytes]

_SHOWN_AS_THEY_ARE: Final = {"AVIF", "GIF", "ICO", "JPEG", "PNG", "WEBP"}


# --- From a column to JSON --------------------------------------------------------------------
def to_json(value: Any, feature: Any, open_picture: Opener) -> Any:
    """The value of a column with this feature as JSON.

    A class becomes its name and −1 null, a picture a data URL, NaN null. ``feature`` None: the
    value is taken as it is. Raises ``InvalidError`` with the reason.
    """
    if value is None:
        return None
    kind = type(feature).__name__
    if kind == "ClassLabel":
        return _class_name(value, feature)
    if kind == "Image":
        return _picture(value, open_picture)
    if kind == "Json":
        return read_json(value) if isinstance(value, str) else value
    if isinstance(value, list):
        return [to_json(item, _inner(feature), open_picture) for item in value]
    if isinstance(value, dict):
        parts = feature if isinstance(feature, dict) else {}
        return {key: to_json(item, parts.get(key), open_picture) for key, item in value.items()}
    return _scalar(value)


def _inner(feature: Any) -> Any:
    if isinstance(feature, list) and feature:
        return feature[0]
    return getattr(feature, "feature", None)


def _class_name(value: Any, feature: Any) -> Any:
    if not isinstance(value, int) or not 0 <= value < len(feature.names):
        return None if value == -1 else str(value)
    return feature.names[value]


def _scalar(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str | int):
        return value
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)  # decimals and the like


def _picture(value: Any, open_picture: Opener) -> str | None:
    """A data URL; an address on the web stays one."""
    if isinstance(value, str):
        value = {"path": value}
    content, path = value.get("bytes"), value.get("path")
    if content is None and path is None:
        return None
    if content is None and path.startswith(("http://", "https://", "data:image/")):
        return str(path)
    return data_url(content if content is not None else open_picture(path))


def data_url(content: bytes) -> str:
    """The picture as a data URL; as PNG when browsers do not show its format."""
    library.check_installed()
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as picture:
            format = str(picture.format)
            if format not in _SHOWN_AS_THEY_ARE:
                converted = io.BytesIO()
                picture.convert("RGBA").save(converted, "PNG")
                content, format = converted.getvalue(), "PNG"
    except Exception as error:  # whatever a broken or a hostile file leads to
        raise InvalidError(f"a picture cannot be read: {type(error).__name__}") from error
    return f"data:image/{format.lower()};base64,{base64.b64encode(content).decode()}"


# --- From JSON to what a target takes ---------------------------------------------------------
def fit(value: Any, target: Target, schema: DatasetSchema) -> Any:
    """The value in the form that the target takes; None when there is none.

    Only the form: whether the value is allowed is checked when the record is stored. Raises
    ``InvalidError`` with the reason.
    """
    if value is None:
        return None
    if target.kind == Kind.FIELD:
        return _fit_field(value, schema.fields[target.name].type)
    if target.kind == Kind.METADATA:
        property = schema.properties.get(target.name)
        return value if property is None else _PROPERTY_FITS[property.type](value)
    if target.kind == Kind.SUGGESTION:
        return _fit_answer(value, schema.questions[target.name].type)
    if target.kind == Kind.AGENT:
        return as_text(value)
    return value


def as_text(value: Any) -> str:
    """A text as it is, everything else as JSON writes it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _fit_field(value: Any, type: str) -> Any:
    if type == FieldType.TEXT:
        return as_text(value)
    if type == FieldType.CHAT and isinstance(value, dict):
        return _rows_of(value)
    return value


def _rows_of(columns: Mapping[str, Any]) -> Any:
    """``{"role": [..], "content": [..]}``, as older datasets keep lists of objects, as a list."""
    if not columns or not all(isinstance(column, list) for column in columns.values()):
        return columns
    try:
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    except ValueError as error:
        raise InvalidError("columns of different lengths in one value") from error


def _fit_answer(value: Any, type: str) -> Any:
    if type in {QuestionType.TEXT, QuestionType.LABEL}:
        return as_text(value)
    if type == QuestionType.RATING:
        return as_whole(value)
    if type == QuestionType.SPAN and isinstance(value, dict):
        value = _rows_of(value)
    if type == QuestionType.MULTI_LABEL:
        labels = value if isinstance(value, list) else [value]
        return [as_text(label) for label in labels if label is not None] or None
    return value or None  # an empty ranking and no spans say nothing


def as_whole(value: Any) -> int:
    """A whole number; ``4.0`` and ``"4"`` are one. Raises ``InvalidError``."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return cells.read_whole(str(value))
    raise InvalidError(f"{str(value)[:50]!r} is not a whole number")


def _as_number(value: Any) -> int | float:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return cells.read_number(str(value))
    raise InvalidError(f"{str(value)[:50]!r} is not a number")


def _as_terms(value: Any) -> Any:
    if isinstance(value, list):
        return [as_text(term) for term in value if term is not None] or None
    return as_text(value)


_PROPERTY_FITS: Final[Mapping[str, Callable[[Any], Any]]] = {
    PropertyType.TERMS: _as_terms,
    PropertyType.INTEGER: as_whole,
    PropertyType.FLOAT: _as_number,
}
