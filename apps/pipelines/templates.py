"""Templates of prompts: Jinja2's syntax, and of its powers only those that a prompt needs.

Jinja2 parses; nothing of it runs. What may stand in a template is named here, and is interpreted
here: names, parts of what they name, ``if``, ``for`` over what is there, and a few filters. So no
template reaches an attribute of an object, calls anything or computes, and what it writes, walks
through or makes on the way has an end. Each refusal is an ``InvalidError`` that names the line.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, NoReturn

from django.utils.translation import gettext as _
from jinja2 import Environment, TemplateSyntaxError, nodes

from apps.core.errors import InvalidError
from apps.pipelines.blocks import Data, as_text

MAX_SOURCE: Final = 50_000  # characters of a template
MAX_OUTPUT: Final = 200_000  # bytes of what it writes, and of any value on the way
MAX_STEPS: Final = 50_000  # parts of the template that are run
MAX_DEPTH: Final = 40  # levels of nesting

_ALLOWED: Final = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Const,
    nodes.If,
    nodes.For,
    nodes.Filter,
    nodes.Not,
    nodes.And,
    nodes.Or,
    nodes.Compare,
    nodes.Operand,
)
_LOOPED: Final = (nodes.Name, nodes.Getattr, nodes.Getitem)  # what ``for`` may walk through
_environment: Final = Environment(trim_blocks=True, lstrip_blocks=True, autoescape=True)


def check_template(source: str, names: Mapping[str, Collection[str] | None]) -> None:
    """Raise ``InvalidError`` unless the template can be run on what ``names`` lists.

    ``names`` maps what a template may name to the parts it has; None where they are unknown.
    """
    _check_names(parse(source), {**names})


def mentioned(source: str) -> set[str]:
    """The names that the template reads."""
    return {node.name for node in parse(source).find_all(nodes.Name) if node.ctx == "load"}


def render(source: str, values: Mapping[str, Any]) -> str:
    """The template's text; ``Data`` among the values stands in blocks of its own.

    Raises ``InvalidError`` for what the template may not do.
    """
    run = _Run()
    run.write_all(parse(source).body, {**values})
    return "".join(run.written)


@lru_cache(maxsize=256)
def parse(source: str) -> nodes.Template:
    """The template's tree, of allowed nodes alone. Raises ``InvalidError``."""
    if len(source) > MAX_SOURCE:
        raise InvalidError(_("A template has at most %d characters.") % MAX_SOURCE)
    try:
        tree = _environment.parse(source)
    except TemplateSyntaxError as error:
        raise InvalidError(_at(error.lineno, error.message or "")) from error
    except (RecursionError, ValueError, OverflowError) as error:
        raise InvalidError(_("The template cannot be read: it is nested too deep.")) from error
    _check_node(tree, 0)
    return tree


def _refuse(node: nodes.Node, reason: str) -> NoReturn:
    raise InvalidError(_at(node.lineno, reason))


def _at(line: int, reason: str) -> str:
    told = {"line": line, "reason": reason}
    return _("Line %(line)d of the template: %(reason)s") % told


def _check_node(node: nodes.Node, depth: int) -> None:
    if not isinstance(node, _ALLOWED):
        _refuse(node, _("%s is not allowed in a template.") % type(node).__name__)
    if depth > MAX_DEPTH:
        _refuse(node, _("it is nested deeper than %d levels.") % MAX_DEPTH)
    if isinstance(node, nodes.Filter):
        _check_filter(node)
    elif isinstance(node, nodes.For):
        _check_loop(node)
    elif isinstance(node, nodes.Getitem) and not isinstance(node.arg, nodes.Const):
        _refuse(node, _("a part is taken by a name or a number."))
    elif isinstance(node, nodes.Name | nodes.Getattr):
        _check_name(node)
    for child in node.iter_child_nodes():
        _check_node(child, depth + 1)


def _check_name(node: nodes.Name | nodes.Getattr) -> None:
    name = node.name if isinstance(node, nodes.Name) else node.attr
    if name.startswith("_"):
        _refuse(node, _("there is nothing called “%s”.") % name)


def _check_filter(node: nodes.Filter) -> None:
    if node.name not in _FILTERS:
        told = {"name": node.name, "known": _listed(_FILTERS)}
        _refuse(node, _("there is no filter “%(name)s”; there are: %(known)s.") % told)
    plain = all(isinstance(argument, nodes.Const) for argument in node.args)
    if node.node is None or node.kwargs or node.dyn_args or node.dyn_kwargs or not plain:
        _refuse(node, _("“%s” takes a value and constants alone.") % node.name)


def _check_loop(node: nodes.For) -> None:
    if node.test is not None or node.recursive or not isinstance(node.target, nodes.Name):
        _refuse(node, _("a loop has one name and no conditions."))
    if not isinstance(node.iter, _LOOPED):
        _refuse(node, _("a loop goes over what is there, such as a field."))


def _check_names(node: nodes.Node, names: dict[str, Collection[str] | None]) -> None:
    if isinstance(node, nodes.Name) and node.ctx == "load" and node.name not in names:
        told = {"name": node.name, "known": _listed(names)}
        _refuse(node, _("there is nothing called “%(name)s”; there are: %(known)s.") % told)
    if isinstance(node, nodes.Getattr | nodes.Getitem) and isinstance(node.node, nodes.Name):
        parts, part = names.get(node.node.name), _part(node)
        if parts is not None and part not in parts:
            told = {"name": node.node.name, "part": part, "known": _listed(parts)}
            _refuse(node, _("“%(name)s” has no “%(part)s”; it has: %(known)s.") % told)
    if isinstance(node, nodes.For) and isinstance(node.target, nodes.Name):
        _check_names(node.iter, names)
        inner = {**names, node.target.name: None, "loop": _LOOP}
        for child in [*node.body, *node.else_]:
            _check_names(child, inner)
        return
    for child in node.iter_child_nodes():
        _check_names(child, names)


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or _("nothing")


_LOOP: Final = ("index", "first", "last")


class _Run:
    """One run of a template: what it has written, and how much it may still do."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.bytes = 0
        self.steps = 0

    def write_all(self, body: list[nodes.Node], values: dict[str, Any]) -> None:
        for node in body:
            self._step(node)
            if isinstance(node, nodes.Output):
                for part in node.nodes:
                    self._write(part, values)
            elif isinstance(node, nodes.If):
                self._choose(node, values)
            elif isinstance(node, nodes.For):
                self._loop(node, values)
            else:
                _refuse(node, _("%s is not allowed here.") % type(node).__name__)

    def _step(self, node: nodes.Node) -> None:
        self.steps += 1
        if self.steps > MAX_STEPS:
            _refuse(node, _("the template does more than a prompt needs."))

    def _write(self, node: nodes.Expr, values: dict[str, Any]) -> None:
        self._step(node)
        if isinstance(node, nodes.TemplateData):
            text = node.data
        else:
            value = self.value(node, values)
            if not _is_plain(value):
                _refuse(node, _("this is a list or a group: loop over it, or join it."))
            text = as_text(value)
        self.bytes += len(text.encode())
        if self.bytes > MAX_OUTPUT:
            _refuse(node, _("the prompt becomes longer than %d bytes.") % MAX_OUTPUT)
        self.written.append(text)

    def _choose(self, node: nodes.If, values: dict[str, Any]) -> None:
        for branch in (node, *node.elif_):
            if self.value(branch.test, values):
                self.write_all(branch.body, values)
                return
        self.write_all(node.else_, values)

    def _loop(self, node: nodes.For, values: dict[str, Any]) -> None:
        found = self.value(node.iter, values)
        if found is not None and not isinstance(found, list | tuple | Mapping):
            _refuse(node, _("only a list or a group can be looped over."))
        items = list(found or ())
        target = node.target.name if isinstance(node.target, nodes.Name) else ""
        for number, item in enumerate(items, start=1):
            self._step(node)
            loop = {"index": number, "first": number == 1, "last": number == len(items)}
            self.write_all(node.body, {**values, target: item, "loop": loop})
        if not items:
            self.write_all(node.else_, values)

    def value(self, node: nodes.Node, values: dict[str, Any]) -> Any:
        self._step(node)
        if isinstance(node, nodes.Const):
            return node.value
        if isinstance(node, nodes.Name):
            if node.name not in values:
                _refuse(node, _("there is nothing called “%s”.") % node.name)
            return values[node.name]
        if isinstance(node, nodes.Getattr | nodes.Getitem):
            return _get(self.value(node.node, values), _part(node))
        if isinstance(node, nodes.Filter) and node.node is not None:
            return self._filtered(node, self.value(node.node, values))
        return self._tested(node, values)

    def _filtered(self, node: nodes.Filter, value: Any) -> Any:
        arguments = [argument.value for argument in node.args if isinstance(argument, nodes.Const)]
        try:
            result = _FILTERS[node.name](value, *arguments)
        except (TypeError, ValueError, IndexError, AttributeError):
            _refuse(node, _("“%s” cannot be used on this, or not so.") % node.name)
        if isinstance(result, str) and len(result) > MAX_OUTPUT:
            _refuse(node, _("a value becomes longer than %d bytes.") % MAX_OUTPUT)
        return result

    def _tested(self, node: nodes.Node, values: dict[str, Any]) -> bool:
        if isinstance(node, nodes.Not):
            return not self.value(node.node, values)
        if isinstance(node, nodes.And):
            return bool(self.value(node.left, values)) and bool(self.value(node.right, values))
        if isinstance(node, nodes.Or):
            return bool(self.value(node.left, values)) or bool(self.value(node.right, values))
        if isinstance(node, nodes.Compare):
            return self._compared(node, values)
        _refuse(node, _("%s is not allowed here.") % type(node).__name__)

    def _compared(self, node: nodes.Compare, values: dict[str, Any]) -> bool:
        left = self.value(node.expr, values)
        for operand in node.ops:
            right = self.value(operand.expr, values)
            try:
                if not _COMPARED[operand.op](left, right):
                    return False
            except TypeError:
                _refuse(node, _("these cannot be compared."))
            left = right
        return True


_COMPARED: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "lteq": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "gteq": lambda a, b: a >= b,
    "in": lambda a, b: a in b,
    "notin": lambda a, b: a not in b,
}


def _part(node: nodes.Getattr | nodes.Getitem) -> Any:
    if isinstance(node, nodes.Getattr):
        return node.attr
    return node.arg.value if isinstance(node.arg, nodes.Const) else None


def _get(value: Any, part: Any) -> Any:
    """A part of a group or a list; None where there is none. Never an attribute."""
    if isinstance(value, Mapping):
        return value.get(part) if isinstance(part, str) else None
    if isinstance(value, list | tuple) and type(part) is int and -len(value) <= part < len(value):
        return value[part]
    return None


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


# --- Filters: what comes from a record stays so -------------------------------------------------
def _like(value: Any, text: str) -> str:
    return Data(text, value.name) if isinstance(value, Data) else text


def _on_text(change: Callable[[str], str]) -> Callable[[Any], str]:
    return lambda value: _like(value, change(_plain(value)))


def _plain(value: Any) -> str:
    if not _is_plain(value):
        raise TypeError
    return "" if value is None else str(value)


def _truncate(value: Any, length: int) -> str:
    if type(length) is not int or length < 1:
        raise ValueError
    text = _plain(value)
    return _like(value, text if len(text) <= length else f"{text[: length - 1]}…")


def _join(value: Any, between: str = ", ") -> str:
    items = _list(value)
    text = between.join(_plain(item) for item in items)
    named: Iterator[Data] = (item for item in items if isinstance(item, Data))
    first = next(named, None)
    return text if first is None else Data(text, first.name)


def _list(value: Any) -> list[Any]:
    if isinstance(value, str):
        raise TypeError
    return list(value)


def _to_json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return Data(text, "json") if _holds_data(value) else text


def _holds_data(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_data, [*value, *value.values()]))
    if isinstance(value, list | tuple):
        return any(map(_holds_data, value))
    return isinstance(value, Data)


_FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "trim": _on_text(str.strip),
    "lower": _on_text(str.lower),
    "upper": _on_text(str.upper),
    "capitalize": _on_text(str.capitalize),
    "truncate": _truncate,
    "join": _join,
    "length": len,
    "first": lambda value: _list(value)[0],
    "last": lambda value: _list(value)[-1],
    "default": lambda value, other: value if value not in (None, "") else other,
    "tojson": _to_json,
}
