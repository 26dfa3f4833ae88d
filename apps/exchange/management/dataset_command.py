"""Commands about one dataset: how it is named and found."""

import sys
from dataclasses import dataclass
from uuid import UUID

from django.core.management.base import CommandParser

from apps.core.errors import NotFoundError
from apps.core.tenancy import enter
from apps.datasets.models import Dataset
from apps.organizations.management.operator import OperatorCommand, find_organization


@dataclass(frozen=True, slots=True)
class Place:
    """A dataset and the organization it lies in."""

    organization_id: UUID
    dataset_id: UUID


class DatasetCommand(OperatorCommand):
    """Takes ``--organization --workspace --dataset``."""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--organization", required=True, metavar="SLUG")
        parser.add_argument("--workspace", required=True, metavar="NAME")
        parser.add_argument("--dataset", required=True, metavar="NAME")

    def note(self, text: str) -> None:
        """Tell of progress; on a terminal the next note overwrites this one."""
        end = "\r" if sys.stderr.isatty() else "\n"
        self.stderr.write(text, ending=end, style_func=str)


def find_place(*, organization: str, workspace: str, dataset: str) -> Place:
    """Where the dataset is, by names. Raises ``NotFoundError``."""
    organization_id = find_organization(organization)
    with enter(organization_id):
        found = Dataset.objects.there().filter(name=dataset, workspace__name=workspace).first()
    if found is None:
        raise NotFoundError(
            f"There is no dataset {dataset!r} in the workspace {workspace!r} of {organization!r}."
        )
    return Place(organization_id, found.id)
