"""Figures of the processes for Prometheus, on an internal address, of no tenant in particular.

All processes of an instance write to one directory (``PROMETHEUS_MULTIPROC_DIR``); whichever of
them holds its lock answers for all on ``METRICS_ADDRESS``, and when it dies the next one does.
Without the directory each process counts for itself and nothing is served.
"""

import fcntl
import logging
import os
import socket
import threading
from collections.abc import Iterable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import DatabaseError, connections
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector

DIRECTORY: Final = "PROMETHEUS_MULTIPROC_DIR"
logger = logging.getLogger(__name__)

REQUESTS = Histogram(
    "stoneware_request_seconds",
    "Requests by view, method and status.",
    ["view", "method", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
RECORDS_WRITTEN = Counter("stoneware_records_written", "Records stored, new or changed.")
LLM_CALLS = Counter("stoneware_llm_calls", "Calls to language models by outcome.", ["outcome"])
JOB_SLICES = Counter(
    "stoneware_job_slices", "Times that a worker took up a job, by kind.", ["kind"]
)

# One row a figure: name, labels, value. As the operator, over all organizations together.
_GAUGES: Final[Sequence[tuple[str, str, Sequence[str], str]]] = (
    (
        "stoneware_jobs",
        "Unfinished jobs by queue and state.",
        ("queue", "state"),
        "SELECT queue, state, count(*) FROM job"
        " WHERE state IN ('queued', 'running', 'cancelling', 'paused') GROUP BY 1, 2",
    ),
    (
        "stoneware_job_oldest_seconds",
        "Age of the oldest job that nobody has begun, by queue.",
        ("queue",),
        "SELECT queue, extract(epoch FROM now() - min(job.inserted_at)) FROM job"
        " JOIN organization o ON o.id = organization_id AND o.suspended_at IS NULL"
        " WHERE state = 'queued' GROUP BY 1",
    ),
    (
        "stoneware_webhook_deliveries",
        "Webhook deliveries that wait or were given up.",
        ("status",),
        "SELECT status, count(*) FROM webhook_delivery WHERE status <> 'delivered' GROUP BY 1",
    ),
    (
        "stoneware_organizations",
        "Organizations.",
        (),
        "SELECT count(*) FROM organization",
    ),
    (
        "stoneware_records",
        "Records held.",
        (),
        "SELECT coalesce(sum(records), 0) FROM record_volume",
    ),
)


class DatabaseCollector:
    """Queue depths and volumes, asked at the moment of the scrape."""

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily("stoneware_database_up", "Whether the database answers.")
        try:
            yield from list(_gauges())
            up.add_metric([], 1)
        except DatabaseError as error:
            logger.warning("Metrics lack the database: %s", error)
            up.add_metric([], 0)
        finally:
            connections["operator"].close()
        yield up


def _gauges() -> Iterable[Metric]:
    with connections["operator"].cursor() as cursor:
        for name, words, labels, statement in _GAUGES:
            family = GaugeMetricFamily(name, words, labels=labels)
            cursor.execute(statement)
            for *values, figure in cursor.fetchall():
                family.add_metric([str(value) for value in values], float(figure or 0))
            yield family


def exposition() -> bytes:
    """All figures of the instance in Prometheus' text format."""
    registry = CollectorRegistry()
    if os.environ.get(DIRECTORY):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        for one in (REQUESTS, RECORDS_WRITTEN, LLM_CALLS, JOB_SLICES):
            registry.register(one)
    registry.register(DatabaseCollector())
    return generate_latest(registry)


class _Handler(BaseHTTPRequestHandler):
    server_version = "stoneware"
    sys_version = ""

    def do_GET(self) -> None:
        known = self.path.split("?")[0] in {"/", "/metrics"}
        body = exposition() if known else b"Not Found\n"
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", CONTENT_TYPE_LATEST if known else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "local"  # of a unix socket there is no address

    def log_message(self, format: str, *args: Any) -> None:
        """A scrape is nothing to tell."""


class _UnixServer(ThreadingHTTPServer):
    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        path = Path(str(self.server_address))
        path.unlink(missing_ok=True)  # a predecessor's; whoever holds the lock is the only one
        self.socket.bind(str(path))
        path.chmod(0o600)
        self.server_name, self.server_port = "local", 0


def serve_when_free() -> None:
    """Answer on ``METRICS_ADDRESS`` as soon as no other process of the instance does.

    Nothing without the address or the directory. Call it once a process, after its fork.
    """
    if settings.METRICS_ADDRESS and os.environ.get(DIRECTORY):
        threading.Thread(target=_serve, name="metrics", daemon=True).start()


def _serve() -> None:
    with (Path(os.environ[DIRECTORY]) / "serving.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            with make_server(settings.METRICS_ADDRESS) as server:
                server.serve_forever()
        except OSError as error:
            logger.error("Metrics are not served on %s: %s", settings.METRICS_ADDRESS, error)


def make_server(address: str) -> ThreadingHTTPServer:
    """A server on ``host:port`` or on the path of a socket. Raises ``OSError``."""
    if address.startswith("/"):
        return _UnixServer(address, _Handler)  # type: ignore[arg-type]
    host, _, port = address.rpartition(":")
    return ThreadingHTTPServer((host or "127.0.0.1", int(port)), _Handler)
