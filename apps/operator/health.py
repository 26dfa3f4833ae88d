"""Whether this instance can serve: each part asked on its own, none inside an organization."""

import shutil
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import redis
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor
from django.db.utils import OperationalError

from apps.core.checks import role_attributes

LEAST_DISK: Final = 512 * 1024 * 1024  # bytes; with less, PostgreSQL is about to stop
REDIS_PATIENCE: Final = 1.0  # seconds
Part = dict[str, Any]


def readiness() -> dict[str, Part]:
    """``{"database": {"ok": True, "ms": 1.2, …}, …}`` of database, migrations, Redis and disk."""
    return {name: _ask(part) for name, part in _PARTS.items()}


def _ask(part: Callable[[], Part]) -> Part:
    """What a part says of itself; no detail of an error leaves, the log has it."""
    began = time.perf_counter()
    try:
        told: Part = {"ok": True, **part()}
    except (DatabaseError, OperationalError, redis.RedisError, OSError) as error:
        told = {"ok": False, "problem": type(error).__name__}
    return told | {"ms": round((time.perf_counter() - began) * 1000, 1)}


def _database() -> Part:
    """Answering, and as a role that row-level security binds."""
    name, superuser, bypasses = role_attributes(DEFAULT_DB_ALIAS)
    told: Part = {"ok": not (superuser or bypasses), "role": name}
    return told if told["ok"] else told | {"problem": "the role passes row-level security"}


_applied = False  # what was applied stays so while this process runs


def _migrations() -> Part:
    global _applied
    if not _applied:
        executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
        waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if waiting:
            return {"ok": False, "problem": f"{len(waiting)} not applied"}
        _applied = True
    return {}


def _redis() -> Part:
    patience = {"socket_timeout": REDIS_PATIENCE, "socket_connect_timeout": REDIS_PATIENCE}
    with redis.Redis.from_url(settings.REDIS_URL, **patience) as client:
        return {"ok": bool(client.ping())}


def _disk() -> Part:
    free = shutil.disk_usage(settings.DATA_DIR if settings.DATA_DIR.exists() else "/").free
    told: Part = {"ok": free >= LEAST_DISK, "free_bytes": free}
    return told if told["ok"] else told | {"problem": "too little space"}


_PARTS: Final[Mapping[str, Callable[[], Part]]] = {
    "database": _database,
    "migrations": _migrations,
    "redis": _redis,
    "disk": _disk,
}
