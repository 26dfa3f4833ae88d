"""What everybody may ask."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from apps.api.v1.status import VERSION
from config import env
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


SPACE = {
    "SPACE_ID": "acme/labels",
    "SPACE_TITLE": "Labels",
    "SPACE_SUBDOMAIN": "acme-labels",
    "SPACE_HOST": "acme-labels.hf.space",
    "SPACE_REPO_NAME": "labels",
    "SPACE_AUTHOR_NAME": "acme",
}


@pytest.mark.parametrize("kept", [False, True])
def test_settings_tell_of_the_space_it_runs_in(
    db: None, settings: Any, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    assert env.huggingface_space() == {}
    for name, value in SPACE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PERSISTANT_STORAGE_ENABLED", "true" if kept else "false")
    settings.HUGGINGFACE_SPACE = env.huggingface_space()
    told = {name.lower(): value for name, value in SPACE.items()}
    assert Api().get("/settings").json() == {
        "argilla": {
            "share_your_progress_enabled": False,
            "show_huggingface_space_persistent_storage_warning": not kept,
        },
        "huggingface": {**told, "space_persistent_storage_enabled": kept},
    }
    monkeypatch.delenv("SPACE_TITLE")
    assert "space_title" not in env.huggingface_space(), "what is not known is left out"
