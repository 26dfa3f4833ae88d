"""Other tools' formats by name, and importing a file of one."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import models

from apps.core.errors import InvalidError, NotFoundError
from apps.core.tenancy import enter
from apps.datasets.services import publish_dataset
from apps.exchange.blueprint import create_from
from apps.exchange.foreign.argilla_v1 import read_argilla_v1
from apps.exchange.foreign.derive import derive
from apps.exchange.foreign.distilabel import read_distilabel
from apps.exchange.foreign.doccano import read_doccano
from apps.exchange.foreign.fit import Fitter
from apps.exchange.foreign.hints import Hints
from apps.exchange.foreign.label_studio import read_label_studio
from apps.exchange.formats import STDIN, FileFormat, opened
from apps.exchange.importer import Listener, Summary, import_rows
from apps.exchange.jsonl_rows import read_jsonl
from apps.exchange.own_form import bare
from apps.exchange.rows import Row
from apps.workspaces.models import Workspace


class ForeignFormat(models.TextChoices):
    LABEL_STUDIO = "label_studio"
    DOCCANO = "doccano"
    DISTILABEL = "distilabel"
    ARGILLA_V1 = "argilla_v1"


def read_items(format: ForeignFormat, file: str, hints: Hints) -> Iterator[Row]:
    """The items of a file, or of a directory for the last two. Raises ``InvalidError``."""
    if format == ForeignFormat.DISTILABEL:
        yield from read_distilabel(Path(file), hints)
    elif format == ForeignFormat.ARGILLA_V1:
        yield from read_argilla_v1(Path(file), hints)
    else:
        read = read_doccano if format == ForeignFormat.DOCCANO else read_label_studio
        with opened(file) as source:
            yield from read(source, hints)


def read_own_items(file: str, hints: Hints) -> Iterator[Row]:
    """The items of our own JSON Lines, for a dataset to be made for them."""
    hints.knows_fields = True
    with opened(file) as source:
        for row in read_jsonl(source).rows:
            if row.problem is None:
                try:
                    row.values = _own_item(row.values)
                except (KeyError, TypeError, AttributeError):
                    row.problem = "not the form of our own export"
            yield row


def _own_item(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "data": dict(given["fields"].items()),
        "vectors": dict((given.get("vectors") or {}).items()),
        "suggestions": [
            {"question": str(one["question"]), "value": one["value"]}
            for one in given.get("suggestions") or ()
        ],
        "responses": [
            {
                "status": one.get("status", "submitted"),
                "values": {name: bare(value) for name, value in one["values"].items()},
            }
            for one in given.get("responses") or ()
        ],
    }


def create_for_file(
    *,
    organization_id: UUID,
    workspace: str,
    name: str,
    format: ForeignFormat | FileFormat,
    file: str,
    types: Mapping[str, str],
) -> UUID:
    """Create and publish a dataset that fits the file, which is read once for it.

    ``types`` are question types by name, where they shall not be guessed. Raises
    ``InvalidError``, ``NotFoundError`` without the workspace, ``ConflictError`` when there is a
    dataset of this name.
    """
    if file == STDIN:
        raise InvalidError("--create reads the file twice: it cannot come from standard input.")
    if isinstance(format, FileFormat) and format != FileFormat.JSONL:
        raise InvalidError("--create needs a file that says what is a field and what an answer.")
    hints = Hints()
    rows = (
        read_items(format, file, hints)
        if isinstance(format, ForeignFormat)
        else read_own_items(file, hints)
    )
    blueprint = derive(rows, hints, types)
    with enter(organization_id):
        place = Workspace.objects.filter(name=workspace).first()
        if place is None:
            raise NotFoundError(f"There is no workspace {workspace!r}.")
        dataset = create_from(blueprint, workspace=place, name=name)
        return publish_dataset(dataset=dataset).id


def import_file(
    *,
    organization_id: UUID,
    dataset_id: UUID,
    format: ForeignFormat,
    file: str,
    users: Mapping[str, str],
    responder: str,
    listener: Listener,
) -> tuple[Summary, list[str]]:
    """Store the file's items; also returns what had no place, by name. Errors as import_table."""
    hints = Hints()
    fitter = Fitter(hints, users, responder)
    rows = read_items(format, file, hints)
    summary = import_rows(organization_id, dataset_id, rows, fitter, listener)
    return summary, sorted(hints.ignored)
