"""Where an embedded instance keeps its parts; importable before Django is set up."""

import hashlib
import os
import re
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[3]

POSTGRES_DATABASE = "stoneware"
# Nothing listens on this port: it is the last part of the socket's name, `.s.PGSQL.5432`.
POSTGRES_PORT = 5432
POSTGRES_SUPERUSER = "postgres"

# A unix socket's address has 108 bytes on Linux and 104 on macOS, the closing zero included.
LONGEST_SOCKET_PATH = 100


def data_dir() -> Path:
    """The data directory of this process: ``STONEWARE_DATA_DIR``, or ``var`` in the project."""
    return absolute(Path(os.environ.get("STONEWARE_DATA_DIR") or "var"))


def absolute(path: Path) -> Path:
    """The path, with a relative one taken from the project's root: commands run anywhere."""
    return (PROJECT_ROOT / path.expanduser()).resolve()


def static_root() -> Path:
    """Where static files are collected: ``STATIC_ROOT``, or ``staticfiles`` in the project."""
    return absolute(Path(os.environ.get("STATIC_ROOT") or "staticfiles"))


def run_directory(data_dir: Path) -> Path:
    """What only matters while the instance runs (mode 0700)."""
    return data_dir / "run"


def socket_directory(data_dir: Path) -> Path:
    """The directory of both sockets: ``run`` in the data directory when its path is short.

    A path that is too long, or not plain enough to stand in a database URL, gives a directory
    below ``/tmp``; not below ``TMPDIR``, which a command in another terminal may have set
    differently.
    """
    inside = run_directory(data_dir)
    longest = inside / f".s.PGSQL.{POSTGRES_PORT}"
    plain = re.fullmatch(r"[A-Za-z0-9/._+@~-]+", str(longest))
    if plain and len(str(longest)) <= LONGEST_SOCKET_PATH:
        return inside
    key = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    return Path("/tmp") / f"stoneware-{os.getuid()}-{key}"  # noqa: S108 (its owner is checked)


def redis_socket(data_dir: Path) -> Path:
    """The socket on which Redis listens."""
    return socket_directory(data_dir) / "redis.sock"


def metrics_directory(data_dir: Path) -> Path:
    """Where the processes of a running instance count what they do."""
    return run_directory(data_dir) / "metrics"


def metrics_socket(data_dir: Path) -> Path:
    """The socket on which the figures are read, unless ``METRICS_ADDRESS`` names a place."""
    return socket_directory(data_dir) / "metrics.sock"


def log_directory(data_dir: Path) -> Path:
    """The directory with one log file for each part, ``postgres.log`` to ``worker.log``."""
    return data_dir / "log"


def log_file(data_dir: Path, part: str) -> Path:
    """The log of a part (``postgres``, ``redis`` …) or a step (``migrate``, ``static`` …)."""
    return log_directory(data_dir) / f"{part}.log"


def postgres_directory(data_dir: Path) -> Path:
    """The database cluster (PostgreSQL's own data directory)."""
    return data_dir / "postgres"


def backup_directory(data_dir: Path) -> Path:
    """Where backups lie, and the reports of their runs: ``BACKUP_DIR``, or ``backups`` inside."""
    return absolute(Path(os.environ.get("BACKUP_DIR") or data_dir / "backups"))


def exports_directory(data_dir: Path) -> Path:
    """Exports of whole organizations: ``EXPORTS_DIR``, or ``exports`` inside."""
    return absolute(Path(os.environ.get("EXPORTS_DIR") or data_dir / "exports"))


def credentials_file(data_dir: Path) -> Path:
    """Address, log-in and API key of the demo, written once by ``load_demo`` (mode 0600)."""
    return data_dir / "credentials.json"


def supervisor_file(data_dir: Path) -> Path:
    """Process id and address of the running supervisor; gone when it has stopped in order."""
    return run_directory(data_dir) / "supervisor.json"
