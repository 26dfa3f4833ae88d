"""Progress and quality in a real browser: axe, widths, cells that open records, no scripts.

``SCREENS=folder`` leaves a picture of each.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from django.test import Client
from django.utils import timezone

from apps.annotation.ingest import log_records
from apps.annotation.models import Response
from apps.annotation.services import save_response
from apps.datasets.models import Dataset, Question
from apps.organizations.models import Membership
from apps.quality.models import Adjudication
from apps.records.inputs import RecordInput, SuggestionInput
from apps.records.models import Record
from apps.users.models import User
from apps.workspaces.models import Workspace
from tests import factories
from tests.console.conftest import BACKEND
from tests.console.test_screens import look
from tests.labeling.conftest import Site
from tests.labeling.test_accessibility import NARROW, WIDE

pytestmark = pytest.mark.browser

Visit = Callable[..., Any]
LABELS = ("positive", "negative", "mixed")
PEOPLE = ("Ana Neves", "Bo Lindqvist", "Cyrus Tan", "Mara Vidal")
RIGHT = (0.9, 0.85, 0.0, 0.95)  # who is never right says always the same
RECORDS, DONE = 48, 40
BROKEN = "<!doctype html><main><h1>An error's page</h1></main>"
SHOW, CSV = (re.compile(rf"{text} ?: Agreement") for text in ("Show the numbers", "CSV"))


@dataclass
class World:
    """Four people and a model; one of the people answers blindly."""

    site: Site
    owner: Membership
    dataset: Dataset
    people: list[Membership]

    def open(self, visit: Visit, **options: Any) -> Any:
        page = visit(signed_in=False, **options)
        client = Client()
        assert self.owner.user is not None
        client.force_login(self.owner.user, backend=BACKEND)
        value = client.cookies["sessionid"].value
        page.context.add_cookies([{"name": "sessionid", "value": value, "url": self.site.url}])
        return page

    def path(self, name: str, query: str = "") -> str:
        return f"{self.site.url}/datasets/{self.dataset.id}/{name}/{query}"


@pytest.fixture
def world(site: Site) -> World:
    with site.inside():
        workspace = Workspace.objects.get(id=site.dataset.workspace_id)
        owner = _member(workspace, "Olga Owner", role="owner")
        people = [_member(workspace, name) for name in PEOPLE]
        names = ("sentiment", "quality", "genre", "order", "comment")
        dataset = factories.make_dataset(
            workspace, name="banking77", questions=names, required=["sentiment"], min_submitted=3
        )
        _answer(dataset, people)
    return World(site, owner, dataset, people)


def _member(workspace: Workspace, name: str, **options: Any) -> Membership:
    first, last = name.split()
    email = f"{first.lower()}-{uuid4().hex[:8]}@example.com"
    return factories.make_member(
        workspace=workspace, first_name=first, last_name=last, email=email, **options
    )


def _answer(dataset: Dataset, people: list[Membership]) -> None:
    drawn = np.random.default_rng(7)
    questions = {one.name: one.id for one in Question.objects.filter(dataset=dataset)}

    def said(truth: int, right: float) -> int:
        return truth if drawn.random() < right else int(drawn.integers(0, 3))

    truths = [int(drawn.integers(0, 3)) for _ in range(RECORDS)]
    items = [
        RecordInput(
            fields={"text": f"My card was not accepted in shop {n}."},
            external_id=str(n),
            suggestions=[
                SuggestionInput(
                    questions["sentiment"], LABELS[said(truth, 0.8)], 0.8, "intent-v4", "model"
                )
            ],
        )
        for n, truth in enumerate(truths)
    ]
    log_records(dataset=dataset, items=items)
    records = list(Record.objects.filter(dataset=dataset).in_order())
    for number, record in enumerate(records[:DONE]):
        for place, person in enumerate(people):
            if place != number % 4:
                found = said(truths[number], RIGHT[place]) if RIGHT[place] else 0
                _save(record, person, found, number)
    for record in records[:6]:
        values = {"sentiment": {"value": LABELS[truths[int(record.external_id or 0)]]}}
        Adjudication.objects.create(
            record=record, dataset=dataset, values=values, decided_at=timezone.now()
        )


def _save(record: Record, person: Membership, found: int, number: int) -> None:
    order = [{"value": v, "rank": r} for r, v in enumerate(_options(record.dataset), 1)]
    values = {
        "sentiment": {"value": LABELS[found]},
        "quality": {"value": found + 1},
        "genre": {"value": ["comedy", "drama"][: 1 + found % 2]},
        "order": {"value": order if found else order[:1] + [{**o, "rank": 2} for o in order[1:]]},
    }
    save_response(record=record, annotator=person, status="submitted", values=values)
    moment = timezone.now() - timedelta(days=21 - number // 2, seconds=-9 * number)
    Response.objects.filter(record=record, user=person).update(inserted_at=moment)


def _options(dataset: Dataset) -> list[str]:
    question = Question.objects.get(dataset=dataset, name="order")
    return [option["value"] for option in question.options]


SCREENS = {
    "quality": ("quality", ""),
    "quality-ratings": ("quality", "?question=quality&days=all"),
    "quality-lists": ("quality", "?question=genre"),
    "quality-rankings": ("quality", "?question=order&days=90"),
    "quality-texts": ("quality", "?question=comment&days=7"),
    "progress": ("progress", ""),
    "progress-all": ("progress", "?days=all&all=1"),
}


def settle(page: Any) -> None:
    page.wait_for_function("() => !document.querySelector('[hx-trigger=load]')")


@pytest.mark.parametrize(
    ("size", "language"), [(WIDE, "en"), (NARROW, "de")], ids=["wide", "narrow"]
)
def test_axe_finds_nothing(world: World, visit: Visit, size: dict[str, int], language: str) -> None:
    with world.site.inside():
        User.objects.update(language=language)
    page = world.open(visit, viewport=size, locale=language)
    found: list[str] = []
    for name, (path, query) in SCREENS.items():
        page.goto(world.path(path, query))
        settle(page)
        found += look(page, name, size["width"])
    page.goto(f"{world.site.url}/people/{world.people[0].id}/")
    found += look(page, "person", size["width"])
    page.goto(world.path("quality"))
    settle(page)
    page.evaluate("() => document.querySelectorAll('details').forEach(d => { d.open = true; })")
    found += look(page, "quality-tables", size["width"])
    assert found == []


def test_a_cell_opens_its_records(world: World, visit: Visit) -> None:
    page = world.open(visit)
    page.goto(world.path("quality", "?question=sentiment"))
    settle(page)
    cell = page.locator("#card-pairs td a").first
    told = cell.get_attribute("title")
    assert told is not None
    differ = int(told.split(": ")[1].split(" ")[0])
    cell.click()
    page.wait_for_url("**/explore/**")
    assert page.locator("#hits > *").count() == min(differ, 25)
    assert page.locator("input[name='differ.sentiment']").is_checked()
    page.goto(world.path("quality", "?question=sentiment"))
    settle(page)
    cell = page.locator("#card-confusion td a").first
    n = int(cell.inner_text().split()[0])
    cell.click()
    page.wait_for_url("**/explore/**")
    assert page.locator("#hits > *").count() == min(n, 25)


def test_a_card_that_fails_says_so_and_can_be_asked_for_again(world: World, visit: Visit) -> None:
    page = world.open(visit)
    page.route("**/progress/?*card=daily*", lambda route: route.fulfill(status=500, body=BROKEN))
    page.route("**/progress/?*card=redundancy*", lambda route: route.abort())
    page.goto(world.path("progress"))
    for key in ("daily", "redundancy"):
        box = page.locator(f"#card-{key}")
        box.get_by_text("This could not be counted.").wait_for()
        assert box.locator("h2").count() == 1
    assert page.get_by_text("An error's page").count() == 0
    look(page, "progress-failed", 1280)
    page.unroute_all()
    page.locator("#card-daily").get_by_role("link", name="Try again").click()
    settle(page)
    page.locator("#card-daily svg.ch").wait_for()


def test_who_answers_blindly_is_named(world: World, visit: Visit) -> None:
    page = world.open(visit)
    page.goto(world.path("quality", "?question=sentiment"))
    settle(page)
    (note,) = page.locator("#card-people .note").all_inner_texts()
    assert note.startswith("One person seems to answer blindly")
    assert "Cyrus Tan (" in note
    assert not any(name in note for name in PEOPLE if name != "Cyrus Tan")


def test_all_of_it_works_without_scripts(world: World, visit: Visit) -> None:
    page = world.open(visit, java_script_enabled=False)
    page.goto(world.path("quality"))
    with page.expect_navigation():
        page.get_by_role("link", name=SHOW).click()
    assert page.locator("svg.ch").count() > 4
    page.select_option("#days", "7")
    page.select_option("#question", "quality")
    with page.expect_navigation():
        page.get_by_role("button", name="Show").click()
    assert "question=quality&days=7" in page.url
    page.get_by_role("link", name=SHOW).click()
    with page.expect_download() as download:
        page.get_by_role("link", name=CSV).click()
    assert download.value.suggested_filename == "banking77-agreement.csv"
