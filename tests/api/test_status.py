"""What everybody may ask."""

import tomllib
from pathlib import Path

from apps.api.v1.status import VERSION
from tests.api.conftest import Api


def test_the_version_is_that_of_the_project(client: object) -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION


def test_version_status_and_settings_need_no_key(db: None) -> None:
    assert Api().get("/version").json() == {"version": VERSION, "argilla": "2.8.0"}
    status = Api().get("/status").json()
    assert status.keys() == {"version", "search_engine", "memory"}
    assert Api("sw_bad").get("/version").status_code == 200
    assert Api().get("/settings").json() == {"argilla": {"share_your_progress_enabled": False}}
