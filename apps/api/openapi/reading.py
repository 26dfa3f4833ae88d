"""Which schemas a handler reads, found in its source: ``self.read_body(Schema)`` says it all."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from typing import Any, Final

import pydantic

from apps.api.views import ApiMixin

_READERS: Final = {"read_body": "body", "read_query": "query"}


def schemas_read(view: type, handler: str) -> dict[str, type[pydantic.BaseModel]]:
    """``{"body": Schema, "query": Schema}`` as the handler, or a method it calls, reads them."""
    return dict(_found(view, handler, set()))


def _found(
    view: type, method: str, seen: set[str]
) -> Iterator[tuple[str, type[pydantic.BaseModel]]]:
    """Each schema by its place; what all views inherit is not looked into."""
    function = inspect.unwrap(getattr(view, method))
    seen.add(method)
    for call in _calls_of_self(function):
        name, arguments = call
        if name in _READERS and arguments:
            yield _READERS[name], function.__globals__[arguments[0]]
        elif name not in seen and name not in vars(ApiMixin) and hasattr(view, name):
            yield from _found(view, name, seen)


def _calls_of_self(function: Any) -> Iterator[tuple[str, list[str]]]:
    """``(method, names of its arguments)`` of each ``self.method(…)``."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if isinstance(node.func.value, ast.Name) and node.func.value.id == "self":
            names = [argument.id for argument in node.args if isinstance(argument, ast.Name)]
            yield node.func.attr, names
