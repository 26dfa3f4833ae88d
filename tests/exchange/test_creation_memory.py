"""A file that becomes a dataset is never held in memory, however large it is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from apps.core.tenancy import enter
from apps.exchange.rows import MAX_ROW
from apps.records.models import DatasetCounter
from tests import factories
from tests.exchange.test_memory import database_url

MEASURED = """
import pathlib, sys, uuid
import django
django.setup()
from apps.core.tenancy import enter
from apps.exchange.creation import uploads
from apps.exchange.creation.content import SketchContent
from apps.exchange.creation.services import create_dataset_of, start_sketch
from apps.exchange.formats import FileFormat, format_of
from apps.jobs.engine import run_slice
from apps.organizations.models import Membership
from apps.workspaces.models import Workspace
organization, file = uuid.UUID(sys.argv[1]), pathlib.Path(sys.argv[2])
part = uploads.part_path(uuid.uuid4())
part.hardlink_to(file)
with enter(organization):
    sketch = start_sketch(
        author=Membership.objects.get(username="olga"),
        source="upload",
        content=SketchContent(name=file.name),
        file=part,
        file_name=file.name,
        format=format_of(file.name),
    )
    made = create_dataset_of(sketch=sketch, workspace=Workspace.objects.get())
while run_slice(organization_id=organization, job_id=made.job_id):
    pass
with enter(organization):
    made.job.refresh_from_db()
    assert made.job.state == "done", made.job.error_sample
    sys.stderr.write(f"{made.job.done} rows\\n")
[peak] = [
    line for line in pathlib.Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line
]
sys.stderr.write(peak.split()[1])
"""
# Thousands of characters a row; more megabytes for whoever wants to see it with a large file.
TEXT = "some words that people read before they answer " * 80
LARGE = int(os.environ.get("STONEWARE_LARGE_UPLOAD", "12"))  # MB


def write_file(file: Path, megabytes: int) -> int:
    """Rows of about 4 kB; returns how many."""
    count = megabytes * 1_000_000 // len(TEXT)
    rows = ({"text": f"{n} {TEXT}", "label": f"label {n % 7}"} for n in range(count))
    if file.suffix == ".parquet":
        schema = pyarrow.schema([("text", pyarrow.string()), ("label", pyarrow.string())])
        with parquet.ParquetWriter(file, schema, use_dictionary=False, compression="none") as out:
            for first in range(0, count, 500):
                page = [next(rows) for _ in range(min(500, count - first))]
                out.write_table(pyarrow.Table.from_pylist(page, schema=schema))
        return count
    with file.open("w") as out:
        out.write("[")
        for number, row in enumerate(rows):
            out.write(("," if number else "") + json.dumps(row))
        out.write("]")
    return count


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
@pytest.mark.parametrize("ending", ["json", "parquet"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, ending: str) -> None:
    organization = factories.make_organization()
    with enter(organization.id):
        workspace = factories.make_workspace()
        factories.make_member(role="owner", username="olga", workspace=workspace)
    peaks, total = [], 0
    for megabytes in (3, LARGE):
        file = tmp_path / f"{megabytes}.{ending}"
        total += write_file(file, megabytes)
        result = subprocess.run(
            [sys.executable, "-c", MEASURED, str(organization.id), str(file)],
            env={
                **os.environ,
                "DATABASE_URL": database_url(),
                "STONEWARE_DATA_DIR": str(tmp_path),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr[-2_000:]
        peaks.append(int(result.stderr.splitlines()[-1]))
    sys.stdout.write(f"{ending}: {peaks} kB\n")
    assert peaks[1] < peaks[0] * 1.25
    with enter(organization.id):
        stored = DatasetCounter.objects.values_list("records", flat=True)
        assert sum(stored) == total


READ = """
import collections, pathlib, sys
from apps.exchange.arrow_rows import read_parquet_rows
rows = read_parquet_rows(open(sys.argv[1], "rb"))
problems = collections.Counter(row.problem for row in rows)
[peak] = [
    line for line in pathlib.Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line
]
print(dict(problems), peak.split()[1], sep="\\n")
"""


def read_apart(file: Path) -> tuple[str, int]:
    """Reads a file in a process of its own: how often which problem, and the peak in kB."""
    result = subprocess.run(
        [sys.executable, "-c", READ, str(file)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-2_000:]
    problems, peak = result.stdout.splitlines()
    return problems, int(peak)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_many_groups_of_rows_are_read_one_after_the_other(tmp_path: Path) -> None:
    small, large = tmp_path / "small.parquet", tmp_path / "large.parquet"
    write_file(small, 3)
    count = write_file(large, 100)
    (_, least), (problems, most) = read_apart(small), read_apart(large)
    assert problems == str({None: count})
    assert most < least * 1.25


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_value_that_every_row_repeats_is_not_held_for_each(tmp_path: Path) -> None:
    """20 MB in a dictionary, and 60 rows that name it: 1.2 GB, were they read together."""
    value = os.urandom(10_000_000).hex()
    file = tmp_path / "repeated.parquet"
    column = pyarrow.DictionaryArray.from_arrays(
        pyarrow.array([0] * 60, pyarrow.int32()), pyarrow.array([value])
    )
    parquet.write_table(pyarrow.table({"text": column}), file)
    assert file.stat().st_size < 25_000_000
    problems, peak = read_apart(file)
    assert problems == str({f"longer than {MAX_ROW} bytes": 60})
    assert peak < 700_000
