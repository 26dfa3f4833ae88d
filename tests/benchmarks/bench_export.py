"""A file in, a file out: records a second and peak memory of both commands.

    python -m tests.benchmarks.bench_export [--records 100000]

Each record has a text, two metadata values, a suggestion and a submitted response. The exports
are measured without the start of Python, in this process.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.benchmarks.instance import ROOT, Instance, running, use_django

# The peak of a command in a process of its own; getrusage would begin with the parent's.
MEASURED = """
import pathlib, sys
import django
django.setup()
from django.core.management import call_command
call_command(*sys.argv[1:])
lines = pathlib.Path("/proc/self/status").read_text().splitlines()
sys.stderr.write(next(line for line in lines if "VmHWM" in line).split()[1])
"""
WHERE = ["--organization", "bench", "--workspace", "bench", "--dataset", "reviews"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    options = parser.parse_args()
    with running() as instance:
        use_django(instance)
        organization_id, dataset_id = make_dataset()
        file = instance.data_dir / "records.jsonl"
        write_file(file, options.records)
        measure_import(instance, file, options.records)
        for format in ("jsonl", "csv"):
            for _ in range(3):
                measure_export(instance, organization_id, dataset_id, format)
            output = str(instance.data_dir / "out")
            seconds, peak = run("export_records", *WHERE, "--format", format, "--output", output)
            title = f"export_records --format {format}"
            print(f"{title:<40}{seconds:>9.1f} s{peak:>17.0f} MiB peak")


def make_dataset() -> tuple[UUID, UUID]:
    from apps.core.tenancy import enter
    from apps.datasets.models import MetadataProperty, VectorSettings
    from apps.organizations.services import create_organization
    from tests import factories

    organization = create_organization(name="Bench", slug="bench")
    with enter(organization.id):
        workspace = factories.make_workspace("bench")
        dataset = factories.make_dataset(workspace, name="reviews", questions=["sentiment"])
        for number, (name, type) in enumerate([("source", "terms"), ("year", "integer")], start=1):
            MetadataProperty.objects.create(
                dataset=dataset, number=number, name=name, title=name, settings={"type": type}
            )
        VectorSettings.objects.create(dataset=dataset, name="v", title="V", dimensions=256)
        factories.make_member(username="anna")
    return organization.id, dataset.id


def write_file(file: Path, count: int) -> None:
    """Records in the form of our own export, about 450 bytes each."""
    with file.open("w") as target:
        for number in range(count):
            target.write(json.dumps(record(number)) + "\n")


def record(number: int) -> dict[str, Any]:
    return {
        "id": f"review-{number}",
        "fields": {"text": f"Review number {number}: " + "a film as long as its sentences. " * 4},
        "metadata": {"source": ["app", "web"][number % 2], "year": 1970 + number % 50},
        "suggestions": [
            {"question": "sentiment", "value": "mixed", "score": 0.5, "agent": "m", "type": "model"}
        ],
        "responses": [
            {"user": "anna", "status": "submitted", "values": {"sentiment": {"value": "positive"}}}
        ],
    }


def measure_import(instance: Instance, file: Path, count: int) -> None:
    used = sum(instance.cpu_seconds().values())
    seconds, peak = run("import_records", str(file), *WHERE)
    used = sum(instance.cpu_seconds().values()) - used
    print(f"{'import_records (whole command)':<40}{count / seconds:>9,.0f} records/s", end="")
    print(f"{peak:>9.0f} MiB peak{used / count * 1e6:>7.0f} us of PostgreSQL a record")


def measure_export(
    instance: Instance, organization_id: UUID, dataset_id: UUID, format: str
) -> None:
    from apps.exchange.exports import export_dataset
    from apps.exchange.formats import FileFormat

    used, cpu = sum(instance.cpu_seconds().values()), time.process_time()
    began = time.perf_counter()
    records = size = 0
    for page in export_dataset(
        organization_id=organization_id, dataset_id=dataset_id, format=FileFormat(format)
    ):
        records += page.records
        size += len(page.lines)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    used = sum(instance.cpu_seconds().values()) - used
    print(f"{f'export {format}':<40}{records / seconds:>9,.0f} records/s", end="")
    print(f"{size / 2**20:>9.0f} MiB", end="")
    print(f"{cpu / records * 1e6:>8.1f} us here, {used / records * 1e6:.1f} in PostgreSQL a record")


def run(*command: str) -> tuple[float, float]:
    """Seconds and peak memory in MiB of a command in a process of its own."""
    began = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-c", MEASURED, *command],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise SystemExit(result.stderr)
    return time.perf_counter() - began, int(result.stderr.splitlines()[-1]) / 1024


if __name__ == "__main__":
    main()
