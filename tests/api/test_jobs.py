"""Jobs of a dataset over HTTP."""

import uuid

import pytest
from django.utils import timezone

from apps.annotation.services import save_response
from apps.datasets.models import Dataset, Question
from apps.jobs.models import Job, JobItem
from tests import factories
from tests.api.conftest import Cast


@pytest.fixture
def dataset(cast: Cast) -> Dataset:
    """Half answered: two kinds of sentiment, learnable."""
    with cast.inside():
        dataset = factories.make_dataset(cast.workspace, questions=["sentiment", "comment"])
        records = factories.make_records(dataset, 6)
        for record, value in zip(records[:3], ("positive", "negative", "mixed"), strict=True):
            save_response(
                record=record,
                annotator=cast.people["annotator_in"],
                status="submitted",
                values={"sentiment": {"value": value}},
            )
        return dataset


BODY = {"kind": "suggest_few_shot", "question": "sentiment"}


def test_a_job_is_started_seen_cancelled_and_not_twice_at_a_time(cast, dataset):
    path = f"/datasets/{dataset.id}/jobs"
    made = cast["admin_in"].post(path, BODY)
    assert made.status_code == 202
    job = made.json()
    assert (job["state"], job["counters"]) == ("queued", {"total": 0, "done": 0, "failed": 0})
    assert cast["admin_in"].post(path, BODY).status_code == 409
    assert cast["admin_in"].get(f"{path}/{job['id']}").json() == job
    assert cast["admin_in"].get(path).json() == {"items": [job]}
    cancelled = cast["admin_in"].post(f"{path}/{job['id']}/cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert cast["admin_in"].post(f"{path}/{job['id']}/cancel").status_code == 200
    assert cast["admin_in"].post(f"{path}/{job['id']}/retry").status_code == 409
    resumed = cast["admin_in"].post(f"{path}/{job['id']}/resume")
    assert (resumed.status_code, resumed.json()["state"]) == (200, "queued")
    assert cast["admin_in"].post(f"{path}/{job['id']}/resume").status_code == 409
    assert cast["admin_in"].post(f"{path}/{job['id']}/explode").status_code == 404


def test_who_may_not_run_jobs_is_told_so(cast, dataset):
    path = f"/datasets/{dataset.id}/jobs"
    for who, status in (
        ("nobody", 401),
        ("bad_key", 401),
        ("annotator_in", 403),
        ("reviewer_in", 403),
        ("admin_out", 403),
        ("stranger", 404),
    ):
        assert cast[who].post(path, BODY).status_code == status
        assert cast[who].get(path).status_code == status


def test_what_cannot_be_learnt_is_refused(cast, dataset):
    path = f"/datasets/{dataset.id}/jobs"
    for body in ({**BODY, "question": "comment"}, {**BODY, "question": "nope"}, {"kind": "x"}):
        assert cast["owner"].post(path, body).status_code == 422
    assert cast["owner"].get(f"{path}/{uuid.uuid4()}").status_code == 404


def test_the_suggester_is_turned_on_and_off(cast, dataset):
    with cast.inside():
        question = Question.objects.get(dataset=dataset, name="sentiment")
    path = f"/questions/{question.id}/suggester"
    assert cast["annotator_in"].get(path).json()["enabled"] is False
    assert cast["annotator_in"].put(path, {"enabled": True}).status_code == 403
    made = cast["admin_in"].put(path, {"enabled": True, "every": 5})
    assert made.json() == {"enabled": True, "every": 5, "limit": 10_000}
    assert cast["admin_in"].put(path, {"enabled": True, "every": 0}).status_code == 422
    assert cast["admin_in"].put(path, {"enabled": False}).json()["enabled"] is False


def test_a_cancelled_job_that_is_resumed_keeps_what_is_done(cast, dataset):
    """Its items come back to work; those that are done stay done."""
    path = f"/datasets/{dataset.id}/jobs"
    job = cast["owner"].post(path, BODY).json()
    with cast.inside():
        for seq, state in enumerate(("done", "pending")):
            JobItem.objects.create(job_id=job["id"], seq=seq, payload={}, state=state)
        Job.objects.filter(id=job["id"]).update(total=2, done=1, planned_at=timezone.now())
    cast["owner"].post(f"{path}/{job['id']}/cancel")
    resumed = cast["owner"].post(f"{path}/{job['id']}/resume").json()
    assert resumed["counters"] == {"total": 2, "done": 1, "failed": 0}
    with cast.inside():
        states = JobItem.objects.filter(job_id=job["id"]).order_by("seq")
        assert list(states.values_list("state", flat=True)) == ["done", "pending"]
