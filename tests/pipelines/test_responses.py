"""Responses of several models, and pairs of a response with its improvement."""

from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from apps.core.errors import ArchivedError, InvalidError
from apps.datasets.models import Dataset
from apps.llms.models import Provider
from apps.llms.services import ModelInput, PriceInput, update_provider
from apps.records.models import Record
from tests.factories import make_dataset
from tests.llm_server.controls import LlmServer
from tests.pipelines.worlds import RESPONSES, drafts_of, finish, make_answers, make_fields, start


@pytest.fixture
def answers(organization: object) -> Dataset:
    return make_answers()


def test_each_response_is_a_record(answers: Dataset, provider: Provider) -> None:
    params = {
        "instruction": "text",
        "models": ["tiny", "small"],
        "outputs": ["answer_1"],
        "n": 2,
    }
    job = finish("responses", answers, provider, params=params)
    assert job.state == "done", job.error_sample
    drafts = drafts_of(job)
    assert len(drafts) == 3 * 2 * 2
    made = {(draft.metadata["model"], draft.metadata["sample"]) for draft in drafts}
    assert made == {("tiny", 0), ("tiny", 1), ("small", 0), ("small", 1)}
    parents = {draft.parents[0] for draft in drafts}
    assert parents == set(Record.objects.filter(dataset=answers).values_list("id", flat=True))
    assert {draft.fields["text"] for draft in drafts} == {
        record.fields["text"] for record in Record.objects.filter(dataset=answers)
    }


def test_responses_stand_side_by_side_in_another_dataset(
    answers: Dataset, provider: Provider
) -> None:
    target = make_fields(make_dataset(answers.workspace), ["one", "two"])
    params = {
        "instruction": "text",
        "models": ["tiny", "small"],
        "outputs": ["one", "two"],
        "target": str(target.id),
    }
    job = finish("responses", answers, provider, params=params)
    assert job.state == "done", job.error_sample
    for draft in drafts_of(job):
        assert draft.dataset_id == target.id
        assert set(draft.fields) == {"text", "one", "two"}
        assert draft.metadata == {"one_model": "tiny", "two_model": "small"}


def test_half_an_answer_is_no_response(
    answers: Dataset, provider: Provider, llm_server: LlmServer
) -> None:
    cut = {"answer": "Call us at once and then go to the", "finish_reason": "length"}
    llm_server.script("lost card", **cut)
    llm_server.script("direct debit", answer="An order", finish_reason="content_filter")
    llm_server.script("pay abroad", refusal="I do not talk about money.")
    params = {"instruction": "text", "outputs": ["answer_1"]}
    job = finish("responses", answers, provider, params=params)
    assert (job.state, job.done, job.failed) == ("failed", 0, 3)
    assert {one["seq"]: one["error"] for one in job.error_sample} == {
        0: "The answer was cut off at 9 tokens: allow longer ones, or ask for less.",
        1: "The provider's filter held the answer back.",
        2: "The model refused to answer: I do not talk about money.",
    }
    assert drafts_of(job) == []
    assert job.cost > 0, "it was paid for"


def test_a_thought_cut_off_is_asked_for_again(
    answers: Dataset, provider: Provider, llm_server: LlmServer
) -> None:
    llm_server.script("lost card", answer="<think>The user wants", times=1)
    params = {"instruction": "text", "outputs": ["answer_1"]}
    job = finish("responses", answers, provider, params=params)
    assert (job.state, job.done, job.failed) == ("done", 3, 0)
    assert not any("think" in draft.fields["answer_1"] for draft in drafts_of(job))


def test_an_improvement_is_a_pair_to_prefer(
    answers: Dataset, provider: Provider, llm_server: LlmServer
) -> None:
    target = make_fields(make_dataset(answers.workspace), ["chosen", "rejected"])
    better = {"rationale": "It says how.", "revision": "Open the app, then call us."}
    llm_server.script("Revise", answer=better)
    params = {
        "instruction": "text",
        "improve": "answer_1",
        "outputs": ["chosen", "rejected"],
        "target": str(target.id),
    }
    job = finish("responses", answers, provider, params=params)
    assert job.state == "done", job.error_sample
    first = drafts_of(job)[0]
    assert first.fields["chosen"] == better["revision"]
    assert first.fields["rejected"] == "Call us at once."
    assert first.metadata == {"model": "tiny", "rationale": "It says how."}


def test_a_template_says_all(answers: Dataset, provider: Provider, llm_server: LlmServer) -> None:
    template = "Answer like a pirate: {{ fields.text }}"
    params = {"outputs": ["answer_1"]}
    job = finish("responses", answers, provider, params=params, template=template)
    assert job.state == "done", job.error_sample
    for call in llm_server.calls():
        assert call["body"]["messages"][1]["content"].startswith("Answer like a pirate: <data-")
    assert {draft.agent for draft in drafts_of(job)} == {"stub/tiny@v1"}
    assert all(draft.prompt_version_id for draft in drafts_of(job))


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"outputs": ["answer_1"]}, "field of the instruction"),
        ({"outputs": ["nothing"], "instruction": "text"}, "no field"),
        ({"outputs": list(RESPONSES), "instruction": "text"}, "1 responses do not fill 2"),
        ({"outputs": ["answer_1"], "instruction": "text", "improve": "answer_2"}, "two outputs"),
    ],
)
def test_what_cannot_be_is_said_before(
    answers: Dataset, provider: Provider, params: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidError, match=reason):
        start("responses", answers, provider, params=params)


def test_drafts_stay_in_the_workspace(answers: Dataset, provider: Provider) -> None:
    elsewhere = make_dataset()
    params = {"instruction": "text", "outputs": ["text"], "target": str(elsewhere.id)}
    with pytest.raises(InvalidError, match="no dataset of this workspace"):
        start("responses", answers, provider, params=params)


def test_each_model_is_paid_and_signs_at_its_own_name(
    answers: Dataset, provider: Provider, llm_server: LlmServer
) -> None:
    llm_server.script(".", answer="An answer of a few words.")
    dear, cheap = (
        ModelInput(name, prices=[PriceInput(Decimal(price), Decimal(price))])
        for name, price in (("small", 100), ("tiny", 1))
    )
    update_provider(provider=provider, changes={"models": [cheap, dear]})
    params = {"instruction": "text", "outputs": ["answer_1"], "models": ["small"]}
    job = finish("responses", answers, provider, params=params)
    estimate = job.params["estimate"]
    assert estimate["usd_min"] / 2 < job.cost < estimate["usd_max"] * 2
    assert job.cost > Decimal("0.01")
    assert {draft.agent for draft in drafts_of(job)} == {"stub/small@responses"}
    params = {**params, "models": ["tiny", "small"], "outputs": ["answer_1", "answer_2"]}
    job = finish("responses", answers, provider, params=params)
    assert {draft.agent for draft in drafts_of(job)} == {"stub/tiny+small@responses"}
    with pytest.raises(InvalidError, match="nothing"):
        start("responses", answers, provider, params={**params, "models": ["tiny", "nothing"]})


def test_an_archived_target_takes_nothing(answers: Dataset, provider: Provider) -> None:
    target = make_fields(make_dataset(answers.workspace), ["one"])
    Dataset.objects.filter(id=target.id).update(archived_at=timezone.now())
    params = {"instruction": "text", "outputs": ["one"], "target": str(target.id)}
    with pytest.raises(ArchivedError):
        start("responses", answers, provider, params=params)
