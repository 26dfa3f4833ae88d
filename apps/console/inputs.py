"""Inputs of a form, and what people typed into them, as plain values."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from apps.core.errors import InvalidError

Given = Mapping[str, Sequence[str]]  # what was typed, by name: a checked box is ["on"]


def read_json(text: str) -> Any:
    """What was typed as JSON. Raises ``ValueError`` for what is none, or cannot be stored."""
    try:
        value = json.loads(text)
        written = json.dumps(value, ensure_ascii=False, allow_nan=False)
        written.encode()  # half a character of a pair cannot be
    except RecursionError as error:
        raise ValueError(text[:100]) from error
    if "\\u0000" in written:
        raise ValueError(text[:100])
    return value


@dataclass
class Input:
    """``widget`` is text, area, lines, number, check, select, checks or pairs.

    ``options`` are (value, label); of pairs, the keys, each with an input of its own, named
    ``<name>.<key>``, of the type ``pair``: number, text or one of ``choices``.
    """

    name: str
    label: str
    widget: str
    help: str = ""
    options: Sequence[tuple[str, str]] = ()
    choices: Sequence[tuple[str, str]] = ()
    pair: str = ""
    required: bool = False
    whole: bool = True
    least: float | None = None
    most: float | None = None
    values: list[str] = field(default_factory=list)
    pairs: dict[str, str] = field(default_factory=dict)
    error: str = ""

    @property
    def text(self) -> str:
        return "\n".join(self.values) if self.widget == "lines" else "".join(self.values[:1])

    @property
    def id(self) -> str:
        return "f-" + self.name.replace(".", "-")

    @property
    def is_checked(self) -> bool:
        return bool(self.values)

    @property
    def rows(self) -> list[tuple[str, str, str]]:
        """Of pairs: key, label and value."""
        return [(key, label, self.pairs.get(key, "")) for key, label in self.options]

    def fill(self, given: Given) -> None:
        """Take what was typed, but for NUL, which is no text to the database."""
        texts = [text.replace("\0", "") for text in given.get(self.name, ())]
        self.values = [text for text in texts if text.strip()]
        if self.widget == "lines":
            lines = "\n".join(self.values).splitlines()
            self.values = [line.strip() for line in lines if line.strip()]
        if self.widget == "pairs":
            found = {
                key: "".join(given.get(f"{self.name}.{key}", ())[:1]).replace("\0", "")
                for key, _l in self.options
            }
            self.pairs = {key: text.strip() for key, text in found.items() if text.strip()}

    def read(self) -> Any:
        """The value; None for nothing. Raises ``InvalidError`` in words for people."""
        if self.widget == "check":
            return bool(self.values)
        if self.widget in {"checks", "lines"}:
            found: Any = list(self.values) or None
        elif self.widget == "pairs":
            found = {key: self._pair(text) for key, text in self.pairs.items()} or None
        elif self.widget == "number":
            found = self._number(self.text) if self.text else None
        else:
            found = self.text or None
        if found is None and self.required:
            raise InvalidError(_("This is needed."))
        return found

    def _pair(self, text: str) -> Any:
        return self._number(text) if self.pair == "number" else text

    def _number(self, text: str) -> float:
        try:
            number = int(text) if self.whole else float(text.replace(",", "."))
        except ValueError as error:
            message = _("A whole number, please.") if self.whole else _("A number, please.")
            raise InvalidError(message) from error
        if self.least is not None and number < self.least:
            raise InvalidError(_("At least %g.") % self.least)
        if self.most is not None and number > self.most:
            raise InvalidError(_("At most %g.") % self.most)
        return number
