"""Import, export and the address of a job, as the contract has them."""

import uuid
from typing import Any

import pytest

from apps.exchange.hub import library
from apps.jobs.models import Job, JobReject, JobState
from apps.jobs.services import enqueue
from tests.factories import make_dataset, make_records

TOKEN = "hf_very_secret"
IMPORT = {
    "name": "ann/reviews",
    "subset": "default",
    "split": "train",
    "mapping": {"fields": [{"source": "body", "target": "text"}]},
}
EXPORT = {"name": "ann/export", "token": TOKEN}


@pytest.fixture
def dataset(cast: Any) -> Any:
    with cast.inside():
        dataset = make_dataset(cast.workspace)
        make_records(dataset, 1)
    return dataset


@pytest.fixture
def job(cast: Any, dataset: Any) -> Job:
    with cast.inside():
        return enqueue(kind="hub_import", workspace=cast.workspace, dataset_id=dataset.id)


def test_an_import_starts_a_job(cast, dataset):
    answer = cast["admin_in"].post(f"/datasets/{dataset.id}/import", {**IMPORT, "token": TOKEN})
    assert answer.status_code == 202
    told = answer.json()
    assert told["status"] == "queued"
    assert (told["processed"], told["total"], told["skipped"]) == (0, None, 0)
    again = cast["admin_in"].get(f"/jobs/{told['id']}")
    assert again.json() == told
    assert TOKEN not in again.content.decode()
    with cast.inside():
        job = Job.objects.get(id=told["id"])
        assert (job.kind, job.dataset_id) == ("hub_import", dataset.id)
        assert TOKEN.encode() not in bytes(job.secret)
        assert TOKEN not in str(job.params)


def test_an_export_starts_a_job_and_needs_records(cast, dataset):
    answer = cast["owner"].post(f"/datasets/{dataset.id}/export", EXPORT)
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert TOKEN not in answer.content.decode()
    listed = cast["owner"].get(f"/datasets/{dataset.id}/jobs")
    assert TOKEN not in listed.content.decode()
    with cast.inside():
        empty = make_dataset(cast.workspace)
    answer = cast["owner"].post(f"/datasets/{empty.id}/export", EXPORT)
    assert answer.status_code == 422
    assert "no records" in answer.json()["detail"]


ROLES = {
    "nobody": 401,
    "bad_key": 401,
    "annotator_out": 403,
    "annotator_in": 403,
    "reviewer_in": 403,
    "admin_out": 403,
    "admin_in": 202,
    "owner": 202,
    "stranger": 404,
}


@pytest.mark.parametrize(("path", "body"), [("import", IMPORT), ("export", EXPORT)])
def test_owners_and_the_workspaces_admins_may(cast, dataset, path, body):
    found = {
        name: cast[name].post(f"/datasets/{dataset.id}/{path}", body).status_code for name in ROLES
    }
    assert found == ROLES


BROKEN = [
    ("import", {**IMPORT, "mapping": {"fields": []}}, "too_short"),
    ("import", {key: value for key, value in IMPORT.items() if key != "split"}, "missing"),
    ("import", {**IMPORT, "name": ""}, "string_too_short"),
    ("import", {**IMPORT, "token": "a\nb"}, "string_pattern_mismatch"),
    ("export", {"name": "ann/export"}, "missing"),
    ("export", {**EXPORT, "token": ""}, "string_too_short"),
    ("export", {**EXPORT, "name": ""}, "string_too_short"),
    ("export", {**EXPORT, "private": "maybe"}, "bool_parsing"),
]


@pytest.mark.parametrize(("path", "body", "type"), BROKEN)
def test_broken_bodies_are_told_where(cast, dataset, path, body, type):
    answer = cast["owner"].post(f"/datasets/{dataset.id}/{path}", body)
    assert answer.status_code == 422
    assert answer.json()["detail"]["params"]["errors"][0]["type"] == type


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "../etc/passwd"}, "no dataset's name"),
        ({"mapping": {"fields": [{"source": "a", "target": "nope"}]}}, "no field 'nope'"),
        ({"split": "train[:5]"}, "no split's name"),
    ],
)
def test_what_cannot_be_is_a_422_and_no_job(cast, dataset, change, message):
    answer = cast["owner"].post(f"/datasets/{dataset.id}/import", {**IMPORT, **change})
    assert answer.status_code == 422
    assert message in answer.json()["detail"]
    with cast.inside():
        assert not Job.objects.exists()


def test_without_the_packages_a_422_says_how_to_install_them(cast, dataset, monkeypatch):
    monkeypatch.setattr(library, "PACKAGES", ("no_such_package",))
    for path, body in (("import", IMPORT), ("export", EXPORT)):
        answer = cast["owner"].post(f"/datasets/{dataset.id}/{path}", body)
        assert answer.status_code == 422
        assert "pip install 'stoneware[hub]'" in answer.json()["detail"]
    assert cast["owner"].get(f"/datasets/{dataset.id}").status_code == 200


def test_the_packages_are_not_imported_by_a_web_process():
    import subprocess
    import sys

    script = (
        "import os, sys, django; django.setup();"
        "from django.urls import get_resolver; get_resolver().url_patterns;"
        "import apps.exchange.hub.importing, apps.exchange.hub.exporting;"
        "print([name for name in ('datasets', 'huggingface_hub', 'pyarrow', 'PIL')"
        " if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


STATUSES = {
    JobState.QUEUED: "queued",
    JobState.RUNNING: "started",
    JobState.PAUSED: "deferred",
    JobState.CANCELLING: "stopped",
    JobState.CANCELLED: "canceled",
    JobState.DONE: "finished",
    JobState.FAILED: "failed",
}


@pytest.mark.parametrize("state", JobState)
def test_a_jobs_status_is_in_the_contracts_words(cast, job, state):
    with cast.inside():
        ended = state in {JobState.CANCELLED, JobState.DONE, JobState.FAILED}
        finished = job.inserted_at if ended else None
        Job.objects.filter(id=job.id).update(state=state, finished_at=finished)
    told = cast["owner"].get(f"/jobs/{job.id}").json()
    assert (told["id"], told["status"]) == (str(job.id), STATUSES[state])


def test_a_job_is_looked_up_before_anything_else(cast, job):
    for name in ("annotator_out", "admin_in", "owner"):
        for id in (uuid.uuid4(), "nonsense", "1"):
            answer = cast[name].get(f"/jobs/{id}")
            assert answer.status_code == 404
            assert answer.json() == {"detail": f"Job with id `{id}` not found"}
    found = {name: cast[name].get(f"/jobs/{job.id}").status_code for name in ROLES}
    assert found == ROLES | {"admin_in": 200, "owner": 200, "admin_out": 200}


def test_an_admin_of_another_workspace_learns_the_status_alone(cast, job):
    told = cast["admin_out"].get(f"/jobs/{job.id}").json()
    assert told == {"id": str(job.id), "status": "queued"}
    assert cast["admin_out"].get(f"/jobs/{job.id}/rejects").status_code == 403


def test_what_was_left_out_is_paged(cast, job):
    with cast.inside():
        JobReject.objects.bulk_create(
            JobReject(job=job, number=number, reason=f"no {number}") for number in range(5)
        )
        Job.objects.filter(id=job.id).update(total=9, done=4, failed=5)
    told = cast["admin_in"].get(f"/jobs/{job.id}").json()
    assert (told["processed"], told["total"], told["skipped"]) == (9, 9, 5)
    assert told["report_url"] == f"/api/v1/jobs/{job.id}/rejects"
    path = told["report_url"].removeprefix("/api/v1")
    page = cast["admin_in"].get(f"{path}?offset=3&limit=10").json()
    assert page == {
        "items": [{"row": 3, "reason": "no 3"}, {"row": 4, "reason": "no 4"}],
        "total": 5,
    }
    assert cast["admin_in"].get(f"{path}?limit=0").status_code == 422
    refused = {name: cast[name].get(path).status_code for name in ROLES}
    assert refused == ROLES | {"admin_in": 200, "owner": 200}
    assert cast["owner"].get("/jobs/nonsense/rejects").status_code == 404
