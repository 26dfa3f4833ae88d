"""The console's screens in a real browser: axe, widths, what runs, and without scripts.

``SCREENS=folder`` leaves a picture of each.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from apps.datasets.models import Dataset
from apps.jobs.engine import run_slice
from apps.jobs.models import Job, JobItem
from apps.llms.models import Provider
from apps.organizations.models import Membership
from apps.pipelines.orders import Budget, RunOrder, start_run
from apps.users.models import User
from apps.workspaces.models import Workspace
from tests import factories
from tests.console.conftest import BACKEND, add_provider, fill, run
from tests.console.test_drafts import write
from tests.labeling.conftest import Site
from tests.labeling.test_accessibility import NARROW, WIDE, violations_in_both_schemes
from tests.llm_server.controls import LlmServer

pytestmark = pytest.mark.browser

Visit = Callable[..., Any]


@dataclass
class World:
    """A dataset with jobs in all states of interest, drafts, and an empty one."""

    site: Site
    owner: Membership
    dataset: Dataset
    blank: Dataset
    provider: Provider
    dry: Job
    running: Job
    failed: Job

    def open(self, visit: Visit, **options: Any) -> Any:
        page = visit(signed_in=False, **options)
        page.context.add_cookies([cookie_of(self.site, self.owner)])
        return page

    def slice(self, job: Job) -> None:
        with self.site.inside():
            while run_slice(organization_id=self.site.organization.id, job_id=job.id):
                pass


def cookie_of(site: Site, member: Membership) -> dict[str, Any]:
    """Of a browser in which the member is signed in."""
    client = Client()
    assert member.user is not None
    client.force_login(member.user, backend=BACKEND)
    return {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": site.url}


@pytest.fixture
def world(site: Site, llm_server: LlmServer) -> World:
    with site.inside():
        workspace = Workspace.objects.get(id=site.dataset.workspace_id)
        owner = factories.make_member(
            role="owner",
            first_name="Olga",
            email=f"olga-{uuid4().hex[:8]}@example.com",
            workspace=workspace,
        )
        dataset = fill(factories.make_dataset(workspace, name="reviews", questions=("sentiment",)))
        blank = factories.make_dataset(workspace, name="blank")
        provider = add_provider(llm_server)
        order = RunOrder(
            recipe="suggest",
            question="sentiment",
            provider_id=provider.id,
            params={"rationale": True},
            budget=Budget(max_usd=Decimal(5)),
        )
        dry = start_run(
            dataset=dataset, order=order.model_copy(update={"dry_run": 5}), created_by=owner
        )
        run(dry)
        running = start_run(dataset=dataset, order=order, created_by=owner)
        Job.objects.filter(id=running.id).update(
            state="running", total=1240, done=412, failed=3, started_at=timezone.now()
        )
        failed = _fail(dataset, owner)
        write(dataset)
    return World(site, owner, dataset, blank, provider, dry, running, failed)


def _fail(dataset: Dataset, owner: Membership) -> Job:
    now = timezone.now()
    job = Job.objects.create(
        kind="suggest",
        dataset_id=dataset.id,
        workspace=dataset.workspace,
        created_by=owner,
        state="failed",
        total=2,
        done=1,
        failed=1,
        started_at=now,
        planned_at=now,
        finished_at=now,
        params={"agent": "stub/tiny@v1", "provider_id": "x"},
        error_sample=[{"error": "The provider refuses the key."}],
    )
    JobItem.objects.create(
        job=job, seq=1, payload={}, state="failed", attempts=3, error="The answer is no label."
    )
    return job


def paths(world: World) -> dict[str, str]:
    base = f"/datasets/{world.dataset.id}/"
    return {
        "providers": "/providers/",
        "provider": f"/providers/{world.provider.id}/?saved=1&key=wiped",
        "provider new": "/providers/new/",
        "jobs": f"{base}jobs/",
        "jobs empty": f"/datasets/{world.blank.id}/jobs/",
        "job running": f"{base}jobs/{world.running.id}/",
        "job failed": f"{base}jobs/{world.failed.id}/",
        "job dry": f"{base}jobs/{world.dry.id}/",
        "recipes": f"{base}runs/",
        "run": f"{base}runs/suggest/",
        "run tried": f"{base}runs/suggest/?from={world.dry.id}",
        "run like this": f"{base}runs/like_this/",
        "run classification": f"{base}runs/classification/",
        "run feedback": f"{base}runs/feedback/",
        "run retrieval": f"{base}runs/retrieval/",
        "run rules": f"{base}runs/rules/",
        "explore": f"{base}explore/",
        "drafts": f"{base}drafts/",
        "drafts none": f"{base}drafts/?state=discarded&keep=no",
        "drafts empty": f"/datasets/{world.blank.id}/drafts/",
    }


def _refuse(page: Any) -> None:
    """A run that lacks something."""
    page.fill("#f-max_usd", "a lot")
    page.click("button[value=estimate]")
    page.wait_for_selector("#errors:focus")


def _leave_out(page: Any) -> None:
    """A run without what it needs."""
    page.click("button[value=estimate]")
    page.wait_for_selector("#errors:focus")


def _estimate(page: Any) -> None:
    page.check("#f-in_batches")
    page.click("button[value=estimate]")
    page.wait_for_selector("#estimate")


def _test(page: Any) -> None:
    page.click("form[action$='/test/'] button")
    page.wait_for_selector("#probe")


ACTS = {
    "run": (_refuse, _estimate),
    "run classification": (_leave_out,),
    "run feedback": (_leave_out,),
    "provider": (_test,),
}


@pytest.mark.parametrize(
    ("size", "language"), [(WIDE, "en"), (NARROW, "de")], ids=["wide", "narrow"]
)
def test_axe_finds_nothing(world: World, visit: Visit, size: dict[str, int], language: str) -> None:
    with world.site.inside():
        User.objects.update(language=language)
    page = world.open(visit, viewport=size, locale=language)
    found: list[str] = []
    for name, path in paths(world).items():
        for number, act in enumerate((None, *ACTS.get(name, ()))):
            page.goto(world.site.url + path)
            if act is not None:
                act(page)
            found += look(page, f"{name} {number or ''}".strip(), size["width"])
    assert found == []


def look(page: Any, name: str, width: int) -> list[str]:
    """What axe finds in both schemes, and whether the page is too wide; takes its pictures."""
    found: list[str] = []
    for scheme, texts in violations_in_both_schemes(page):
        found += [f"{name}, {scheme}: {text}" for text in texts]
        if folder := os.environ.get("SCREENS"):
            file = re.sub(r"[: ]+", "-", f"console-{name}-{scheme}-{width}.png")
            page.screenshot(path=Path(folder) / file, full_page=True)
    if page.evaluate("() => document.documentElement.scrollWidth") > width:
        found.append(f"{name}: scrolls sideways")
    return found


def test_a_try_arrives_without_a_reload(world: World, visit: Visit) -> None:
    page = world.open(visit)
    page.goto(f"{world.site.url}/datasets/{world.dataset.id}/runs/suggest/")
    page.evaluate("() => { window.same = true; }")
    page.fill("#f-sample", "4")
    page.fill("#f-shots", "0")
    page.fill("#f-max_usd", "2")
    page.click("button[value=try]")
    page.wait_for_selector("#trial[data-poll]")
    page.evaluate("() => { window.same = true; }")
    with world.site.inside():
        job = Job.objects.newest_first().first()
    assert job is not None
    world.slice(job)
    page.wait_for_selector("#trial:not([data-poll])", state="attached")
    assert page.evaluate("() => window.same")  # the page was never left
    assert page.locator("#trial article").count() == 4
    assert page.input_value("#f-max_usd").startswith("2")
    page.click("#trial .btn.main")
    page.wait_for_selector("#job-progress")
    assert "of $2.00 at most" in page.inner_text("#job-progress")


def test_a_job_is_paused_and_goes_on_by_keyboard(world: World, visit: Visit) -> None:
    with world.site.inside():
        order = RunOrder(recipe="suggest", question="sentiment", provider_id=world.provider.id)
        job = start_run(dataset=world.dataset, order=order, created_by=world.owner)
    page = world.open(visit)
    page.goto(f"{world.site.url}/datasets/{world.dataset.id}/jobs/{job.id}/")
    page.focus("#step-pause")
    page.keyboard.press("Enter")
    page.wait_for_selector("#step-resume")
    page.fill("#budget-usd", "2.5")
    page.focus("#budget-go-on")
    page.keyboard.press("Enter")
    page.get_by_text("of $2.50 at most").wait_for()
    page.wait_for_selector("#step-cancel")
    page.focus("#step-cancel")
    world.slice(job)
    page.wait_for_selector("#job:not([data-poll])", state="attached")
    assert "of 6" in page.inner_text("#job-progress")
    # the button that had the keyboard is gone: what it was part of has it now
    assert page.evaluate("() => document.activeElement.id") == "job-progress"
    assert not page.is_visible("#job-budget")  # nothing is left to spend on


def test_all_of_it_works_without_scripts(world: World, visit: Visit) -> None:
    page = world.open(visit, java_script_enabled=False)
    page.goto(f"{world.site.url}/datasets/{world.dataset.id}/jobs/{world.running.id}/")
    page.get_by_role("link", name="Look again").click()
    page.goto(f"{world.site.url}/datasets/{world.dataset.id}/drafts/")
    page.locator("input[name=draft]").first.check()
    page.get_by_role("button", name="Discard the marked").click()
    page.get_by_text("1 draft discarded.").wait_for()
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("1 draft waits again").wait_for()
    page.goto(f"{world.site.url}/datasets/{world.dataset.id}/runs/suggest/")
    page.locator("button[value=estimate]").click()
    page.get_by_role("button", name="Run on 6").wait_for()
