"""The jobs of a dataset on their pages: how far, what for, what failed, and how to steer."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from apps.datasets.models import Dataset
from apps.jobs.models import Job
from apps.llms.budgets import Amount, standing_of
from apps.llms.models import Provider
from apps.organizations.models import Membership
from apps.pipelines.orders import Budget, RunOrder, start_run
from tests import factories
from tests.console.conftest import run
from tests.llm_server.controls import LlmServer

FRAGMENT = {"HX-Request": "true"}


@pytest.fixture
def job(dataset: Dataset, provider: Provider, olga: Membership) -> Job:
    order = RunOrder(
        recipe="suggest",
        question="sentiment",
        provider_id=provider.id,
        budget=Budget(max_usd=Decimal("0.5")),
    )
    return start_run(dataset=dataset, order=order, created_by=olga)


def url(job: Job, step: str = "") -> str:
    if step:
        return reverse("console:job_step", args=[job.dataset_id, job.id, step])
    return reverse("console:job", args=[job.dataset_id, job.id])


def test_a_job_tells_how_far_it_is(client: Client, job: Job) -> None:
    text = client.get(url(job)).content.decode()
    assert "Waiting to begin" in text
    assert f'data-poll="{url(job)}"' in text
    assert "of $0.50 at most" in text
    run(job)
    fragment = client.get(url(job), headers=FRAGMENT).content.decode()
    assert "<html" not in fragment
    assert "data-poll" not in fragment  # nothing to look at any more
    assert "of 6" in fragment
    text = client.get(url(job)).content.decode()
    assert "stub/tiny@v1" in text
    again = f"{reverse('console:run', args=[job.dataset_id, job.kind])}?from={job.id}"
    assert again in text
    form = client.get(again).context["form"]
    assert form.budget[0].text == "0.5"
    assert form.prompt[0].text == job.params["prompt"]["version_id"]
    listed = client.get(reverse("console:jobs", args=[job.dataset_id])).content.decode()
    assert url(job) in listed
    assert "Suggest answers" in listed


def test_steering(client: Client, job: Job) -> None:
    for step, state in (("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled")):
        assert client.post(url(job, step)).status_code == 302
        job.refresh_from_db()
        assert job.state == state
    late = client.post(url(job, "pause"))
    assert late.status_code == 409
    assert "has moved on" in late.content.decode()
    assert client.post(url(job, "explode")).status_code == 404
    assert client.get(url(job, "pause")).status_code == 405


def test_a_job_that_its_budget_paused_goes_on_with_more(client: Client, job: Job) -> None:
    place = reverse("console:job_budget", args=[job.dataset_id, job.id])
    assert client.post(place, {"usd": "0", "tokens": ""}).status_code == 302
    run(job)
    assert job.state == "paused"
    text = client.get(url(job)).content.decode()
    assert "of $0.00 at most" in text
    assert "Set the budget and go on" in text
    refused = client.post(place, {"usd": "a lot", "tokens": "-1", "then": "go_on"})
    assert refused.status_code == 422
    assert "The budget is as it was." in refused.content.decode()
    assert standing_of(job.id).usd == 0
    client.post(place, {"usd": "0.25", "tokens": "90000", "then": "go_on"})
    job.refresh_from_db()
    assert job.state == "queued"
    run(job)
    assert (job.state, job.done) == ("done", 6)
    budget = standing_of(job.id)
    assert (budget.usd, budget.tokens, budget.reserved) == (Decimal("0.25"), 90_000, Amount())
    assert budget.spent.usd == client.get(url(job)).context["page"].spent["usd"] > 0
    late = client.post(place, {"usd": "9"})
    assert late.status_code == 409
    assert standing_of(job.id).usd == Decimal("0.25")


def test_a_budget_is_set_without_going_on(client: Client, job: Job) -> None:
    place = reverse("console:job_budget", args=[job.dataset_id, job.id])
    client.post(url(job, "pause"))
    assert client.post(place, {"usd": "", "tokens": ""}).status_code == 302
    assert not standing_of(job.id).is_limited
    job.refresh_from_db()
    assert job.state == "paused"
    assert "no limit" in client.get(url(job)).content.decode()
    client.post(url(job, "resume"))
    gone_on = client.post(place, {"usd": "1", "then": "go_on"})
    assert gone_on.status_code == 409  # somebody else was faster; the budget is set all the same
    assert standing_of(job.id).usd == 1


def test_what_failed_is_told_and_tried_again(
    client: Client, job: Job, llm_server: LlmServer
) -> None:
    llm_server.script("Nobody answers", answer={"label": "nonsense"})
    run(job)
    assert job.failed == 1
    text = client.get(url(job)).content.decode()
    assert "What failed" in text
    assert "Try the 1 failed one again" in text
    llm_server.configure()
    client.post(url(job, "retry"))
    job.refresh_from_db()
    assert job.state == "queued"


def test_what_the_cache_spared_is_told(
    client: Client, job: Job, dataset: Dataset, provider: Provider
) -> None:
    run(job)
    order = RunOrder(recipe="suggest", question="sentiment", provider_id=provider.id)
    second = run(start_run(dataset=dataset, order=order))
    page = client.get(url(second)).context["page"]
    assert page.spent["hit"] == 6
    assert page.spent["usd"] == 0
    assert page.spent["saved_usd"] > 0


def test_pages_ask_little(
    client: Client,
    job: Job,
    dataset: Dataset,
    django_assert_max_num_queries: Callable[[int], object],
) -> None:
    for _ in range(5):
        Job.objects.create(kind="refresh_review", dataset_id=dataset.id, created_by=job.created_by)
    with django_assert_max_num_queries(14):  # type: ignore[attr-defined]
        client.get(reverse("console:jobs", args=[dataset.id]))
    with django_assert_max_num_queries(14):  # type: ignore[attr-defined]
        client.get(url(job))


def test_others_see_nothing(
    job: Job, sign_in: Callable[[Membership], Client], dataset: Dataset
) -> None:
    annotator = sign_in(factories.make_member(workspace=dataset.workspace))
    assert annotator.get(url(job)).status_code == 403
    assert annotator.post(url(job, "cancel")).status_code == 403
    budget = reverse("console:job_budget", args=[job.dataset_id, job.id])
    assert annotator.post(budget, {"usd": "9"}).status_code == 403
    stranger = sign_in(factories.make_member(role="admin"))
    assert stranger.get(url(job)).status_code == 404
    assert stranger.post(budget, {"usd": "9"}).status_code == 404
    other = factories.make_dataset()
    olga = sign_in(job.created_by)  # type: ignore[arg-type]
    assert olga.get(reverse("console:job", args=[other.id, job.id])).status_code == 404
