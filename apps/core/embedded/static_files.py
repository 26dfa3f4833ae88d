"""Collecting static files for a hosted instance, and only when they may have changed.

Compressing them takes ten seconds. What was collected is noted after a successful run; while the
code is as noted and the files are there, nothing is done.
"""

import json
import os
import sys
from pathlib import Path

from apps.core.embedded.digests import digest_of
from apps.core.embedded.paths import PROJECT_ROOT, run_directory, static_root
from apps.core.embedded.process import Process

DEVELOPMENT = "config.settings.development"  # serves them from where they are


def collect(*, data_dir: Path) -> bool:
    """Collect what the settings want collected, and say whether anything was done.

    Raises ``PartFailedError``; the log is ``static.log``.
    """
    if os.environ.get("DJANGO_SETTINGS_MODULE", DEVELOPMENT) == DEVELOPMENT:
        return False
    note = run_directory(data_dir) / "static.json"
    files = (file for file in (PROJECT_ROOT / "static").rglob("*") if file.is_file())
    wanted = {"root": str(static_root()), "files": digest_of(files)}
    if _noted(note) == wanted and (static_root() / "staticfiles.json").exists():
        return False
    command = [sys.executable, "manage.py", "collectstatic", "--no-input"]
    Process("static", command, data_dir=data_dir).run()
    note.write_text(json.dumps(wanted))
    return True


def _noted(note: Path) -> object:
    try:
        return json.loads(note.read_text())
    except (FileNotFoundError, ValueError):
        return None
