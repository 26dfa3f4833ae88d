"""What tells that the code is as it was, so that a slow step can be left out."""

import hashlib
import site
from collections.abc import Iterable
from pathlib import Path

from apps.core.embedded.paths import PROJECT_ROOT


def digest_of(files: Iterable[Path]) -> str:
    """A digest of our files' names and bytes, and of the installed packages and their versions."""
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(str(file.relative_to(PROJECT_ROOT)).encode())
        digest.update(file.read_bytes())
    for folder in site.getsitepackages():
        for package in sorted(Path(folder).glob("*.dist-info")):
            digest.update(package.name.encode())
    return digest.hexdigest()
