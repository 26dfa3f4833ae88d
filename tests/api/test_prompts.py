"""Prompts and runs over the API."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from apps.core.tenancy import enter
from apps.datasets.models import Dataset
from apps.jobs.engine import run_slice
from apps.jobs.models import Job
from apps.llms.services import ModelInput, PriceInput, create_provider
from apps.records.models import Record, Suggestion
from tests import factories
from tests.api.conftest import Cast
from tests.llm_server.controls import LlmServer

pytestmark = pytest.mark.django_db


@pytest.fixture
def dataset(cast: Cast) -> Dataset:
    with cast.inside():
        dataset = factories.make_dataset(cast.workspace, questions=["sentiment", "entities"])
        factories.make_records(dataset, 3)
    return dataset


@pytest.fixture
def provider_id(cast: Cast, llm_server: LlmServer) -> str:
    price = PriceInput(input=Decimal(1), output=Decimal(2))
    with cast.inside():
        provider = create_provider(
            name="stub",
            base_url=llm_server.url,
            api_key="sk-test",
            models=[ModelInput("tiny", prices=[price])],
        )
    return str(provider.id)


@pytest.fixture
def start(cast: Cast, dataset: Dataset, provider_id: str) -> Callable[..., Any]:
    def post(**values: Any) -> Any:
        body = {"kind": "suggest", "question": "sentiment", "provider_id": provider_id, **values}
        return cast["admin_in"].post(f"/datasets/{dataset.id}/jobs", body)

    return post


def run(cast: Cast, job: dict[str, Any]) -> dict[str, Any]:
    while run_slice(organization_id=cast.organization.id, job_id=job["id"]):
        pass
    path = f"/datasets/{job['dataset_id']}/jobs/{job['id']}"
    found: dict[str, Any] = cast["admin_in"].get(path).json()
    return found


def test_a_run_says_before_what_it_takes(cast: Cast, start: Callable[..., Any]) -> None:
    answer = start(budget={"max_usd": 1.5})
    assert answer.status_code == 202
    job = answer.json()
    estimate = job["estimate"]
    assert (estimate["items"], estimate["requests"], estimate["cached"]) == (3, 3, 0)
    assert 0 < estimate["usd_min"] <= estimate["usd"] <= estimate["usd_max"]
    done = run(cast, job)
    assert (done["state"], done["counters"]["done"]) == ("done", 3)
    with cast.inside():
        assert set(Suggestion.objects.values_list("agent", flat=True)) == {"stub/tiny@v1"}


def test_a_budget_is_raised_and_the_job_goes_on(cast: Cast, start: Callable[..., Any]) -> None:
    job = run(cast, start(budget={"max_tokens": 10}).json())
    assert job["state"] == "paused"
    path, admin = f"/datasets/{job['dataset_id']}/jobs/{job['id']}", cast["admin_in"]
    assert admin.get(f"{path}/budget").json() == {
        "job_id": job["id"],
        "usd": None,
        "tokens": 10,
        "spent_usd": 0,
        "spent_tokens": 0,
        "reserved_usd": 0,
        "reserved_tokens": 0,
    }
    for wrong in ({"usd": -1}, {"tokens": 1.5}, {"usd": "NaN"}, []):
        assert admin.put(f"{path}/budget", wrong).status_code == 422
    assert admin.put(f"{path}/budget", {"usd": 0.5}).json()["tokens"] is None
    assert admin.post(f"{path}/resume").json()["state"] == "queued"
    assert run(cast, job)["counters"]["done"] == 3
    found = admin.get(f"{path}/budget").json()
    assert (found["usd"], found["reserved_usd"], found["spent_tokens"] > 0) == (0.5, 0, True)
    assert found["spent_usd"] == pytest.approx(admin.get(path).json()["cost_usd"])


def test_a_dry_run_over_the_api(cast: Cast, start: Callable[..., Any], dataset: Dataset) -> None:
    job = start(dry_run=2, params={"rationale": True, "temperature": 0.2}).json()
    run(cast, job)
    path = f"/datasets/{dataset.id}/jobs/{job['id']}"
    found = cast["admin_in"].get(f"{path}/dry-run").json()
    assert len(found["items"]) == 2
    first = found["items"][0]
    assert first["calls"][0]["messages"][1]["role"] == "user"
    assert first["result"]["rationale"]
    assert (first["before"], first["gold"], first["error"]) == (None, None, "")
    assert found["extrapolation"]["items"] == 3
    assert found["extrapolation"]["usd"] > 0
    with cast.inside():
        assert not Suggestion.objects.exists()


def test_items_by_state(cast: Cast, start: Callable[..., Any], llm_server: LlmServer) -> None:
    with cast.inside():
        text = Record.objects.order_by("id")[0].fields["text"]
    llm_server.script(text + "\n", answer="no JSON at all")
    job = start().json()
    run(cast, job)
    path = f"/datasets/{job['dataset_id']}/jobs/{job['id']}/items"
    failed = cast["admin_in"].get(f"{path}?state=failed").json()
    assert failed["total"] == 1
    assert "not one JSON object" in failed["items"][0]["error"]
    assert "record" in failed["items"][0]["payload"]
    assert cast["admin_in"].get(f"{path}?limit=2").json()["total"] == 3
    assert cast["admin_in"].get(f"{path}?state=nope").status_code == 422


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "nope"}, "There is no recipe 'nope'"),
        ({"question": None}, "name a question"),
        ({"question": "nope"}, "Question not found"),
        ({"provider_id": None}, "Name the provider"),
        ({"provider_id": "00000000-0000-0000-0000-000000000000"}, "There is no provider"),
        ({"model": "huge"}, "no model called huge"),
        ({"template": "{{ 'a' * 10**8 }}"}, "Line 1 of the template: Mul is not allowed"),
        ({"template": "\n{{ record.__class__ }}"}, "Line 2 of the template"),
        ({"params": {"temperature": 9}}, "params.temperature"),
        ({"params": {"confidnce": True}}, "params.confidnce"),
        ({"write_mode": "new_records"}, "write_mode is one of"),
        ({"selection": {"filter": "answered.nope=x"}}, "no question"),
        ({"guidelines": "Other."}, "only be tried in a dry run"),
        ({"prompt_version_id": "00000000-0000-0000-0000-000000000000"}, "no prompt version"),
        ({"dry_run": 0}, "greater than or equal to 1"),
        ({"budget": {"max_usd": 0}}, "greater than 0"),
        ({"selection": {"record_ids": []}}, "at least 1"),
        ({"selection": {"sample": {"n": 1, "strategy": "best"}}}, "random"),
    ],
)
def test_what_cannot_be_run_is_said_and_nothing_is_left_behind(
    change: dict[str, Any], said: str, cast: Cast, start: Callable[..., Any]
) -> None:
    answer = start(**change)
    assert answer.status_code == 422
    assert said in answer.content.decode()
    with cast.inside():
        assert not Job.objects.exists()


def test_a_foreign_provider_is_none(cast: Cast, start: Callable[..., Any]) -> None:
    with enter(cast.other.id):
        theirs = create_provider(name="theirs", base_url="https://8.8.8.8/v1")
    answer = start(provider_id=str(theirs.id))
    assert answer.status_code == 422
    assert "There is no provider" in answer.content.decode()


def test_prompts_are_saved_changed_run_and_then_fixed(
    cast: Cast, dataset: Dataset, provider_id: str, start: Callable[..., Any]
) -> None:
    api, path = cast["admin_in"], f"/datasets/{dataset.id}/prompts"
    body = {
        "question": "sentiment",
        "template": "{{ guidelines }}{{ text }}",
        "shots": 2,
        "provider_id": provider_id,
        "model": "tiny",
        "params": {"temperature": 0.5, "rationale": True},
    }
    saved = api.post(path, body)
    assert saved.status_code == 201
    version = saved.json()
    assert (version["number"], version["stale"], version["used_at"]) == (1, [], None)
    assert version["params"]["temperature"] == 0.5
    assert api.post(path, body).json()["id"] == version["id"]
    one = f"/prompts/{version['id']}"
    assert api.patch(one, {"shots": 1}).json()["shots"] == 1
    refused = start(prompt_version_id=version["id"], template="{{ text }}", provider_id=None)
    assert "taken as it is" in refused.content.decode()
    started = start(prompt_version_id=version["id"], question=None, provider_id=None)
    assert started.status_code == 202
    assert started.json()["params"]["agent"] == "stub/tiny@v1"
    assert api.patch(one, {"shots": 3}).status_code == 409
    assert api.patch(one, {"note": "good"}).json()["note"] == "good"
    assert api.delete(one).status_code == 409
    api.patch(f"/datasets/{dataset.id}", {"guidelines": "Be strict."})
    assert api.get(one).json()["stale"] == ["guidelines"]
    rebased = api.post(f"{one}/rebase").json()
    assert (rebased["number"], rebased["stale"], rebased["parent_id"]) == (2, [], version["id"])
    listed = api.get(f"{path}?question=sentiment").json()["items"]
    assert [item["number"] for item in listed] == [2, 1]


def test_a_preview_needs_no_provider(cast: Cast, dataset: Dataset) -> None:
    path = f"/datasets/{dataset.id}/prompts/preview"
    body = {"question": "sentiment", "template": "{{ text|upper }}", "count": 2}
    items = cast["admin_in"].post(path, body).json()["items"]
    assert len(items) == 2
    assert "TEXT NUMBER" in items[0]["messages"][1]["content"]
    assert items[0]["characters"] > 0
    bomb = {"question": "sentiment", "template": "{{ text }}{{ 'a' * 10**8 }}"}
    assert "Line 1" in cast["admin_in"].post(path, bomb).content.decode()


def test_trying_and_asking_again(
    cast: Cast, dataset: Dataset, start: Callable[..., Any], llm_server: LlmServer
) -> None:
    llm_server.script("Be strict", answer={"label": "negative", "confidence": 0.5})
    llm_server.script("Question", answer={"label": "mixed", "confidence": 0.5})
    api = cast["admin_in"]
    run(cast, start().json())
    (affected,) = api.get(f"/datasets/{dataset.id}/prompts/affected").json()["items"]
    assert (affected["suggestions"], affected["pending"], affected["stale"]) == (3, 3, [])
    one = f"/prompts/{affected['prompt']['id']}"
    assert api.post(f"{one}/reprompt", {}).status_code == 409
    trial = api.post(f"{one}/trial", {"guidelines": "Be strict.", "count": 2})
    assert trial.status_code == 202
    run(cast, trial.json())
    path = f"/datasets/{dataset.id}/jobs/{trial.json()['id']}/dry-run"
    items = api.get(path).json()["items"]
    assert [(one["before"], one["result"]["value"], one["changed"]) for one in items] == [
        ("mixed", "negative", True)
    ] * 2
    api.patch(f"/datasets/{dataset.id}", {"guidelines": "Be strict."})
    again = api.post(f"{one}/reprompt", {"budget": {"max_usd": 1}})
    assert again.status_code == 202
    run(cast, again.json())
    with cast.inside():
        assert set(Suggestion.objects.values_list("value", flat=True)) == {"negative"}
        record = Record.objects.filter(dataset=dataset).first()
    history = api.get(f"/records/{record.id}/suggestions/history?question=sentiment").json()
    assert [row["agent"] for row in history["items"]] == ["stub/tiny@v2", "stub/tiny@v1"]
    assert history["items"][0]["details"]["cache_hit"] in {True, False}


def test_every_recipe_is_listed(cast: Cast) -> None:
    items = cast["annotator_in"].get("/recipes").json()["items"]
    kinds = {item["kind"]: item for item in items}
    assert {"suggest", "feedback", "preference", "like_this", "rules"} <= set(kinds)
    assert "rationale" in kinds["suggest"]["params"]["properties"]
    assert kinds["suggest"]["needs_question"] is True
