"""A draft's metadata as inputs: what is declared by its kind, the rest as text or JSON."""

import json
from typing import Any, Final

from django.http import QueryDict
from django.utils.translation import gettext as _

from apps.console.inputs import Input
from apps.core.errors import InvalidError
from apps.datasets.models import MetadataProperty, PropertyType
from apps.datasets.schema import DatasetSchema
from apps.drafts.models import Draft

SHORT: Final = 100  # characters that fit a line


class MetadataInputs:
    """One input for each key that the draft has, or the dataset declares.

    Keys that a record of the dataset may not have are left alone. Of what is typed, only what
    differs from what was shown counts: the rest stays as it is stored.
    """

    def __init__(self, schema: DatasetSchema, draft: Draft, post: QueryDict | None) -> None:
        self.schema, self.draft = schema, draft
        self.errors: dict[str, str] = {}
        allows_more = schema.dataset.allow_extra_metadata
        keys = [*schema.properties]
        keys += [key for key in draft.metadata if key not in schema.properties and allows_more]
        sent = [] if post is None else post.getlist("key")
        self.by_key = {key: self._input(f"m{n}", key) for n, key in enumerate(sent or keys)}
        self.shown = {key: list(one.values) for key, one in self.by_key.items()}
        self.allows_more = allows_more
        self.new_key = self.new_value = ""
        if post is not None:
            self._fill(post)

    def _fill(self, post: QueryDict) -> None:
        texts = {
            name: [text.replace("\r\n", "\n").replace("\0", "") for text in post.getlist(name)]
            for name in post
        }
        for one in self.by_key.values():
            one.fill(texts)
        self.new_key = "".join(texts.get("new_key", ())[:1]).strip()
        self.new_value = "".join(texts.get("new_value", ())[:1])

    def read(self) -> dict[str, Any]:
        """The metadata as typed; what cannot be read is named in ``errors``."""
        found = dict(self.draft.metadata)
        for key, one in self.by_key.items():
            if one.values == self.shown[key]:
                continue
            try:
                value = self._value(key, one)
            except InvalidError as error:
                self.errors[f"metadata.{key}"] = error.message
                continue
            found.pop(key, None)
            if value is not None:
                found[key] = value
        self._add(found)
        return found

    def _add(self, found: dict[str, Any]) -> None:
        """One more key, where the dataset lets records have any."""
        if bool(self.new_key) != bool(self.new_value.strip()):
            self.errors["metadata"] = _("What is added needs a name and a value.")
        elif self.new_key:
            found[self.new_key] = self.new_value

    def _value(self, key: str, one: Input) -> Any:
        value = one.read()
        if value is None or not self._is_json(key):
            return value
        try:
            parsed = json.loads(value)
            json.dumps(parsed, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            message = _("This is no JSON: put a text into quotation marks.")
            raise InvalidError(message) from error
        return parsed

    def _is_json(self, key: str) -> bool:
        """Whether it is typed as JSON: no text, and not of a kind that is declared."""
        stored = self.draft.metadata.get(key)
        if key in self.schema.properties and _is_plain(stored):
            return False
        return stored is not None and not isinstance(stored, str)

    def _input(self, name: str, key: str) -> Input:
        stored = self.draft.metadata.get(key)
        property = self.schema.properties.get(key)
        if property is not None and not self._is_json(key):
            made = _declared(name, property, stored)
        else:
            made = _written(name, key, _json(stored) if self._is_json(key) else stored)
        made.values = [text for text in made.values if text.strip()]
        return made


def _declared(name: str, property: MetadataProperty, stored: Any) -> Input:
    title, settings = property.title or property.name, property.settings
    if property.type != PropertyType.TERMS:
        low, high = settings.get("min"), settings.get("max")
        whole = property.type == PropertyType.INTEGER
        made = Input(name, title, "number", whole=whole, least=low, most=high)
        made.values = [] if stored is None else [str(stored)]
        return made
    terms = [(str(one), str(one)) for one in settings.get("values") or ()]
    if isinstance(stored, list):
        made = Input(name, title, "checks" if terms else "lines", options=terms)
        made.values = [str(one) for one in stored]
        return made
    if not terms:
        return _written(name, title, None if stored is None else str(stored))
    made = Input(name, title, "select", options=[("", "–"), *terms])
    made.values = [] if stored is None else [str(stored)]
    return made


def _written(name: str, title: str, text: str | None) -> Input:
    """A text in as much room as it takes."""
    is_short = text is None or (len(text) <= SHORT and "\n" not in text)
    made = Input(name, title, "text" if is_short else "area")
    made.values = [] if text is None else [text]
    return made


def _is_plain(stored: Any) -> bool:
    """Whether an input of its kind can hold it: a text, a number, a list of texts, or nothing."""
    if isinstance(stored, list):
        return all(isinstance(one, str) for one in stored)
    return stored is None or (
        isinstance(stored, str | int | float) and not isinstance(stored, bool)
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
