"""A whole instance to measure: ``manage.py up`` in a directory of its own, and what it uses."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Instance:
    """A running instance; ``process`` is the supervisor."""

    url: str
    process: subprocess.Popen[bytes]
    data_dir: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def processes(self) -> list[int]:
        """The supervisor and everything below it."""
        parents: dict[int, int] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                parents[int(entry.name)] = int(fields[1])
        found = {self.pid}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return sorted(found)

    def cpu_seconds(self) -> dict[int, float]:
        """CPU time of each living process and of its children that have ended."""
        used = {}
        for pid in self.processes():
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            used[pid] = sum(int(field) for field in fields[11:15]) / TICKS
        return used

    def settle(self, *, quiet: float = 11, patience: float = 60) -> None:
        """Wait until PostgreSQL has tidied up: ``quiet`` seconds without autovacuum."""
        end, since = time.monotonic() + patience, time.monotonic()
        while time.monotonic() < min(end, since + quiet):
            if any("autovacuum worker" in self._title(pid) for pid in self.processes()):
                since = time.monotonic()
            time.sleep(0.1)

    @staticmethod
    def _title(pid: int) -> str:
        try:
            return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
        except OSError:
            return ""

    def pss_mib(self) -> float:
        """Proportional memory of all processes, in MiB."""
        total = 0
        for pid in self.processes():
            try:
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            except OSError:
                continue
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return total / 1024


@contextmanager
def running(data_dir: Path | None = None, *extra: str) -> Iterator[Instance]:
    """Start an instance on a free port, and stop it at the end."""
    with tempfile.TemporaryDirectory(prefix="sw-bench-") as fresh:
        directory = data_dir or Path(fresh)
        command = [sys.executable, "manage.py", "up", "--port", "0", "--data-dir", str(directory)]
        process = subprocess.Popen([*command, *extra], cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            yield Instance(wait_for_url(process, directory), process, directory)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def wait_for_url(process: subprocess.Popen[bytes], directory: Path, *, step: float = 0.1) -> str:
    """The address, once the instance answers there."""
    state = directory / "run" / "supervisor.json"
    for _ in range(int(180 / step)):
        if process.poll() is not None:
            raise RuntimeError("The instance did not start.")
        if state.exists():
            facts = json.loads(state.read_text())
            if facts.get("pid") == process.pid and _answers(facts["url"]):
                return str(facts["url"])
        time.sleep(step)
    raise RuntimeError("The instance was not ready within three minutes.")


def _answers(url: str) -> bool:
    from urllib.error import URLError
    from urllib.request import urlopen

    try:
        with urlopen(f"{url}/api/v1/version", timeout=2) as answer:  # noqa: S310
            return answer.status == 200
    except URLError:
        return False


def use_django(instance: Instance) -> None:
    """Let this process talk to the instance's database, as the walled-in role."""
    os.environ["STONEWARE_DATA_DIR"] = str(instance.data_dir)
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.development"
    sys.path.insert(0, str(ROOT))
    import django

    django.setup()
