"""What a record may hold: its fields and its metadata."""

import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, Final

from apps.core.errors import InvalidError
from apps.datasets.models import Field, FieldType, MetadataProperty, PropertyType
from apps.datasets.schema import DatasetSchema

MAX_TEXT: Final = 1_000_000
MAX_MESSAGES: Final = 500
MAX_ROLE: Final = 20
MAX_MESSAGE: Final = 20_000
MAX_IMAGE_URL: Final = 2_038
MAX_IMAGE_DATA: Final = 5_000_000
MAX_METADATA_KEYS: Final = 100
MAX_NUMBER: Final = 1e308
IMAGE_TYPES: Final = {"avif", "gif", "ico", "jpeg", "jpg", "png", "svg", "webp"}

_IMAGE_URL = re.compile(r"https?://[^/\s?#]+/\S*", re.IGNORECASE)
_IMAGE_DATA = re.compile(r"^data:image/([a-z]+)(;[^,]*)?,", re.IGNORECASE)


def clean_fields(schema: DatasetSchema, fields: Mapping[str, Any] | None) -> dict[str, Any]:
    """A record's fields in stored form. Raises ``InvalidError`` with the reason."""
    if not fields:
        raise InvalidError("fields cannot be empty")
    for name in schema.required_fields:
        if fields.get(name) is None:
            raise InvalidError(f"missing required value for field: {name!r}")
    cleaned = {}
    for name, value in fields.items():
        field = schema.fields.get(name)
        if field is None:
            extra = [name for name in fields if name not in schema.fields]
            raise InvalidError(f"found fields values for non configured fields: {extra!r}")
        cleaned[name] = clean_field(field, value)
    return cleaned


def clean_field(field: Field, value: Any) -> Any:
    """A field's value in stored form. Raises ``InvalidError`` with the reason."""
    return None if value is None else _CLEANERS[field.type](field.name, value)


def _clean_text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidError(
            f"text field {name!r} value must be a string, found {type(value).__name__}"
        )
    if len(value) > MAX_TEXT:
        raise InvalidError(f"text field {name!r} is longer than {MAX_TEXT} characters")
    return value


def _clean_image(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidError(
            f"image field {name!r} value must be a string, found {type(value).__name__}"
        )
    data = _IMAGE_DATA.match(value[:200])
    if data:
        if data.group(1).lower() not in IMAGE_TYPES:
            raise InvalidError(f"image field {name!r} has an unsupported type: {data.group(1)}")
        if len(value) > MAX_IMAGE_DATA:
            raise InvalidError(f"image field {name!r} is longer than {MAX_IMAGE_DATA} characters")
    elif not _IMAGE_URL.fullmatch(value[: MAX_IMAGE_URL + 1]):
        raise InvalidError(f"image field {name!r} is neither a web address nor an image data URL")
    elif len(value) > MAX_IMAGE_URL:
        raise InvalidError(f"image field {name!r} is longer than {MAX_IMAGE_URL} characters")
    return value


def _clean_chat(name: str, value: Any) -> list[dict[str, str]]:
    if not isinstance(value, list):
        raise InvalidError(
            f"chat field {name!r} value must be a list, found {type(value).__name__}"
        )
    if len(value) > MAX_MESSAGES:
        raise InvalidError(f"chat field {name!r} has more than {MAX_MESSAGES} messages")
    return [_clean_message(name, place, message) for place, message in enumerate(value)]


def _clean_message(name: str, place: int, message: Any) -> dict[str, str]:
    if not isinstance(message, Mapping):
        raise InvalidError(f"chat field {name!r} has a message that is no object at {place}")
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str) or not 1 <= len(role) <= MAX_ROLE:
        raise InvalidError(
            f"chat field {name!r} needs a role of 1 to {MAX_ROLE} characters at {place}"
        )
    if not isinstance(content, str) or not 1 <= len(content) <= MAX_MESSAGE:
        raise InvalidError(
            f"chat field {name!r} needs content of 1 to {MAX_MESSAGE} characters at {place}"
        )
    return {"role": role, "content": content}


def _clean_custom(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidError(
            f"custom field {name!r} value must be an object, found {type(value).__name__}"
        )
    return value


_CLEANERS: Final[dict[str, Callable[[str, Any], Any]]] = {
    FieldType.TEXT: _clean_text,
    FieldType.IMAGE: _clean_image,
    FieldType.CHAT: _clean_chat,
    FieldType.CUSTOM: _clean_custom,
}


def check_metadata(schema: DatasetSchema, metadata: Mapping[str, Any] | None) -> None:
    """Declared values obey their property; others need ``allow_extra_metadata``."""
    if not metadata:
        return
    if len(metadata) > MAX_METADATA_KEYS:
        raise InvalidError(f"metadata has more than {MAX_METADATA_KEYS} keys")
    for name, value in metadata.items():
        property = schema.properties.get(name)
        if property is not None:
            if value is not None:
                _PROPERTY_CHECKS[property.type](property, value)
        elif not schema.dataset.allow_extra_metadata:
            raise InvalidError(
                f"metadata is not valid: {name!r} metadata property does not exists for dataset"
                f" '{schema.dataset.id}' and extra metadata is not allowed for this dataset"
            )


def suits(property: MetadataProperty, value: Any) -> bool:
    """Whether the value obeys the property; null says nothing."""
    try:
        _PROPERTY_CHECKS[property.type](property, value)
    except InvalidError:
        return False
    return value is not None


def _wrong(property: MetadataProperty, reason: str) -> InvalidError:
    return InvalidError(f"metadata is not valid: {property.name!r} metadata property {reason}")


def _check_terms(property: MetadataProperty, value: Any) -> None:
    terms = value if isinstance(value, list) else [value]
    allowed = property.settings.get("values")
    for term in terms:
        if isinstance(term, dict | list):
            raise _wrong(property, "takes single values or a list of them")
        if allowed is not None and term not in allowed:
            raise _wrong(property, f"validation failed because {term!r} is not an allowed term")


def _check_integer(property: MetadataProperty, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(property, f"validation failed because {value!r} is not an integer")
    _check_bounds(property, value)


def _check_float(property: MetadataProperty, value: Any) -> None:
    is_finite = isinstance(value, int) or (isinstance(value, float) and isfinite(value))
    if not is_finite or isinstance(value, bool):
        raise _wrong(property, f"validation failed because {value!r} is not a number")
    _check_bounds(property, value)


def _check_bounds(property: MetadataProperty, value: float) -> None:
    if abs(value) > MAX_NUMBER:
        raise _wrong(property, "validation failed because the number is too large")
    low, high = property.settings.get("min"), property.settings.get("max")
    if low is not None and value < low:
        raise _wrong(property, f"validation failed because {value} is less than {low}")
    if high is not None and value > high:
        raise _wrong(property, f"validation failed because {value} is greater than {high}")


_PROPERTY_CHECKS: Final[dict[str, Callable[[MetadataProperty, Any], None]]] = {
    PropertyType.TERMS: _check_terms,
    PropertyType.INTEGER: _check_integer,
    PropertyType.FLOAT: _check_float,
}
