"""``manage.py up``: a whole Stoneware on this machine, with one command."""

import os
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.core.embedded.paths import PROJECT_ROOT, data_dir
from apps.core.embedded.supervisor import DEFAULT_HOST, DEFAULT_PORT


class Command(BaseCommand):
    """Starts PostgreSQL, Redis, web server and worker; Ctrl-C stops them all."""

    help = __doc__
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=DEFAULT_HOST)
        parser.add_argument("--port", type=int, default=DEFAULT_PORT)
        parser.add_argument("--data-dir", type=Path, help="default: STONEWARE_DATA_DIR, or var")
        parser.add_argument("--demo", action="store_true", help="load the demo, once")

    def handle(self, *args: Any, **options: Any) -> None:
        directory = (options["data_dir"] or data_dir()).absolute()
        arguments = ["--host", options["host"], "--port", str(options["port"])]
        arguments += ["--data-dir", str(directory), *(["--demo"] if options["demo"] else [])]
        os.chdir(PROJECT_ROOT)
        module = ["-m", "apps.core.embedded.supervisor"]
        os.execv(sys.executable, [sys.executable, *module, *arguments])  # noqa: S606
