"""Ordering a run on its page: the form, a try, the price, the run itself."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.console.words import GROUPS, RECIPES
from apps.datasets.models import Dataset
from apps.drafts.models import Draft
from apps.jobs.models import Job, Queue
from apps.llms.models import Budget, Provider
from apps.pipelines.recipes.registry import names
from apps.records.models import Record, Suggestion
from apps.workspaces.models import WorkspaceMembership
from tests.console.conftest import TEXTS, run, typed
from tests.llm_server.controls import LlmServer


def url(dataset: Dataset, recipe: str) -> str:
    return reverse("console:run", args=[dataset.id, recipe])


def test_every_recipe_has_words_and_a_form(client: Client, dataset: Dataset) -> None:
    assert set(RECIPES) == set(names()) - {"evaluate"}
    assert {name for _, group in GROUPS for name in group} == set(RECIPES)
    picker = client.get(reverse("console:new_run", args=[dataset.id])).content.decode()
    for name in RECIPES:
        assert url(dataset, name) in picker
        page = client.get(url(dataset, name))
        assert page.status_code == 200
        plain = [one.label for one in page.context["form"].params if "_" in one.label]
        assert plain == []  # every parameter has a label in words
    assert client.get(url(dataset, "nonsense")).status_code == 404


def test_from_a_try_to_the_run(client: Client, dataset: Dataset, provider: Provider) -> None:
    page = client.get(url(dataset, "suggest"))
    sent = typed(page, max_usd="0.5", p__rationale="on", shots="0", filter="status=pending")
    tried = client.post(url(dataset, "suggest"), {**sent, "do": "try"})
    job = Job.objects.get()
    assert tried["Location"] == f"{url(dataset, 'suggest')}?from={job.id}#trial"
    assert (job.queue, job.params["dry_run"]) == (Queue.INTERACTIVE, 5)
    waiting = client.get(f"{url(dataset, 'suggest')}?from={job.id}")
    assert "data-poll" in waiting.content.decode()

    run(job)
    assert Suggestion.objects.count() == 0
    shown = client.get(f"{url(dataset, 'suggest')}?from={job.id}")
    text = shown.content.decode()
    assert "data-poll" not in text
    assert text.count('class="card" id="tried-') == 5
    assert "Run on 6" in text
    assert sum(one in text for one in TEXTS) == 5  # in the prompts
    again = typed(shown)
    assert again["max_usd"] == ["0.5"]
    assert (again["p.rationale"], again["filter"]) == (["on"], ["status=pending"])

    changed = client.post(url(dataset, "suggest"), {**again, "do": "run", "expected": "7"})
    assert changed.status_code == 409
    assert Job.objects.count() == 1
    begun = client.post(url(dataset, "suggest"), {**again, "do": "run", "expected": "6"})
    whole = Job.objects.exclude(id=job.id).get()
    assert begun["Location"] == reverse("console:job", args=[dataset.id, whole.id])
    assert str(Budget.objects.get(subject_id=whole.id).limit_usd) == "0.50000000"
    run(whole)
    assert Suggestion.objects.count() == 6


def test_a_try_does_not_forget_that_there_is_no_hurry(
    client: Client, dataset: Dataset, provider: Provider
) -> None:
    page = client.get(url(dataset, "suggest"))
    assert not page.context["form"].in_batches.is_checked
    tried = client.post(url(dataset, "suggest"), {**typed(page), "do": "try", "in_batches": "on"})[
        "Location"
    ]
    job = run(Job.objects.get())
    assert job.params["in_batches"] is False, "a try is asked at once"
    again = typed(client.get(tried.partition("#")[0]))
    assert again["in_batches"] == ["on"]
    client.post(url(dataset, "suggest"), {**again, "do": "run", "expected": "6"})
    assert Job.objects.exclude(id=job.id).get().params["in_batches"] is True


def test_a_form_and_its_try_ask_little(
    client: Client, dataset: Dataset, provider: Provider, django_assert_max_num_queries: Any
) -> None:
    client.post(
        url(dataset, "suggest"), {**typed(client.get(url(dataset, "suggest"))), "do": "try"}
    )
    job = run(Job.objects.get())
    with django_assert_max_num_queries(17):
        client.get(url(dataset, "suggest"))
    with django_assert_max_num_queries(23):
        client.get(f"{url(dataset, 'suggest')}?from={job.id}")
    with django_assert_max_num_queries(14):
        client.get(reverse("console:trial", args=[dataset.id, job.id]))


def test_an_estimate_stands_beside_the_button(
    client: Client, dataset: Dataset, provider: Provider, llm_server: LlmServer
) -> None:
    sent = typed(client.get(url(dataset, "suggest")))
    page = client.post(url(dataset, "suggest"), {**sent, "do": "estimate", "sample": "4"})
    assert page.status_code == 200
    assert page.context["estimate"].items_in_all == 4
    assert "Run on 4" in page.content.decode()
    slow = client.post(
        url(dataset, "suggest"), {**sent, "do": "estimate", "sample": "4", "in_batches": "on"}
    )
    assert 0 < slow.context["estimate"].usd == page.context["estimate"].usd / 2
    assert "at the price for batches" in slow.content.decode()
    assert "at the price for batches" not in page.content.decode()
    assert Job.objects.count() == 0
    assert llm_server.ledger()["calls"] == 0


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"max_usd": "a lot"}, "A number, please."),
        ({"sample": "0"}, "At least 1."),
        ({"model": ""}, "This is needed."),
        ({"record_ids": "r77"}, "There is no record r77."),
        ({"filter": "status=nonsense"}, "Something"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_lost(
    client: Client, dataset: Dataset, provider: Provider, values: dict[str, Any], told: str
) -> None:
    sent = {**typed(client.get(url(dataset, "suggest"))), "p.rationale": "on", **values}
    page = client.post(url(dataset, "suggest"), {**sent, "do": "try"})
    assert page.status_code == 422
    assert Job.objects.count() == 0
    if told != "Something":
        assert told in page.content.decode()
    assert typed(page)["p.rationale"] == ["on"]


def test_records_like_some(client: Client, dataset: Dataset, provider: Provider) -> None:
    record = Record.objects.get(external_id="r3")
    page = client.get(f"{url(dataset, 'like_this')}?record={record.id}")
    sent = typed(page, p__change="About trains.", p__total="4", p__vary="text")
    assert sent["p.sources"] == [str(record.id)]
    sent = {**sent, "p.sources": "r3\nr4"}  # by the ids that people know
    page = client.post(url(dataset, "like_this"), {**sent, "do": "estimate"})
    assert page.status_code == 200, page.context["form"].problem
    expected = page.context["estimate"].items_in_all
    client.post(url(dataset, "like_this"), {**sent, "do": "run", "expected": expected})
    job = run(Job.objects.get())
    assert job.state == "done"
    assert Draft.objects.filter(job=job).exists()
    assert len(job.params["params"]["sources"]) == 2


def test_labels_have_their_numbers(client: Client, dataset: Dataset, provider: Provider) -> None:
    page = client.get(url(dataset, "classification"))
    assert 'name="p.quotas.positive"' in page.content.decode()
    sent = typed(page, question="", do="refresh")  # the labels go with the question
    page = client.post(url(dataset, "classification"), sent)
    assert 'name="p.quotas.positive"' not in page.content.decode()
    page = client.post(url(dataset, "classification"), {**sent, "question": "sentiment"})
    sent = typed(page, p__field="text", p__task="Reviews.", p__quotas__positive="2", do="estimate")
    page = client.post(url(dataset, "classification"), sent)
    assert page.status_code == 200
    sent = {**sent, "p.quotas.positive": "two"}
    assert "A whole number" in client.post(url(dataset, "classification"), sent).content.decode()


def test_a_retrieval_set_is_made_on_the_way(
    client: Client, dataset: Dataset, provider: Provider
) -> None:
    page = client.get(url(dataset, "retrieval"))
    sent = typed(page, p__document="text", p__hard="none", new_target="queries", do="estimate")
    page = client.post(url(dataset, "retrieval"), sent)
    assert page.status_code == 200, page.context["form"].problem
    made = Dataset.objects.get(name="queries")
    assert typed(page)["p.target"] == [str(made.id)]


def test_rules_need_no_provider(client: Client, dataset: Dataset) -> None:
    page = client.get(url(dataset, "rules"))
    sent = typed(page, p__fields="text", p__shortest="29", do="run", expected="6")
    client.post(url(dataset, "rules"), sent)
    assert run(Job.objects.get()).state == "done"


def test_nul_is_no_text(client: Client, dataset: Dataset) -> None:
    sent = typed(client.get(url(dataset, "rules")), p__fields="text", p__shortest="29")
    for more in ({"filter": "\0"}, {"filter": "status=\0pending"}, {"record_ids": "\0r1"}):
        page = client.post(url(dataset, "rules"), {**sent, **more, "do": "estimate"})
        assert page.status_code == 200, page.context["form"].problem
        client.post(url(dataset, "rules"), {**sent, **more, "do": "try"})
    assert Job.objects.count() == 3


def test_who_may_start_is_said_by_the_role_in_the_workspace(
    dataset: Dataset, provider: Provider, sign_in: Any, make_member: Any
) -> None:
    member = make_member(role="annotator", workspace=dataset.workspace)
    places = WorkspaceMembership.objects.filter(membership=member)
    places.update(role="admin")
    client = sign_in(member)
    sent = typed(client.get(url(dataset, "suggest")), do="try")
    places.update(role=None)
    assert client.get(url(dataset, "suggest")).status_code == 403
    assert client.post(url(dataset, "suggest"), sent).status_code == 403
    assert Job.objects.count() == 0
    places.update(role="admin")
    assert client.post(url(dataset, "suggest"), sent).status_code == 302
    assert Job.objects.count() == 1


def test_what_is_marked_elsewhere_comes_along(
    client: Client, dataset: Dataset, provider: Provider
) -> None:
    explore = client.get(reverse("labeling:explore", args=[dataset.id])).content.decode()
    choose = reverse("console:choose", args=[dataset.id])
    assert f'formaction="{choose}"' in explore
    record = str(Record.objects.get(external_id="r3").id)
    to = client.post(choose, {"record": [record], "query": "q=card"})["Location"]
    assert f"{url(dataset, 'like_this')}?record={record}" in client.get(to).content.decode()
    to = client.post(choose, {"query": "q=card&mode=words"})["Location"]
    page = client.get(f"{url(dataset, 'suggest')}?{to.partition('?')[2]}")
    assert typed(page)["filter"] == ["q=card&mode=words"]
    sent = typed(page, do="estimate")
    page = client.post(url(dataset, "suggest"), sent)
    assert page.context["estimate"].items_in_all == 1
