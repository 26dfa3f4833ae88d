"""PostgreSQL's own tools, run to their end."""

import signal
from pathlib import Path

from apps.core.embedded.postgres import binary, run_to_end
from apps.core.embedded.process import dying_with_parent, failure


def run_tool(name: str, *arguments: str, directory: Path) -> None:
    """Run a tool that writes to the directory; raises its complaint as an ``EmbeddedError``."""
    done = run_to_end([*dying_with_parent(signal.SIGTERM), str(binary(name)), *arguments])
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        errors = [line for line in said if " error: " in line]  # it tidies up after them
        reason = (errors or said or [f"it ended with {done.returncode}"])[-1]
        reason = reason.rpartition(" error: ")[2]
        raise failure(f"{name} failed: {reason}", done.stderr, directory=directory)
