"""Gold sets, evaluations, comparisons and what follows, as pages."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from apps.annotation.ingest import log_records
from apps.datasets.models import Dataset, QueueOrder
from apps.evaluation.models import Evaluation, GoldSet
from apps.jobs.models import Job
from apps.llms.models import Provider
from apps.organizations.models import Membership
from apps.quality.models import Acceptance, Adjudication, ReviewCause
from apps.records.inputs import RecordInput, SuggestionInput
from apps.records.models import Record
from apps.workspaces.models import Workspace
from tests import factories
from tests.console.conftest import run
from tests.console.studio_world import AGENTS, Measured, measure, save_version
from tests.llm_server.controls import LlmServer

pytestmark = pytest.mark.django_db


@pytest.fixture
def measured(workspace: Workspace) -> Measured:
    return measure(workspace=workspace)


def url(name: str, dataset: Dataset, *more: Any) -> str:
    return reverse(f"console:{name}", args=[dataset.id, *more])


def html(answer: Any) -> str:
    return str(answer.content.decode())


def test_gold_is_frozen_once_and_looked_into(
    client: Client, workspace: Workspace, measured: Measured
) -> None:
    dataset = measured.dataset
    sent = {"question": "sentiment", "test_percent": "30", "min_answers": "", "note": "first"}
    answer = client.post(url("freeze", dataset), sent)
    gold = GoldSet.objects.get(number=2)
    assert str(gold.id) in answer["Location"]
    assert (gold.test_percent, gold.note) == (30, "first")
    again = client.post(url("freeze", dataset), sent)
    assert again.status_code == 409
    assert "Nothing has changed" in html(again)
    assert client.post(url("freeze", dataset), {**sent, "test_percent": "x"}).status_code == 422
    page = client.get(url("gold_set", dataset, gold.id))
    assert "those that were frozen" in html(page)
    assert len(page.context["answers"]) == 50
    assert page.context["next"] == 50
    dev = set(gold.answers.filter(split="dev").values_list("record_id", flat=True))
    assert {row.record_id for row in page.context["answers"]} <= dev
    Record.objects.filter(id=page.context["answers"][0].record_id).delete()
    assert "are gone since" in html(client.get(url("gold_set", dataset, gold.id)))


def test_a_version_of_another_recipe_is_refused_in_words(
    client: Client, measured: Measured, provider: Provider
) -> None:
    dataset, gold = measured.dataset, measured.gold
    version = save_version(measured.question, provider)
    type(version).objects.filter(id=version.id).update(recipe="preference")
    query = {"question": "sentiment", "gold": str(gold.id), "version": str(version.id)}
    page = client.get(url("evaluations", dataset), query)
    assert page.context["page"].versions == []
    for answer in (page, client.post(url("start_evaluation", dataset), query)):
        assert "belongs to the recipe preference: only suggesting is measured" in html(answer)
    assert answer.status_code == 422
    assert Job.objects.count() == 0


def test_a_version_is_priced_then_measured(
    client: Client, measured: Measured, provider: Provider, llm_server: LlmServer
) -> None:
    llm_server.script(".*", answer={"label": "positive", "confidence": 0.8})
    dataset, gold = measured.dataset, measured.gold
    version = save_version(measured.question, provider)
    query = {"question": "sentiment", "gold": str(gold.id), "version": str(version.id)}
    page = client.get(url("evaluations", dataset), query)
    assert page.context["page"].estimate.items == gold.size - gold.test_size
    assert Job.objects.count() == 0
    answer = client.post(url("start_evaluation", dataset), {**query, "max_usd": "3"})
    assert answer.status_code == 302
    waiting = client.get(answer["Location"])
    assert "data-poll" in html(waiting)
    run(Job.objects.get())
    shown = client.get(answer["Location"])
    assert "data-poll" not in html(shown)
    row = shown.context["page"].rows[0]
    assert (row.name, row.report["n"]) == ("v1", gold.size - gold.test_size)
    assert len(llm_server.calls()) == row.report["n"]


def test_the_table_has_all_versions_with_people_beside_them(
    client: Client, measured: Measured
) -> None:
    page = client.get(url("evaluations", measured.dataset))
    text = html(page)
    assert [row.name for row in page.context["page"].rows] == list(reversed(AGENTS))
    columns = [column.name for column in page.context["page"].columns]
    assert columns == ["accuracy", "macro_f1", "kappa", "alpha_with_model"]
    assert "People among themselves" in text
    assert "look 1" in text
    assert page.context["page"].ceiling["agreement"]["value"] == 1


def test_an_agent_that_suggested_nothing_is_refused(client: Client, measured: Measured) -> None:
    sent = {"question": "sentiment", "gold": str(measured.gold.id), "agent": "nobody"}
    answer = client.post(url("start_evaluation", measured.dataset), sent)
    assert answer.status_code == 422
    assert "has suggested nothing" in html(answer)


def test_one_evaluation_shows_where_it_errs(client: Client, measured: Measured) -> None:
    dataset, a = measured.dataset, measured.a
    page = client.get(url("evaluation", dataset, a.id))
    heat = page.context["heat"]
    confusion = a.reports["dev"]["confusion"]
    assert [[cell.n for cell in row.cells] for row in heat.rows] == [
        counts[:3] for counts in confusion["counts"]
    ]
    assert all(0 <= cell.step <= 4 for row in heat.rows for cell in row.cells)
    assert len(page.context["differing"]) == sum(
        n
        for row, counts in enumerate(confusion["counts"])
        for c, n in enumerate(counts)
        if c != row
    )


def test_a_cell_opens_its_records_in_explore(client: Client, measured: Measured) -> None:
    dataset, a = measured.dataset, measured.a
    counts = a.reports["dev"]["confusion"]
    true, answered = counts["values"].index("positive"), counts["values"].index("negative")
    n = counts["counts"][true][answered]
    query = {"true": "positive", "answered": "negative"}
    answer = client.get(url("evaluation_cell", dataset, a.id), query)
    explore = client.get(answer["Location"])
    assert explore.status_code == 200
    assert explore.context["page"].total == n > 0
    assert "Named records" in html(explore)
    nothing = client.get(url("evaluation_cell", dataset, a.id), {"true": "gone"})
    assert nothing["Location"] == url("evaluations", dataset)


def test_two_are_compared_in_a_sentence(client: Client, measured: Measured) -> None:
    dataset, a, b = measured.dataset, measured.a, measured.b
    page = client.get(url("comparison", dataset), {"a": str(a.id), "b": str(b.id)})
    assert f"{AGENTS[1]} is better than {AGENTS[0]}" in html(page)
    assert page.context["differing"]
    back = client.get(url("comparison", dataset), {"a": str(b.id), "b": str(a.id)})
    assert f"{AGENTS[0]} is worse than {AGENTS[1]}" in html(back)
    same = client.get(url("comparison", dataset), {"a": str(a.id), "b": str(a.id)})
    assert "are not distinguishable" in html(same)
    test = {"a": str(a.id), "b": str(b.id), "split": "test"}
    assert client.get(url("comparison", dataset), test).status_code == 409


def test_disagreements_go_to_review_and_evaluations_can_be_forgotten(
    client: Client, measured: Measured
) -> None:
    dataset, a = measured.dataset, measured.a
    answer = client.post(url("evaluation_review", dataset, a.id))
    assert answer["Location"].endswith("review/?reason=evaluation")
    assert ReviewCause.objects.filter(reason="evaluation").count() > 0
    assert client.get(answer["Location"]).status_code == 200
    client.post(url("delete_evaluation", dataset, a.id))
    assert list(Evaluation.objects.all()) == [measured.b]


def test_a_version_is_promoted_and_an_agent_is_not(
    client: Client, measured: Measured, provider: Provider, llm_server: LlmServer
) -> None:
    dataset, gold = measured.dataset, measured.gold
    version = save_version(measured.question, provider)
    sent = {"question": "sentiment", "gold": str(gold.id), "version": str(version.id)}
    client.post(url("start_evaluation", dataset), sent)
    run(Job.objects.get())
    mine = Evaluation.objects.get(prompt_version=version)
    promoted = {"filter": "status=completed", "max_usd": "2"}
    answer = client.post(url("promotion", dataset, mine.id), promoted)
    job = Job.objects.order_by("-id")[0]
    assert answer["Location"] == url("job", dataset, job.id)
    assert job.params["selection"]["filter"] == "status=completed"
    assert client.post(url("promotion", dataset, measured.a.id), promoted).status_code == 422
    wrong = {"filter": "", "max_usd": "much"}
    assert client.post(url("promotion", dataset, mine.id), wrong).status_code == 422


def test_sure_answers_are_accepted_and_taken_back(client: Client, measured: Measured) -> None:
    dataset, b = measured.dataset, measured.b
    suggestion = {"question_id": measured.question.id, "value": "mixed", "agent": AGENTS[1]}
    log_records(
        dataset=dataset,
        items=[
            RecordInput(
                fields={"text": f"new {score}"},
                suggestions=[SuggestionInput(score=score, type="model", **suggestion)],
            )
            for score in (0.99, 0.95, 0.1)
        ],
    )
    address = url("automation", dataset, b.id)
    page = client.get(address, {"target": "90"})
    chosen = page.context["chosen"]
    assert chosen.holds
    assert chosen.ready == 2
    assert "Accept 2" in html(page)
    answer = client.post(address, {"target": "90"})
    run(Job.objects.order_by("-id")[0])
    assert answer.status_code == 302
    acceptance = Acceptance.objects.get()
    assert Adjudication.objects.count() == acceptance.count == 2
    dataset.refresh_from_db()
    assert dataset.queue_order == QueueOrder.LEAST_CERTAIN_FIRST
    client.post(url("undo_acceptance", dataset, acceptance.id))
    client.post(url("undo_acceptance", dataset, acceptance.id))
    assert Adjudication.objects.count() == 0
    assert "Taken back" in html(client.get(url("evaluations", dataset)))


def test_automation_says_why_not(client: Client, measured: Measured) -> None:
    dataset = measured.dataset
    address = url("automation", dataset, measured.a.id)
    assert "with the test split first" in html(client.get(address, {"target": "60"}))
    assert client.post(address, {"target": "60"}).status_code == 409
    for target in ("much", "0", "100", "nan"):
        assert client.get(address, {"target": target}).status_code == 422


def test_others_evaluations_are_not_found(
    client: Client, measured: Measured, sign_in: Callable[[Membership], Client]
) -> None:
    dataset = measured.dataset
    elsewhere = factories.make_dataset()
    for name, id in (("gold_set", measured.gold.id), ("evaluation", measured.a.id)):
        assert client.get(url(name, elsewhere, id)).status_code == 404
        assert client.get(url(name, dataset, uuid4())).status_code == 404
    assert client.get(url("comparison", elsewhere), {"a": str(measured.a.id)}).status_code == 404
    annotator = sign_in(factories.make_member(workspace=dataset.workspace))
    assert annotator.get(url("evaluations", dataset)).status_code == 403
