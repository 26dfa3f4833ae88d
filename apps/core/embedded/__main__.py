"""Runs one command beside engines of its own, which are gone afterwards.

``python -m apps.core.embedded python manage.py makemigrations --check`` needs nothing that is
already running. With ``DATABASE_URL`` set, the command runs as it is.
"""

# ruff: noqa: S603 (every command is a list of our own words; no shell reads it)

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from apps.core.embedded.errors import EmbeddedError
from apps.core.embedded.services import Services


def main(command: list[str]) -> int:
    """The command's exit code, or 1 when the engines do not start."""
    if not command:
        sys.stderr.write("usage: python -m apps.core.embedded COMMAND [ARGUMENT …]\n")
        return 2
    if os.environ.get("DATABASE_URL"):
        return subprocess.run(command, check=False).returncode
    with tempfile.TemporaryDirectory(prefix="stoneware-") as directory:
        os.environ["STONEWARE_DATA_DIR"] = directory
        try:
            with Services(Path(directory), durable=False):
                return subprocess.run(command, check=False).returncode
        except EmbeddedError as error:
            sys.stderr.write(f"error: {error}\n{error.log_tail}\n")
            return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
