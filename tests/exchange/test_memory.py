"""Neither import nor export grows with the file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

from apps.core.tenancy import enter
from apps.exchange import importer
from apps.records.models import DatasetCounter
from tests import factories
from tests.exchange.conftest import import_lines

# Not getrusage: its figure starts with the parent's.
MEASURED = """
import pathlib, sys
import django
django.setup()
from django.core.management import call_command
call_command(*sys.argv[1:])
[peak] = [
    line for line in pathlib.Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line
]
sys.stderr.write(peak.split()[1])
"""


def peak_of(*command: str) -> int:
    """The peak memory of a command in a process of its own, in kB."""
    database = {"DATABASE_URL": database_url()}
    result = subprocess.run(
        [sys.executable, "-c", MEASURED, *command],
        env={**os.environ, **database},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(result.stderr.splitlines()[-1])


def database_url() -> str:
    """The address of the test database, for another process."""
    settings = connection.settings_dict
    return f"postgresql://{settings['USER']}@/{settings['NAME']}?host={settings['HOST']}"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
def test_twenty_times_the_rows_take_the_same_memory(tmp_path: Path) -> None:
    organization = factories.make_organization()
    with enter(organization.id):
        workspace = factories.make_workspace("lab")
        dataset = factories.make_dataset(workspace, name="films")
    where = ["--organization", organization.slug, "--workspace", "lab", "--dataset", "films"]
    peaks = []
    for count in (300, 6_000):
        file = tmp_path / f"{count}.csv"
        with file.open("w") as target:
            target.write("id,text,note\n")
            for number in range(count):
                target.write(f"{number},text number {number} {'word ' * 100},ignored\n")
        output = tmp_path / f"{count}.jsonl"
        peaks.append(
            max(
                peak_of("import_records", str(file), *where),
                peak_of("export_records", "--output", str(output), *where),
            )
        )
    assert output.stat().st_size > 3_500_000
    assert peaks[1] - peaks[0] < 24_000  # kB; chunks and pages are fuller in the larger one
    with enter(organization.id):
        assert DatasetCounter.objects.get(dataset=dataset).records == 6_000


def test_long_rows_are_stored_in_smaller_chunks(dataset, monkeypatch):
    sizes = []
    log = importer.log_records
    monkeypatch.setattr(
        importer, "log_records", lambda **given: sizes.append(len(given["items"])) or log(**given)
    )
    monkeypatch.setattr(importer, "CHUNK_BYTES", 1_000_000)
    import_lines(dataset, *({"text": "x" * 400_000, "id": str(n)} for n in range(7)))
    assert sizes == [2, 2, 2, 1]
