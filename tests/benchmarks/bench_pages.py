"""The labelling page with many records behind it, its weight, and how fast an instance starts.

python -m tests.benchmarks.bench_pages [--records 200000]
"""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import brotli

from tests.benchmarks.bench_api import World, world_of
from tests.benchmarks.instance import ROOT, wait_for_url


def main() -> None:
    with world_of(__doc__, records=200_000) as (world, records):
        measure_page(world, records)
        process = world.instance.process
        begin = time.perf_counter()
        process.send_signal(signal.SIGTERM)
        process.wait()
        print(f"{'stop':<52}{time.perf_counter() - begin:>10.1f} s")
        measure_start(world.instance.data_dir)


def measure_page(world: World, records: int) -> None:
    """Server time of the next record's page, in this process, and the weight of the first load."""
    from django.test import Client

    from apps.core.tenancy import enter
    from apps.organizations.services import create_member
    from apps.workspaces.services import add_workspace_member
    from config.collector import spare_what_is_there

    world.fill("pages", records)
    world.instance.settle()
    spare_what_is_there()  # as the web process does
    dataset, _ = world.dataset("pages")
    with enter(world.organization.id):
        member = create_member(username="page", password="correct horse battery")
        add_workspace_member(workspace=world.workspace, member=member)
    client = Client(headers={"host": "localhost"})
    client.force_login(member.user, backend="apps.organizations.backends.MemberBackend")
    path = f"/datasets/{dataset}/annotate/"
    first = client.get(path)
    times = sorted(answer_and_go_on(client, path) for _ in range(200))
    label = f"next record's page, {records // 1000}k records, p50 / p95"
    print(f"{label:<52}{times[100] * 1e3:>10.1f} /{times[190] * 1e3:>6.1f} ms")
    print(f"{'first load, compressed':<52}{weigh(first.content) / 1024:>10.1f} KB")


def answer_and_go_on(client: Any, path: str) -> float:
    """Seconds for the page of the next record, after this one is discarded."""
    page = client.get(path).content.decode()
    record = re.search(r"/records/([0-9a-f-]{36})/response/", page)
    client.post(path.replace("annotate/", f"records/{record[1]}/response/"), {"do": "discard"})
    begin = time.perf_counter()
    assert client.get(path).status_code == 200
    return time.perf_counter() - begin


def weigh(page: bytes) -> int:
    """Bytes of the page and everything it loads, each compressed with brotli."""
    seen: set[str] = set()
    total = len(brotli.compress(page))
    waiting = re.findall(r'(?:src|href)="(/static/[^"#]+)', page.decode())
    while waiting:
        address = waiting.pop()
        if address in seen or address.endswith(".png"):
            continue
        seen.add(address)
        content = (ROOT / address.lstrip("/")).read_bytes()
        total += len(brotli.compress(content))
        if address.endswith(".js") and "vendor" not in address:
            imports = re.findall(r'from "(\./[^"]+)"', content.decode())
            waiting += [urljoin(address, name) for name in imports]
    return total


def measure_start(directory: Path) -> None:
    """A second start on the same directory, to the first page."""
    command = [sys.executable, "manage.py", "up", "--port", "0", "--data-dir", str(directory)]
    begin = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    wait_for_url(process, directory, step=0.02)
    print(f"{'second start, to the first page':<52}{time.perf_counter() - begin:>10.1f} s")
    process.send_signal(signal.SIGTERM)
    process.wait()


if __name__ == "__main__":
    main()
