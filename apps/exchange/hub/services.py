"""Starting imports from the Hub and exports to it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from apps.core.errors import InvalidError
from apps.datasets.models import Dataset
from apps.datasets.schema import DatasetSchema, load_schema
from apps.exchange.hub import library
from apps.exchange.hub.source import is_name
from apps.exchange.targets import parse_target
from apps.jobs.models import Job
from apps.jobs.services import enqueue
from apps.organizations.models import Membership
from apps.records.models import Record
from apps.workspaces.models import Workspace

IMPORT: Final = "hub_import"
EXPORT: Final = "hub_export"
DEFAULT_SUBSET: Final = "default"
DEFAULT_FOLDER: Final = "data"  # where the Hub's own tools put the default subset, too
_SPLIT = re.compile(r"\w+(\.\w+)*", re.ASCII)
_SUBSET = re.compile(r"[^<>:/\\|?*\s][^<>:/\\|?*\n]{0,99}")


@dataclass(frozen=True, slots=True)
class Place:
    """A split of a subset of a dataset on the Hub."""

    name: str
    subset: str
    split: str

    def check(self) -> None:
        """Raise ``InvalidError`` for what cannot be the name of such a thing."""
        if not is_name(self.name):
            raise InvalidError(f"{self.name[:100]!r} is no dataset's name: use user/name.")
        if not _SUBSET.fullmatch(self.subset) or ".." in self.subset:
            raise InvalidError(f"{self.subset[:100]!r} is no subset's name.")
        if not _SPLIT.fullmatch(self.split) or len(self.split) > 100:
            raise InvalidError(f"{self.split[:100]!r} is no split's name.")


@dataclass(frozen=True, slots=True)
class Pair:
    """A column of the source and the part of our dataset that it goes to."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Mapping:
    """Which column goes where; ``external_id`` is a column."""

    fields: Sequence[Pair]
    metadata: Sequence[Pair] = ()
    suggestions: Sequence[Pair] = ()
    vectors: Sequence[Pair] = ()
    external_id: str | None = field(default=None)

    def columns(self, schema: DatasetSchema) -> list[tuple[str, str]]:
        """``(source, written target)`` of all. Raises ``InvalidError`` for an unknown target."""
        columns = [
            (pair.source, f"{kind}:{pair.target}")
            for kind, pairs in (
                ("field", self.fields),
                ("metadata", self.metadata),
                ("suggestion", self.suggestions),
                ("vector", self.vectors),
            )
            for pair in pairs
        ]
        targets = [target for _, target in columns]
        for target in targets:
            parse_target(schema, target)
            if targets.count(target) > 1:
                raise InvalidError(f"Two columns go to {target!r}.")
        return columns


def start_import(
    *,
    dataset: Dataset,
    place: Place,
    mapping: Mapping,
    token: str | None = None,
    created_by: Membership | None = None,
) -> Job:
    """Import a split of a dataset on the Hub, as a job.

    Raises ``InvalidError`` for impossible names, for targets that the dataset lacks, and when
    the optional packages are missing.
    """
    library.check_installed()
    place.check()
    params = {
        "name": place.name,
        "subset": place.subset,
        "split": place.split,
        "columns": mapping.columns(load_schema(dataset)),
        "id_column": mapping.external_id,
        "private": token is not None,
    }
    return _enqueue(IMPORT, dataset, params, token, created_by)


def start_export(
    *,
    dataset: Dataset,
    place: Place,
    private: bool,
    token: str,
    created_by: Membership | None = None,
) -> Job:
    """Export the dataset to the Hub, as a job.

    Raises ``InvalidError`` for impossible names, for a dataset without records, and when the
    optional packages are missing.
    """
    library.check_installed()
    place.check()
    if place.subset == DEFAULT_FOLDER:
        raise InvalidError(
            f"A subset cannot be called {DEFAULT_FOLDER!r}: the files of the subset"
            f" {DEFAULT_SUBSET!r} are in that folder."
        )
    if not Record.objects.filter(dataset=dataset).exists():
        raise InvalidError("The dataset has no records to export.")
    params = {
        "name": place.name,
        "subset": place.subset,
        "split": place.split,
        "private": private,
    }
    return _enqueue(EXPORT, dataset, params, token, created_by)


def _enqueue(
    kind: str,
    dataset: Dataset,
    params: dict[str, Any],
    token: str | None,
    created_by: Membership | None,
) -> Job:
    return enqueue(
        kind=kind,
        params={"dataset_id": str(dataset.id), **params},
        workspace=Workspace.objects.get(id=dataset.workspace_id),
        dataset_id=dataset.id,
        created_by=created_by,
        secret=token,
    )
