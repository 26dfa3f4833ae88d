"""The pages of prompts and what they are worth, in a real browser, and what they ask the database.

``SCREENS=folder`` leaves a picture of each.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.core.tenancy import enter
from apps.datasets.models import Dataset
from apps.datasets.services.datasets import update_dataset
from apps.jobs.engine import run_slice
from apps.jobs.models import Job
from apps.llms.models import Provider
from apps.organizations.models import Membership
from apps.pipelines.orders import RunOrder, start_run
from apps.pipelines.reprompt import try_again
from apps.quality.acceptance import accept_suggestions
from apps.users.models import User
from apps.workspaces.models import Workspace
from tests import factories
from tests.console.conftest import BACKEND, add_provider, run
from tests.console.studio_world import AGENTS, Measured, measure, save_version, watch
from tests.console.test_screens import look
from tests.labeling.conftest import Site
from tests.labeling.test_accessibility import NARROW, WIDE
from tests.llm_server.controls import LlmServer

pytestmark = pytest.mark.browser

Visit = Callable[..., Any]
GUIDELINE = """\
## Sentiment
Choose what the writer feels now, not what happened first.

- **positive**: glad, thankful, amused.
- **negative**: angry, sad, let down.
- **mixed**: both, or neither."""


@dataclass
class World:
    """A measured dataset with prompts, a preview, changes of a guideline, and a monitor."""

    site: Site
    owner: Membership
    measured: Measured
    blank: Dataset
    provider: Provider
    version: Any
    preview: Job
    trial: Job

    def client(self) -> Client:
        client = Client()
        assert self.owner.user is not None
        client.force_login(self.owner.user, backend=BACKEND)
        return client

    def open(self, visit: Visit, **options: Any) -> Any:
        page = visit(signed_in=False, **options)
        value = self.client().cookies["sessionid"].value
        cookie = {"name": "sessionid", "value": value, "url": self.site.url}
        page.context.add_cookies([cookie])
        return page


@pytest.fixture
def world(site: Site, llm_server: LlmServer) -> World:
    answer = {"label": "positive", "confidence": 0.83, "rationale": "It thanks somebody."}
    llm_server.script("no longer", answer={**answer, "label": "negative"})
    llm_server.script(".*", answer=answer)
    with site.inside():
        workspace = Workspace.objects.get(id=site.dataset.workspace_id)
        email = f"olga-{uuid4().hex[:8]}@example.com"
        owner = factories.make_member(
            role="owner", first_name="Olga", email=email, workspace=workspace
        )
        measured = measure(workspace=workspace, name="letters", guidelines=GUIDELINE)
        question = measured.question
        blank = factories.make_dataset(workspace, name="blank")
        factories.make_records(question.dataset, 30)
        provider = add_provider(llm_server)
        save_version(question, provider, note="With two examples")
        asked = {"question": "sentiment", "provider_id": provider.id, "template": "{{ text }}"}
        order = RunOrder(recipe="suggest", **asked, params={"rationale": True})
        chosen = order.selection.model_copy(update={"filter": "status=completed"})
        update = {"dry_run": 5, "selection": chosen}
        preview = run(start_run(dataset=question.dataset, order=order.model_copy(update=update)))
        pending = order.selection.model_copy(update={"filter": "status=pending"})
        own = {"template": "{{ guidelines }} {{ text }}", "selection": pending}
        run(start_run(dataset=question.dataset, order=order.model_copy(update=own)))
        version = question.prompt_versions.order_by("-number")[0]
        trial = run(
            try_again(
                dataset=question.dataset, version=version, guidelines=f"{GUIDELINE} no longer"
            )
        )
        accept_suggestions(question=question, agent=AGENTS[1], threshold=0.97)
        watch(question)
        update_dataset(dataset=question.dataset, changes={"guidelines": f"{GUIDELINE} Be fair."})
    return World(site, owner, measured, blank, provider, version, preview, trial)


def paths(world: World) -> dict[str, tuple[str, int]]:
    """Of each page its path, and the most that it may ask the database."""
    dataset, a, b = world.measured.dataset, world.measured.a, world.measured.b
    base = f"/datasets/{dataset.id}/"
    gold, evaluations = world.measured.gold, f"{base}evaluations/"
    priced = f"question=sentiment&gold={gold.id}&version={world.version.id}&test=1"
    return {
        "studio": (f"{base}studio/", 40),
        "studio version": (f"{base}studio/?version={world.version.id}", 40),
        "studio preview": (f"{base}studio/?preview={world.preview.id}", 44),
        "studio blank": (f"/datasets/{world.blank.id}/studio/", 30),
        "guidelines": (f"{base}studio/guidelines/", 16),
        "guidelines trial": (f"{base}studio/guidelines/?trial={world.trial.id}", 22),
        "cards": (f"{base}studio/previews/{world.preview.id}/", 14),
        "evaluations": (evaluations, 20),
        "evaluations priced": (f"{evaluations}?{priced}", 38),
        "evaluations blank": (f"/datasets/{world.blank.id}/evaluations/", 18),
        "evaluation": (f"{evaluations}{a.id}/", 18),
        "comparison": (f"{evaluations}compare/?a={a.id}&b={b.id}", 20),
        "comparison refused": (f"{evaluations}compare/?a={a.id}&b={b.id}&split=test", 18),
        "automation": (f"{evaluations}{b.id}/automation/?target=90", 40),
        "gold": (f"{base}gold/{gold.id}/", 18),
        "monitoring": (f"{base}monitoring/", 24),
        "monitoring blank": (f"/datasets/{world.blank.id}/monitoring/", 24),
    }


PARTS = {"cards"}
REFUSED = {"comparison refused"}


def _fill_in(page: Any) -> None:
    page.click("[formaction$='/prompts/'] >> nth=0")
    page.wait_for_selector(".qs pre")


def _mistake(page: Any) -> None:
    page.fill("#id_template", "{{ nothing }}")
    page.click("[formaction$='/prompts/'] >> nth=0")
    page.wait_for_selector("#errors")


def _guideline(page: Any) -> None:
    page.fill("#id_guidelines", f"{GUIDELINE}\n\nIf two fit, take the later one.")
    page.click("[formaction$='/guidelines/']")
    page.wait_for_selector(".diff ins")


def _tables(page: Any) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true; })")


ACTS = {
    "studio": (_fill_in, _mistake, _guideline),
    "studio preview": (_tables,),
    "monitoring": (_tables,),
}


@pytest.mark.parametrize(
    ("size", "language"), [(WIDE, "en"), (NARROW, "de")], ids=["wide", "narrow"]
)
def test_axe_finds_nothing(world: World, visit: Visit, size: dict[str, int], language: str) -> None:
    with world.site.inside():
        User.objects.update(language=language)
    page = world.open(visit, viewport=size, locale=language)
    found: list[str] = []
    for name, (path, _most) in paths(world).items():
        for number, act in enumerate((None, *ACTS.get(name, ()))):
            if name in PARTS:
                continue
            page.goto(world.site.url + path)
            if act is not None:
                act(page)
            found += look(page, f"{name} {number or ''}".strip(), size["width"])
    assert found == []


def test_no_page_asks_the_database_more_than_it_may(world: World) -> None:
    client, found = world.client(), []
    for name, (path, most) in paths(world).items():
        client.get(path)
        with CaptureQueriesContext(connection) as asked:
            answer = client.get(path)
        assert answer.status_code == (409 if name in REFUSED else 200), name
        if len(asked) > most:
            found.append(f"{name}: {len(asked)} > {most}")
    assert not found, "\n".join(found)


def test_cards_arrive_one_by_one_without_a_reload(world: World, visit: Visit) -> None:
    page = world.open(visit)
    dataset = world.measured.dataset
    page.goto(f"{world.site.url}/datasets/{dataset.id}/studio/?version={world.version.id}")
    page.select_option("#id_pick", "filter")
    page.fill("#id_shots", "1")
    page.fill("#id_template", "Tell me: {{ text }}")
    page.click(".ask-head .btn.main")
    page.wait_for_selector("#cards[data-poll]")
    assert page.locator("#cards [data-state=waiting]").count() == 5
    page.evaluate("() => { window.same = true; }")
    with enter(world.site.organization.id):
        job = Job.objects.newest_first().first()
        assert job is not None
        while run_slice(organization_id=world.site.organization.id, job_id=job.id):
            pass
    page.wait_for_selector("#cards:not([data-poll])", state="attached")
    assert page.evaluate("() => window.same")  # the page was never left
    assert page.locator("#cards article").count() == 5
    assert page.locator("#cards [data-state=waiting]").count() == 0
    assert page.input_value("#id_template") == "Tell me: {{ text }}"


def test_all_of_it_works_without_scripts(world: World, visit: Visit) -> None:
    page = world.open(visit, java_script_enabled=False)
    dataset = world.measured.dataset
    page.goto(f"{world.site.url}/datasets/{dataset.id}/studio/")
    page.fill("#id_template", "Say it: {{ text }}")
    page.get_by_role("button", name="Save version").click()
    page.get_by_role("button", name="Not used yet").or_(page.get_by_text("Not used yet")).wait_for()
    page.get_by_role("button", name="Try").click()
    page.get_by_role("link", name="Look again").click()
    page.goto(f"{world.site.url}/datasets/{dataset.id}/evaluations/")
    page.get_by_role("button", name="Show the price").click()
    page.get_by_role("button", name="Measure", exact=True).click()
    page.get_by_text("0 of").wait_for()
