"""Gold sets, evaluations and automation over the API."""

from typing import Any

import pytest

from apps.datasets.models import Question
from apps.evaluation.models import GoldSet
from apps.jobs.models import Job
from apps.pipelines.models import PromptVersion
from apps.quality.acceptance import accept_suggestions
from tests.api.conftest import Api, Cast
from tests.evaluation.worlds import answered, other, suggest
from tests.factories import make_dataset
from tests.pipelines.conftest import run

pytestmark = pytest.mark.django_db

AGENT = "acme/tiny@v1"


@pytest.fixture
def world(cast: Cast) -> tuple[Question, list[str]]:
    with cast.inside():
        question, truth = answered(40, workspace=cast.workspace)
        suggest(question, [other(t) if n % 5 == 0 else t for n, t in enumerate(truth)])
    return question, truth


@pytest.fixture
def api(cast: Cast) -> Api:
    return cast["admin_in"]


def freeze(api: Api, question: Question, **values: Any) -> Any:
    body = {"question": "sentiment", **values}
    answer = api.post(f"/datasets/{question.dataset_id}/gold-sets", body)
    assert answer.status_code == 201, answer.content
    return answer.json()


def measure(api: Api, question: Question, gold: Any, **values: Any) -> Any:
    body = {"gold_set_id": gold["id"], "agent": AGENT, **values}
    answer = api.post(f"/datasets/{question.dataset_id}/evaluations", body)
    assert answer.status_code == 201, answer.content
    return answer.json()


def test_from_gold_to_a_comparison(api: Api, cast: Cast, world: tuple[Question, list[str]]) -> None:
    question, truth = world
    gold = freeze(api, question, note="first")
    assert (gold["number"], gold["size"], gold["test_looks"]) == (1, 40, 0)
    assert gold["dev_size"] + gold["test_size"] == 40
    again = api.post(f"/datasets/{question.dataset_id}/gold-sets", {"question": "sentiment"})
    assert again.status_code == 409
    assert api.get(f"/gold-sets/{gold['id']}").json()["is_intact"] is True
    one = measure(api, question, gold, with_test=True)
    assert (one["state"], one["look"]) == ("measured", 1)
    assert set(one["reports"]) == {"dev", "test"}
    wrong = api.get(f"/evaluations/{one['id']}/disagreements").json()["items"]
    report = one["reports"]["dev"]
    assert len(wrong) == round((1 - report["metrics"]["accuracy"]["value"]) * report["n"])
    with cast.inside():
        suggest(question, truth, agent="b")
    two = measure(api, question, gold, agent="b", with_test=True)
    body = {"a": one["id"], "b": two["id"]}
    told = api.post(f"/datasets/{question.dataset_id}/evaluations/compare", body).json()
    assert told["test"]["only_b"] == len(wrong) == told["differing"]
    assert told["test_looks"] == 2
    body["split"] = "test"
    tested = api.post(f"/datasets/{question.dataset_id}/evaluations/compare", body).json()
    assert tested["disagreements"] == []
    listed = api.get(f"/datasets/{question.dataset_id}/evaluations").json()["items"]
    assert [item["id"] for item in listed] == [two["id"], one["id"]]


def test_a_cell_opens_its_records_and_they_go_to_review(
    api: Api, world: tuple[Question, list[str]]
) -> None:
    question, _ = world
    one = measure(api, question, freeze(api, question, test_percent=0))
    wrong = api.get(f"/evaluations/{one['id']}/disagreements").json()["items"]
    first = wrong[0]
    path = f"/evaluations/{one['id']}/cell?true={first['gold']}&answered={first['answer']}"
    assert first["record_id"] in api.get(path).json()["record_ids"]
    assert api.get(f"/evaluations/{one['id']}/cell?true=purple").status_code == 422
    body = {"record_ids": [first["record_id"]]}
    assert api.post(f"/evaluations/{one['id']}/review", body).json() == {"sent": 1}
    assert api.post(f"/evaluations/{one['id']}/review", {}).json() == {"sent": len(wrong)}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"gold_set_id": "x", "agent": AGENT},
        {"agent": AGENT, "prompt_version_id": "{gold}"},
        {"prompt_version_id": "{gold}"},
        {"agent": ""},
        {"agent": "nobody"},
    ],
)
def test_what_cannot_be_measured_is_refused(
    api: Api, world: tuple[Question, list[str]], body: dict[str, Any]
) -> None:
    question, _ = world
    gold = freeze(api, question)
    given = {"gold_set_id": gold["id"], **body} if body else {}
    filled = {key: value.format(gold=gold["id"]) for key, value in given.items()}
    answer = api.post(f"/datasets/{question.dataset_id}/evaluations", filled)
    assert answer.status_code == 422, answer.content
    assert api.get(f"/datasets/{question.dataset_id}/evaluations").json() == {"items": []}


def test_a_gold_set_of_another_dataset_is_not_found(
    api: Api, cast: Cast, world: tuple[Question, list[str]]
) -> None:
    question, _ = world
    gold = freeze(api, question)
    with cast.inside():
        elsewhere = make_dataset(cast.workspace)
    body = {"gold_set_id": gold["id"], "agent": AGENT}
    assert api.post(f"/datasets/{elsewhere.id}/evaluations", body).status_code == 404
    one = measure(api, question, gold)
    body = {"a": one["id"], "b": one["id"]}
    assert api.post(f"/datasets/{elsewhere.id}/evaluations/compare", body).status_code == 404


def test_nothing_certain_is_no_gold(api: Api, cast: Cast) -> None:
    with cast.inside():
        dataset = make_dataset(cast.workspace)
    for body, status in (
        ({"question": "sentiment"}, 422),
        ({"question": "nothing"}, 422),
        ({"question": "sentiment", "test_percent": 101}, 422),
    ):
        assert api.post(f"/datasets/{dataset.id}/gold-sets", body).status_code == status
    with cast.inside():
        assert not GoldSet.objects.exists()


def test_an_acceptance_is_listed_and_taken_back(
    api: Api, cast: Cast, world: tuple[Question, list[str]]
) -> None:
    question, _ = world
    one = measure(api, question, freeze(api, question), with_test=True)
    plan = api.get(f"/evaluations/{one['id']}/automation?target=0.97").json()
    assert (plan["dev"], plan["holds"], plan["ready"]) == (None, False, 0)
    refused = api.post(f"/evaluations/{one['id']}/automation", {"target": 0.97})
    assert refused.status_code == 409
    with cast.inside():
        _, job = accept_suggestions(question=question, agent=AGENT, threshold=0.5)
        run(job)
    (listed,) = api.get(f"/datasets/{question.dataset_id}/acceptances").json()["items"]
    assert (listed["agent"], listed["threshold"], listed["undone_at"]) == (AGENT, 0.5, None)
    undone = api.post(f"/acceptances/{listed['id']}/undo").json()
    assert undone["undone_at"] is not None
    assert api.post(f"/acceptances/{listed['id']}/undo").status_code == 409


def test_duplicates_are_marked_by_a_job(api: Api, world: tuple[Question, list[str]]) -> None:
    question, _ = world
    path = f"/datasets/{question.dataset_id}/duplicates"
    job = api.post(path, {"words": 0.9})
    assert job.status_code == 202
    assert job.json()["kind"] == "find_near_duplicates"
    assert api.post(path, {}).status_code == 409, "one at a time"
    assert api.post(path, {"words": 2}).status_code == 422
    assert api.post(path, {"fields": ["nothing"]}).status_code == 422


def test_a_version_of_another_recipe_is_not_measured(
    api: Api, cast: Cast, world: tuple[Question, list[str]]
) -> None:
    question, _ = world
    gold = freeze(api, question)
    with cast.inside():
        version = PromptVersion.objects.create(
            dataset=question.dataset, question=question, number=1, recipe="preference"
        )
    body = {"gold_set_id": gold["id"], "prompt_version_id": str(version.id)}
    answer = api.post(f"/datasets/{question.dataset_id}/evaluations", body)
    assert answer.status_code == 422
    assert "belongs to the recipe preference" in answer.content.decode()
    with cast.inside():
        assert not Job.objects.filter(kind="evaluate").exists()
