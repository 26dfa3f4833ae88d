"""The explore page in a real browser: by keyboard alone, a search as one types, many at once."""

from collections.abc import Callable
from typing import Any

import pytest

from apps.annotation.ingest import log_records
from apps.annotation.models import Response
from apps.annotation.services import save_response
from apps.datasets.models import Dataset, MetadataProperty, Question, VectorSettings
from apps.jobs.engine import run_slice
from apps.jobs.models import Job
from apps.organizations.models import Membership
from apps.quality.embeddings import DIMENSIONS, embed
from apps.records.inputs import RecordInput, SuggestionInput
from apps.records.models import Record
from tests import factories
from tests.labeling.conftest import Site

pytestmark = pytest.mark.browser

Visit = Callable[..., Any]
INTENTS = (
    ("lost_or_stolen_card", "My card was stolen in {0} on {1} evening, please block it."),
    ("lost_or_stolen_card", "I think my card got stolen in {0}, how do I freeze it?"),
    ("lost_or_stolen_card", "Somebody took my wallet on the tram in {0}, block all that is in it."),
    ("order_physical_card", "When does the new card that I ordered on {1} come to {0}?"),
    ("cash_withdrawal", "There are withdrawals in {0} on my statement since {1}."),
    ("exchange_rate", "Which exchange rate do I get in {0} on {1}?"),
    ("transfer_late", "The transfer of {1} to my friend in {0} has not arrived."),
)
PLACES = ("Paris", "Naples", "Porto", "Turin", "Basel", "Lyon", "Genoa", "Cork")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")


@pytest.fixture
def finding(site: Site) -> Dataset:
    return fill_bank(site)


def fill_bank(site: Site) -> Dataset:
    """Fifty-six requests of bank customers with vectors and suggestions; mara reviews."""
    with site.inside():
        Membership.objects.filter(id=site.member.id).update(role="reviewer")
        dataset = factories.make_dataset(
            site.dataset.workspace, name="bank-requests", questions=("genre",), required=()
        )
        options = [
            {"value": name, "text": name, "description": None}
            for name in dict.fromkeys(name for name, _ in INTENTS)
        ]
        settings = {"type": "label_selection", "options": options, "visible_options": None}
        intent = Question.objects.create(
            dataset=dataset, name="intent", title="Intent", required=True, settings=settings
        )
        Question.objects.filter(dataset=dataset, name="genre").delete()
        VectorSettings.objects.create(
            dataset=dataset, name="text", title="Text", dimensions=DIMENSIONS
        )
        for number, name in enumerate(("language", "length"), 1):
            kind = "terms" if name == "language" else "integer"
            MetadataProperty.objects.create(
                dataset=dataset,
                name=name,
                title=name.title(),
                number=number,
                settings={"type": kind},
            )
        _fill(dataset, intent)
        other = factories.make_member(
            workspace=dataset.workspace, first_name="Bo", last_name="Lindqvist"
        )
        for record in Record.objects.filter(dataset=dataset).in_order()[3:6]:
            values = {"intent": {"value": "lost_or_stolen_card"}}
            save_response(record=record, annotator=other, status="submitted", values=values)
    return dataset


def _fill(dataset: Dataset, intent: Question) -> None:
    texts = [
        (name, text.format(place, DAYS[number % len(DAYS)]))
        for number, place in enumerate(PLACES)
        for name, text in INTENTS
    ]
    vectors = embed([text for _, text in texts])
    items = [
        RecordInput(
            external_id=f"{1000 + 37 * number}",
            fields={"text": text},
            metadata={"language": "English" if number % 3 else "French", "length": len(text)},
            vectors={"text": vectors[number]},
            suggestions=[SuggestionInput(intent.id, name, 0.3 + number % 7 / 10, "m", "model")],
        )
        for number, (name, text) in enumerate(texts)
    ]
    log_records(dataset=dataset, items=items)


def page_of(site: Site, dataset: Dataset, query: str = "") -> str:
    return f"{site.url}/datasets/{dataset.id}/explore/{'?' if query else ''}{query}"


def opened(visit: Visit, url: str, **options: Any) -> Any:
    """The page; a machine that is busy may take its time."""
    page = visit(**options)
    page.set_default_timeout(20_000)
    page.goto(url)
    return page


def answers(site: Site) -> list[Response]:
    with site.inside():
        mine = Response.objects.filter(user=site.member).select_related("record")
        return list(mine.order_by("record_id"))


def work(site: Site) -> None:
    """Every job that waits, as a worker would do it."""
    with site.inside():
        waiting = list(Job.objects.unfinished().values_list("id", flat=True))
    for id in waiting:
        while run_slice(organization_id=site.organization.id, job_id=id):
            pass


def expect_count(page: Any, text: str) -> None:
    page.locator("[data-count]", has_text=text).wait_for()


def test_the_keyboard_alone_finds_and_answers_many(
    site: Site, visit: Visit, finding: Dataset
) -> None:
    page = opened(visit, page_of(site, finding))
    expect_count(page, "56 records")
    page.keyboard.press("/")
    page.keyboard.type("card stolen")
    page.wait_for_url("**q=card+stolen**")
    expect_count(page, "records")
    assert page.input_value("#eq") == "card stolen"
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Space")
    page.keyboard.press("Shift+J")
    page.keyboard.press("Shift+J")
    expect_count(page, "3 selected")
    page.keyboard.press("1")
    page.get_by_role("button", name="Submit 3").wait_for()
    page.keyboard.press("Enter")
    page.get_by_text("Waiting to begin").wait_for()
    assert "q=card+stolen" in page.url
    work(site)
    page.get_by_text("3 answers stored").wait_for()
    given = answers(site)
    assert {one.values["intent"]["value"] for one in given} == {"lost_or_stolen_card"}
    assert len(given) == 3
    page.keyboard.press("z")
    page.get_by_text("Taking it back").wait_for()
    work(site)
    page.get_by_text("3 answers are as they were before").wait_for()
    assert answers(site) == []


def test_all_that_match_take_their_suggestions(site: Site, visit: Visit, finding: Dataset) -> None:
    page = opened(visit, page_of(site, finding))
    page.get_by_label("French").check()
    expect_count(page, "19 records")
    page.keyboard.press("Escape")
    page.keyboard.press("Shift+A")
    expect_count(page, "All 19 selected")
    page.keyboard.press("y")
    page.get_by_role("button", name="Submit 19").click()
    page.get_by_text("Waiting to begin").wait_for()
    work(site)
    page.get_by_text("19 answers stored").wait_for()
    given = answers(site)
    assert len(given) == 19
    assert len({one.values["intent"]["value"] for one in given}) > 2


def test_likeness_by_keys_and_slider(site: Site, visit: Visit, finding: Dataset) -> None:
    page = opened(visit, page_of(site, finding))
    page.keyboard.press("j")
    page.keyboard.press("s")
    page.get_by_text("like 1000").wait_for()
    few = page.locator("#hits > .hit").count()
    page.locator("#cosine").focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    page.wait_for_url("**cosine=0.5**")
    page.wait_for_function(
        "(few) => document.querySelectorAll('#hits > .hit').length < few", arg=few
    )
    assert page.evaluate("() => document.activeElement.id") == "cosine"
    page.get_by_label("least").check()
    page.get_by_text("unlike 1000").wait_for()
    page.get_by_role("link", name="Stop comparing with 1000").click()
    expect_count(page, "56 records")
    page.go_back()
    page.get_by_text("unlike 1000").wait_for()


def test_the_list_grows_while_one_scrolls(site: Site, visit: Visit, finding: Dataset) -> None:
    page = opened(visit, page_of(site, finding))
    listed = "(n) => document.querySelectorAll('#hits > .hit').length === n"
    for steps, count in ((25, 50), (25, 56)):
        for _ in range(steps):
            page.keyboard.press("j")
        page.wait_for_function(listed, arg=count)
    assert page.locator("[data-more-hits]").count() == 0


def test_a_record_is_opened_and_the_way_back_leads_to_the_search(
    site: Site, visit: Visit, finding: Dataset
) -> None:
    page = opened(visit, page_of(site, finding, "q=stolen&mode=words"))
    page.keyboard.press("j")
    page.keyboard.press("o")
    page.get_by_role("heading", name="Record 1000").wait_for()
    page.get_by_role("link", name="Back to the results").click()
    expect_count(page, "16 records")


def test_a_changed_selection_is_said_before_anything_is_stored(
    site: Site, visit: Visit, finding: Dataset
) -> None:
    page = opened(visit, page_of(site, finding))
    page.locator("#hits input[name=record]").first.check()
    page.keyboard.press("2")
    page.get_by_role("button", name="Submit 1").wait_for()
    with site.inside():
        record = Record.objects.filter(dataset=finding).in_order()[0]
        save_response(record=record, annotator=site.member, status="discarded", values={})
    page.keyboard.press("Enter")
    page.get_by_text("This has changed since you looked").wait_for()
    with site.inside():
        assert not Job.objects.exists()
    page.route("**/answer/", lambda route: route.abort())
    page.locator("#hits input[name=record]").nth(1).check()
    page.unroute_all()
    page.locator("#hits input[name=record]").nth(2).check()
    page.get_by_role("button", name="Submit 2").wait_for()
    page.route("**/answer/", lambda route: route.abort())
    page.keyboard.press("Enter")
    page.get_by_text("Nothing was stored; try again").wait_for()
    page.unroute_all()
    page.route("**/explore/?*", lambda route: route.abort())
    page.get_by_label("French").check()
    page.locator("#explore[aria-busy=false]").wait_for()
    assert page.locator("#hits input[name=record]:checked").count() == 3
    page.unroute_all()
    page.route("**/answer/", lambda route: route.fulfill(status=403, body="No."))
    page.get_by_role("button", name="Discard").click()
    page.get_by_text("may no longer answer here").wait_for()
    assert page.locator("#hits input[name=record]:checked").count() == 3


def test_everything_works_without_a_script(site: Site, visit: Visit, finding: Dataset) -> None:
    page = opened(visit, page_of(site, finding), java_script_enabled=False)
    page.get_by_label("French").check()
    page.get_by_role("button", name="Filter", exact=True).click()
    page.get_by_label("Select all 19 matching").check()
    page.get_by_label("Each record’s own suggestion").check()
    page.get_by_role("button", name="Submit").click()
    page.get_by_role("button", name="Submit 19").click()
    page.get_by_text("Waiting to begin").wait_for()
    work(site)
    page.reload()
    page.get_by_text("19 answers stored").wait_for()
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Taking it back").wait_for()
    work(site)
    page.get_by_role("link", name="Look again").click()
    page.get_by_text("19 answers are as they were before").wait_for()


def test_views_are_kept_and_opened(site: Site, visit: Visit, finding: Dataset) -> None:
    page = opened(visit, page_of(site, finding, "q=stolen&mode=words"))
    page.get_by_role("button", name="Saved views").click()
    page.fill("#view-name", "Stolen ones")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    page.goto(page_of(site, finding))
    page.get_by_role("button", name="Saved views").click()
    page.get_by_role("link", name="Stolen ones").click()
    expect_count(page, "16 records")
