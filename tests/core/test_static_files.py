"""Hosted, static files are named by their content: they are collected before anybody asks."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from django.db import connections

from apps.core.checks import REFUSED
from apps.core.embedded.paths import PROJECT_ROOT, log_file
from tests.core.test_settings import STRONG
from tests.core.test_up import running

HOSTED = {
    "DJANGO_SETTINGS_MODULE": "config.settings.production",
    "SECRET_KEY": STRONG,
    "ALLOWED_HOSTS": "127.0.0.1",
}
PAGE = """
import re
from config.wsgi import application
from django.test import Client
client = Client(HTTP_HOST="127.0.0.1")
page = client.get("/accounts/login/")
assert page.status_code == 200, page.status_code
asked = set(re.findall(rb'"(/static/[^"#]+)', page.content))
assert len(asked) > 3
for path in asked:
    assert re.search(rb"[.][0-9a-f]{12}[.]", path), path
    assert client.get(path.decode()).status_code == 200, path
print("served")
"""


def run_hosted(*command: str, static_root: Path) -> subprocess.CompletedProcess[str]:
    """A command of Python's under production settings, on the test database."""
    database = connections["default"].settings_dict
    url = f"postgresql://stoneware_app@/{database['NAME']}?host={database['HOST']}"
    return subprocess.run(
        [sys.executable, *command],
        cwd=PROJECT_ROOT,
        env={**os.environ, **HOSTED, "DATABASE_URL": url, "STATIC_ROOT": str(static_root)},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


@pytest.mark.django_db
def test_a_server_refuses_to_start_until_the_files_are_collected(tmp_path: Path) -> None:
    refused = run_hosted("-c", PAGE, static_root=tmp_path)
    assert (refused.returncode, refused.stdout) == (REFUSED, "")
    last = refused.stderr.splitlines()[-1]
    assert last.startswith("error: The static file ")
    assert "manage.py collectstatic --no-input" in last
    run_hosted("manage.py", "collectstatic", "--no-input", static_root=tmp_path).check_returncode()
    done = run_hosted("-c", PAGE, static_root=tmp_path)
    assert (done.returncode, done.stdout) == (0, "served\n"), done.stderr


@pytest.mark.django_db
def test_a_server_refuses_files_that_were_collected_before_an_update(tmp_path: Path) -> None:
    (tmp_path / "staticfiles.json").write_text(
        '{"version": "1.1", "paths": {"css/app.css": "css/app.0123456789ab.css"}}'
    )
    refused = run_hosted("-c", "import config.wsgi", static_root=tmp_path)
    assert refused.returncode == REFUSED
    assert "has not been collected" in refused.stderr


def test_up_collects_them_by_itself_and_once(tmp_path: Path) -> None:
    hosted = {**HOSTED, "STATIC_ROOT": str(tmp_path / "static")}
    for collected in (True, False):
        with running(tmp_path / "data", **hosted) as instance:
            page = Request(f"{instance.url}/accounts/login/")  # noqa: S310
            with urlopen(page, timeout=20) as response:  # noqa: S310
                assert response.status == 200
            instance.process.terminate()
            assert ("The static files are collected." in instance.output()) is collected
    assert "static files copied" in log_file(tmp_path / "data", "static").read_text()
