"""The prompt studio: tried, shown filled in, priced, saved, run; guidelines that take effect."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from apps.annotation.services import save_response
from apps.datasets.models import Dataset, Question
from apps.jobs.models import Job
from apps.llms.models import Provider
from apps.pipelines.models import PromptVersion
from apps.pipelines.prompts import DEFAULT
from apps.records.models import Record, Suggestion
from apps.workspaces.models import Workspace
from tests import factories
from tests.console.conftest import run
from tests.console.studio_world import save_version
from tests.llm_server.controls import LlmServer

pytestmark = pytest.mark.django_db


@pytest.fixture
def question(dataset: Dataset) -> Question:
    rows = Question.objects.select_related("dataset__workspace")
    return rows.get(dataset=dataset, name="sentiment")


def url(name: str, dataset: Dataset, *more: Any) -> str:
    return reverse(f"console:{name}", args=[dataset.id, *more])


def form(provider: Provider | None, **values: Any) -> dict[str, Any]:
    """The studio's form as a browser sends it."""
    return {
        "question": "sentiment",
        "model": f"{provider.id}/tiny" if provider else "",
        "guidelines": "",
        "template": "Is it good?\r\n{{ text }}\r\n{{ options }}",
        "shots": "0",
        "strategy": "nearest",
        "temperature": "0",
        "n": "1",
        "confidence": "on",
        "rationale": "on",
        "pick": "filter",
        "seed": "0",
        "filter": "status=pending",
        "max_usd": "2",
        "note": "",
        "parent": "",
    } | values


def html(answer: Any) -> str:
    return str(answer.content.decode())


def test_the_studio_begins_with_the_prompt_that_everybody_starts_with(
    client: Client, dataset: Dataset, provider: Provider
) -> None:
    answer = client.get(url("studio", dataset))
    assert answer.status_code == 200
    assert answer.context["page"].form["template"].value() == DEFAULT
    assert answer.context["page"].form["model"].value() == f"{provider.id}/small"
    assert "Names you may use" in html(answer)


def test_a_preview_asks_about_five_records_and_keeps_the_words(
    client: Client, dataset: Dataset, provider: Provider, llm_server: LlmServer
) -> None:
    record = Record.objects.filter(dataset=dataset).in_order()[0]
    llm_server.script(".*", answer={"label": "positive", "confidence": 0.8, "rationale": "So."})
    sent = form(provider, pick="answered", filter="", note="for later", max_usd="7")
    save_response(
        record=record,
        annotator=factories.make_member(workspace=dataset.workspace),
        status="submitted",
        values={"sentiment": {"value": "positive"}},
    )
    answer = client.post(url("studio_try", dataset), sent)
    assert answer.status_code == 302, html(answer)
    job = Job.objects.get()
    waiting = client.get(answer["Location"])
    assert [card.state for card in waiting.context["page"].preview.cards] == ["waiting"]
    assert "data-poll" in html(waiting)
    run(job)
    shown = client.get(answer["Location"])
    page = shown.context["page"]
    assert [card.state for card in page.preview.cards] == ["same"]
    assert page.form["template"].value() == "Is it good?\n{{ text }}\n{{ options }}"
    assert page.form["pick"].value() == "answered"
    typed = [page.form[name].value() for name in ("filter", "note", "max_usd")]
    assert typed == ["", "for later", "7"]
    assert "data-poll" not in html(shown)
    assert "Same as people" in html(shown)
    part = client.get(url("preview_cards", dataset, job.id))
    assert "data-poll" not in html(part)
    assert Suggestion.objects.count() == 0


def test_other_records_are_other_records(
    client: Client, dataset: Dataset, provider: Provider
) -> None:
    client.post(url("studio_try", dataset), form(provider, other="1"))
    job = Job.objects.get()
    assert job.params["selection"]["sample"] == {"n": 5, "seed": 1, "strategy": "random"}


def test_prompts_are_shown_and_priced_without_asking(
    client: Client, dataset: Dataset, provider: Provider, llm_server: LlmServer
) -> None:
    answer = client.post(url("studio_prompts", dataset), form(provider))
    page = answer.context["page"]
    assert len(page.prompts) == 5
    assert "Is it good?" in html(answer)
    assert page.estimate.items == 6
    assert "Run on 6 records" in html(answer)
    assert Job.objects.count() == 0
    assert llm_server.ledger()["calls"] == 0


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"template": "{{ nothing }}"}, "nothing"),
        ({"template": "no field"}, "names no field"),
        ({"shots": "99"}, "50"),
        ({"temperature": "hot"}, "number"),
        ({"model": "x/y"}, "x/y"),
        ({"filter": "suggested.gone=1"}, "gone"),
        ({"max_usd": "-1"}, "0"),
    ],
)
@pytest.mark.parametrize("name", ["studio_try", "studio_run", "studio_prompts"])
def test_what_cannot_be_done_is_said_and_nothing_is_lost(
    client: Client, dataset: Dataset, provider: Provider, name: str, values: Any, told: str
) -> None:
    given = form(provider, note="kept", pick="filter", **values)
    answer = client.post(url(name, dataset), given)
    assert answer.status_code == 422
    assert told in html(answer)
    assert 'value="kept"' in html(answer)
    assert Job.objects.count() == 0


def test_a_version_is_saved_once_and_run_by_name(
    client: Client, dataset: Dataset, provider: Provider, llm_server: LlmServer
) -> None:
    llm_server.script(".*", answer={"label": "positive", "confidence": 0.8, "rationale": "So."})
    answer = client.post(url("studio_save", dataset), form(provider, note="first"))
    version = PromptVersion.objects.get()
    assert str(version.id) in answer["Location"]
    assert (version.template, version.note) == ("Is it good?\n{{ text }}\n{{ options }}", "first")
    shown = client.get(answer["Location"])
    assert shown.context["page"].version == version
    answer = client.post(url("studio_run", dataset), form(provider, parent=str(version.id)))
    job = run(Job.objects.get())
    assert answer["Location"] == url("job", dataset, job.id)
    assert PromptVersion.objects.count() == 1
    assert Suggestion.objects.filter(agent="stub/tiny@v1").count() == 6


def test_the_starting_prompt_is_stored_as_none(
    client: Client, dataset: Dataset, provider: Provider
) -> None:
    template = DEFAULT.replace("\n", "\r\n")
    client.post(url("studio_save", dataset), form(provider, template=template))
    assert PromptVersion.objects.get().template == ""


def test_versions_are_noted_renewed_and_deleted(
    client: Client, question: Question, provider: Provider
) -> None:
    dataset = question.dataset
    version = save_version(question, provider)
    address = url("prompt_version", dataset, version.id)
    client.post(address, {"do": "note", "note": "the good one"})
    version.refresh_from_db()
    assert version.note == "the good one"
    client.post(url("guidelines", dataset), {"do": "save", "guidelines": "Be strict."})
    shown = client.get(url("studio", dataset))
    assert "older guideline" in html(shown)
    answer = client.post(address, {"do": "rebase"})
    renewed = PromptVersion.objects.order_by("-number")[0]
    assert (renewed.number, renewed.guidelines) == (2, "Be strict.")
    assert str(renewed.id) in answer["Location"]
    client.post(address, {"do": "delete"})
    assert list(PromptVersion.objects.all()) == [renewed]


def test_a_used_version_stays(client: Client, question: Question, provider: Provider) -> None:
    dataset = question.dataset
    client.post(url("studio_run", dataset), form(provider))
    version = PromptVersion.objects.get()
    answer = client.post(url("prompt_version", dataset, version.id), {"do": "delete"})
    assert answer.status_code == 409
    assert "stays" in html(answer)


# --- The guideline -------------------------------------------------------------------------------
def test_a_guideline_without_suggestions_is_saved_at_once(client: Client, dataset: Dataset) -> None:
    sent = {"do": "check", "guidelines": "Be\r\nfair.", "question": "sentiment"}
    answer = client.post(url("guidelines", dataset), sent)
    dataset.refresh_from_db()
    assert answer.status_code == 302
    assert (dataset.guidelines, dataset.guidelines_version) == ("Be\nfair.", 1)


def test_a_guideline_shows_what_it_would_change_before_it_does(
    client: Client, dataset: Dataset, provider: Provider, llm_server: LlmServer
) -> None:
    llm_server.script("Be strict", answer={"label": "negative", "confidence": 0.9})
    llm_server.script(".*", answer={"label": "positive", "confidence": 0.8})
    sent = form(provider)
    del sent["rationale"]
    sent["template"] = "{{ guidelines }} {{ text }}"
    client.post(url("studio_run", dataset), sent)
    run(Job.objects.get())
    version = PromptVersion.objects.get()
    new = {"guidelines": "Be strict.", "question": "sentiment", "version": str(version.id)}
    page = client.post(url("guidelines", dataset), {**new, "do": "check"})
    assert page.status_code == 200
    assert "Save and ask again" in html(page)
    dataset.refresh_from_db()
    assert dataset.guidelines is None
    answer = client.post(url("guidelines", dataset), {**new, "do": "try"})
    trial = run(Job.objects.order_by("-id")[0])
    page = client.get(answer["Location"])
    preview = page.context["preview"]
    assert (preview.differing, preview.same) == (6, 0), html(page)
    assert page.context["text"] == "Be strict."
    assert "6 of 6 would change" in html(page)
    part = client.get(url("preview_cards", dataset, trial.id) + "?against=suggestion")
    assert "6 of 6 would change" in html(part)
    assert set(Suggestion.objects.values_list("value", flat=True)) == {"positive"}
    answer = client.post(url("guidelines", dataset), {**new, "do": "again", "max_usd": "3"})
    run(Job.objects.order_by("-id")[0])
    dataset.refresh_from_db()
    assert dataset.guidelines == "Be strict."
    assert set(Suggestion.objects.values_list("value", flat=True)) == {"negative"}


def test_a_guideline_that_cannot_be_asked_again_is_not_saved(
    client: Client, question: Question, provider: Provider
) -> None:
    dataset = question.dataset
    version = save_version(question, provider)
    sent = {"do": "again", "guidelines": "New.", "version": str(version.id), "max_usd": "1"}
    answer = client.post(url("guidelines", dataset), sent)
    assert answer.status_code == 409
    dataset.refresh_from_db()
    assert dataset.guidelines is None


# --- Who, and what not ---------------------------------------------------------------------------
def test_annotators_and_strangers_see_nothing(
    dataset: Dataset, workspace: Workspace, sign_in: Callable[..., Client]
) -> None:
    annotator = sign_in(factories.make_member(workspace=workspace))
    assert annotator.get(url("studio", dataset)).status_code == 403
    stranger = sign_in(factories.make_member(workspace=factories.make_workspace("other")))
    assert stranger.get(url("studio", dataset)).status_code == 404


def test_what_is_not_there_is_not_found(client: Client, dataset: Dataset) -> None:
    address = url("studio", dataset)
    for query in (f"version={uuid4()}", f"preview={uuid4()}", "version=x", "question=gone"):
        assert client.get(f"{address}?{query}").status_code == 404, query
    assert client.post(url("prompt_version", dataset, uuid4())).status_code == 404
