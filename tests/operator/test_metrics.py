"""Figures for Prometheus: of several processes in one place, and of no organization."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from apps.core import metrics
from apps.core.tenancy import enter
from apps.jobs.models import Job
from tests import factories
from tests.operator.conftest import EVERYWHERE

pytestmark = EVERYWHERE

PROCESS = """
import sys, time
import django
from django.conf import settings
away = {"ENGINE": "django.db.backends.postgresql", "HOST": "/nowhere", "NAME": "x"}
settings.configure(METRICS_ADDRESS=sys.argv[1], DATABASES={"default": away, "operator": away})
django.setup()
from apps.core import metrics
metrics.RECORDS_WRITTEN.inc(int(sys.argv[2]))
metrics.serve_when_free()
print("counted", flush=True)
time.sleep(600)
"""


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def read(address: str) -> str:
    """A scrape over the socket; empty while nobody answers."""
    with socket.socket(socket.AF_UNIX) as line:
        try:
            line.connect(address)
        except OSError:
            return ""
        line.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        parts = []
        while part := line.recv(65536):
            parts.append(part)
    return b"".join(parts).decode().partition("\r\n\r\n")[2]


def test_requests_and_queues_are_counted_without_tenants() -> None:
    organization = factories.make_organization()
    with enter(organization.id):
        Job.objects.create(kind="suggest", queue="bulk")
    before = samples(metrics.exposition().decode())
    Client().get("/api/v1/status")
    Client().get(f"/datasets/{organization.id}/annotate/")
    Client().get("/nowhere/" + "x" * 50)
    text = metrics.exposition().decode()
    after = samples(text)
    name = "stoneware_request_seconds_count"
    labels = {dict(key[1])["view"] for key in after if key[0] == name}
    assert "labeling:annotate" in labels
    assert not any("/" in label for label in labels)
    told = [key for key in after if key[0] == name and after[key] > before.get(key, 0)]
    assert {dict(key[1])["status"] for key in told} == {"200", "302", "404"}
    assert after["stoneware_jobs", (("queue", "bulk"), ("state", "queued"))] == 1
    assert after["stoneware_database_up", ()] == 1
    assert str(organization.id) not in text
    assert organization.slug not in text


def test_the_figures_stay_when_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = [("x", "X", (), "SELECT nonsense FROM nowhere")]
    monkeypatch.setattr(metrics, "_GAUGES", broken)
    told = samples(metrics.exposition().decode())
    assert told["stoneware_database_up", ()] == 0
    assert any(name == "stoneware_records_written_total" for name, _ in told)


def test_one_process_answers_for_all_and_the_next_when_it_dies(tmp_path: Path) -> None:
    address = str(tmp_path / "metrics.sock")
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    processes: list[Any] = []

    def written() -> float:
        for _ in range(400):
            if text := read(address):
                return samples(text)["stoneware_records_written_total", ()]
            time.sleep(0.05)
        raise AssertionError("nobody answers")

    try:
        for count in (3, 4):
            command = [sys.executable, "-c", PROCESS, address, str(count)]
            process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
            processes.append(process)
            assert process.stdout is not None
            assert process.stdout.readline() == b"counted\n"
        assert written() == 7
        assert Path(address).stat().st_mode & 0o777 == 0o600
        processes[0].send_signal(signal.SIGKILL)
        processes[0].wait()
        assert written() == 7  # what it had counted still counts
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_a_port_answers_the_figures_alone() -> None:
    import threading
    import urllib.error
    import urllib.request

    with metrics.make_server("127.0.0.1:0") as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_address[1]}"
        with urllib.request.urlopen(f"{base}/metrics") as answer:  # noqa: S310
            assert b"stoneware_request_seconds" in answer.read()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{base}/etc/passwd")  # noqa: S310
        server.shutdown()
