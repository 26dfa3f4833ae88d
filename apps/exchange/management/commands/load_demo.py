"""``manage.py load_demo``: an organization to try Stoneware out with."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from apps.core.embedded.paths import absolute, credentials_file, data_dir
from apps.core.embedded.supervisor import DEFAULT_HOST, DEFAULT_PORT
from apps.core.tenancy import enter
from apps.exchange.demo import people
from apps.exchange.demo.datasets import DATASETS
from apps.exchange.demo.load import load_dataset
from apps.organizations.management.operator import OperatorCommand
from apps.organizations.models import Membership


class Command(OperatorCommand):
    """Creates the organization "demo" with people, four datasets, answers and suggestions.

    Log-ins and API keys are written to credentials.json in the data directory (mode 0600). A
    second run creates what is missing; while that file is good, log-ins stay as they are.
    """

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--data-dir", type=Path, help="default: STONEWARE_DATA_DIR, or var")
        parser.add_argument("--url", default=f"http://{DEFAULT_HOST}:{DEFAULT_PORT}")

    def handle(self, *args: Any, **options: Any) -> None:
        directory = absolute(options["data_dir"].absolute()) if options["data_dir"] else data_dir()
        file = credentials_file(directory)
        organization_id = people.find_or_create_organization()
        renewed = None
        with enter(organization_id):
            workspace = people.find_or_create_workspace()
            if not people.is_known(file):
                renewed = people.renew_people(workspace)
            owner = Membership.objects.get(username=people.OWNER)
        created = []
        for demo in DATASETS:
            with enter(organization_id):
                if load_dataset(demo=demo, workspace=workspace, author=owner):
                    created.append(demo.name)
        if renewed is not None:
            people.write_credentials(file, url=options["url"], people=renewed)
        result = {"organization": people.SLUG, "datasets": created, "credentials": str(file)}
        self.tell(result, as_json=options["json"])
