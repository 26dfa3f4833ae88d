"""PostgreSQL's own tools, run to their end."""

import signal
import subprocess
from pathlib import Path

from apps.core.embedded.postgres import binary, without_postgres_variables
from apps.core.embedded.process import dying_with_parent, failure


def run_tool(name: str, *arguments: str, directory: Path) -> None:
    """Run a tool that writes to the directory; raises its complaint as an ``EmbeddedError``."""
    done = subprocess.run(  # noqa: S603 (a list of our own words; no shell reads it)
        [*dying_with_parent(signal.SIGTERM), str(binary(name)), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
        env=without_postgres_variables(),
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        errors = [line for line in said if " error: " in line]  # it tidies up after them
        reason = (errors or said or [f"it ended with {done.returncode}"])[-1]
        reason = reason.rpartition(" error: ")[2]
        raise failure(f"{name} failed: {reason}", done.stderr, directory=directory)
