"""Who writes the documents that messages carry.

They are of objects above this app, in a form that an interface knows, which offers a builder in
its ``AppConfig.ready``::

    offer("record", "apps.api.webhook_documents.records")
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TypeAlias
from uuid import UUID

from django.utils.module_loading import import_string

# Ids to JSON documents; those that are not there (any more) are left out. Called inside the
# organization.
Builder: TypeAlias = Callable[[Sequence[UUID]], Mapping[UUID, bytes]]

_paths: dict[str, str] = {}


def offer(resource: str, path: str) -> None:
    """Register the builder at the dotted ``path`` for a resource, e.g. ``record``."""
    _paths[resource] = path


def build(resource: str, ids: Sequence[UUID]) -> Mapping[UUID, bytes]:
    """The documents of those objects that are there, as they are now."""
    return _load(resource)(ids) if ids else {}


@cache
def _load(resource: str) -> Builder:
    builder: Builder = import_string(_paths[resource])
    return builder
