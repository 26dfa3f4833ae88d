"""The templates of custom fields: the part of Handlebars that needs no script.

``{{record.fields.name.key}}`` is escaped, ``{{{…}}}`` is not, ``{{json …}}`` writes a value out;
``{{#if}}``, ``{{#unless}}``, ``{{#each}}`` and ``{{#with}}`` take a path and may have an
``{{else}}``; within ``each`` there are ``this``, ``@index``, ``@key``, ``@first`` and ``@last``.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.utils.html import escape
from django.utils.translation import gettext

from apps.core.errors import InvalidError

MAX_STEPS: Final = 50_000
MAX_DEPTH: Final = 20
_TAG = re.compile(r"\{\{!--.*?--\}\}|\{\{\{(.+?)\}\}\}|\{\{(.+?)\}\}", re.DOTALL)
_PART = re.compile(r"\[([^\]]*)\]|[^.\[\]/]+")
_BLOCKS: Final = {"if", "unless", "each", "with"}

Scope = Mapping[str, Any]


@dataclass(slots=True)
class _Block:
    """``kind`` is a block's word, ``text``, ``value``, ``raw`` or ``json``."""

    kind: str
    subject: str = ""
    body: list["_Block"] = field(default_factory=list)
    other: list["_Block"] = field(default_factory=list)
    has_else: bool = False

    def add(self, child: "_Block") -> None:
        (self.other if self.has_else else self.body).append(child)


def render(template: str, context: Mapping[str, Any]) -> str:
    """The template filled in. Raises ``InvalidError`` when it is not one, or has no end."""
    return "".join(_Rendering().show(_parse(template).body, {"this": context, **context}))


def _parse(template: str) -> _Block:
    open_blocks = [_Block("root")]
    last = 0
    for found in _TAG.finditer(template):
        open_blocks[-1].add(_Block("text", template[last : found.start()]))
        last = found.end()
        if found[1] is not None:
            open_blocks[-1].add(_Block("raw", found[1].strip()))
        elif found[2] is not None and not found[2].startswith("!"):
            _read_tag(open_blocks, found[2].strip().strip("~").strip())
    if len(open_blocks) > 1:
        raise InvalidError(gettext("%s is not closed") % f"{{{{#{open_blocks[-1].kind}}}}}")
    open_blocks[0].add(_Block("text", template[last:]))
    return open_blocks[0]


def _read_tag(open_blocks: list[_Block], tag: str) -> None:
    word, _, rest = tag.partition(" ")
    block = open_blocks[-1]
    if word.startswith("#"):
        if word[1:] not in _BLOCKS or len(open_blocks) > MAX_DEPTH:
            raise InvalidError(gettext("%s is not known, or too deep") % f"{{{{{word}}}}}")
        child = _Block(word[1:], rest.strip())
        block.add(child)
        open_blocks.append(child)
    elif word.startswith("/"):
        if word[1:] != block.kind:
            raise InvalidError(gettext("%s closes nothing") % f"{{{{{word}}}}}")
        open_blocks.pop()
    elif tag in {"else", "^"}:
        block.has_else = True
    elif word == "json":
        block.add(_Block("json", rest.strip()))
    elif word.startswith("&"):
        block.add(_Block("raw", tag[1:].strip()))
    else:
        block.add(_Block("value", tag))


class _Rendering:
    """Counts its steps, since loops within loops over a record's lists may have no end."""

    def __init__(self) -> None:
        self.steps = 0

    def show(self, blocks: Sequence[_Block], scope: Scope) -> Iterator[str]:
        for block in blocks:
            self.steps += 1
            if self.steps > MAX_STEPS:
                raise InvalidError(gettext("the template repeats itself too often"))
            yield from self._show(block, scope)

    def _show(self, block: _Block, scope: Scope) -> Iterator[str]:
        if block.kind == "text":
            yield block.subject
            return
        value = _look_up(block.subject, scope)
        if block.kind == "value":
            yield escape(_print(value))
        elif block.kind == "raw":
            yield _print(value)
        elif block.kind == "json":
            yield escape(json.dumps(value, indent=2, ensure_ascii=False))
        elif block.kind == "each":
            yield from self._repeat(block, value, scope)
        elif bool(value) != (block.kind == "unless"):
            inner = {**scope, "this": value, "..": scope} if block.kind == "with" else scope
            yield from self.show(block.body, inner)
        else:
            yield from self.show(block.other, scope)

    def _repeat(self, block: _Block, value: Any, scope: Scope) -> Iterator[str]:
        items = list(value.items()) if isinstance(value, Mapping) else []
        if isinstance(value, list):
            items = list(enumerate(value))
        for place, (key, item) in enumerate(items):
            here = {"@index": place, "@key": key, "@first": place == 0}
            last = {"@last": place == len(items) - 1}
            yield from self.show(block.body, {**scope, "this": item, "..": scope, **here, **last})
        if not items:
            yield from self.show(block.other, scope)


def _look_up(path: str, scope: Scope) -> Any:
    """What stands at ``a.b.0.c``, from what ``this`` is or from the outside; None for nothing."""
    value: Any = scope
    while path.startswith("../"):
        value, path = value.get("..", {}), path[3:]
    parts = [found[1] if found[1] is not None else found[0] for found in _PART.finditer(path)]
    if path in {".", "this"} or not parts:
        return value.get("this")
    inner = value.get("this")
    if isinstance(inner, Mapping) and parts[0] in inner:
        value = inner
    for part in parts:
        value = _step(value, part)
    return value


def _step(value: Any, part: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(part)
    if isinstance(value, list):
        if part == "length":
            return len(value)
        if part.isdecimal() and int(part[:9]) < len(value):
            return value[int(part[:9])]
    return None


def _print(value: Any) -> str:
    if value is None or value is False:
        return ""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return "true" if value is True else str(value)
