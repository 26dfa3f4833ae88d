"""Review in a real browser: by keyboard alone, without JavaScript, accessible in every scheme."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.annotation.services import save_response
from apps.quality import review, talk
from apps.quality.models import (
    Adjudication,
    DatasetReview,
    Feedback,
    GuidelineGap,
    ReviewItem,
)
from apps.records.models import Record
from tests import factories
from tests.labeling.conftest import Site

pytestmark = pytest.mark.browser

Visit = Callable[..., Any]


def ranking(text: str) -> list[dict[str, Any]]:
    return [{"value": value, "rank": place} for place, value in enumerate(text, 1)]


SAID: dict[str, dict[str, Any]] = {
    "ana": {
        "sentiment": "positive",
        "genre": ["comedy", "drama"],
        "quality": 2,
        "order": ranking("abc"),
        "comment": "Beautifully shot lighthouse drama that outstays its welcome.",
        "entities": [
            {"start": 0, "end": 12, "label": "person"},
            {"start": 21, "end": 26, "label": "place"},
        ],
    },
    "bo": {
        "sentiment": "positive",
        "genre": ["drama"],
        "quality": 5,
        "order": ranking("bac"),
        "comment": "Beautifully shot chamber drama with a superb lead.",
        "entities": [{"start": 0, "end": 12, "label": "person"}],
    },
    "cy": {
        "sentiment": "negative",
        "genre": ["drama"],
        "quality": 4,
        "order": ranking("acb"),
        "comment": "Beautifully shot lighthouse drama that outstays its welcome.",
        "entities": [{"start": 4, "end": 12, "label": "person"}],
    },
}
NAMES = {"ana": ("Ana", "Neves"), "bo": ("Bo", "Lind"), "cy": ("Cyrus", "Tan")}


@pytest.fixture
def disputed(site: Site) -> Site:
    return dispute(site)


def dispute(site: Site) -> Site:
    """Three people answered three records; Mara, who reads the page, is an admin there."""
    with site.inside():
        site.member.role = "admin"
        site.member.save()
        workspace = site.dataset.workspace
        records = list(Record.objects.filter(dataset=site.dataset).in_order())[:3]
        DatasetReview.objects.create(dataset=site.dataset, random_percent=0)
        for name, values in SAID.items():
            first, last = NAMES[name]
            person = factories.make_member(
                workspace=workspace, username=name, first_name=first, last_name=last
            )
            wrapped = {key: {"value": value} for key, value in values.items()}
            for record in records:
                save_response(record=record, annotator=person, status="submitted", values=wrapped)
        talk.add_comment(record=records[0], author=person, text="He “wanted to love it” @mara.")
        talk.flag_record(record=records[0], member=person, note="Is this sarcasm?")
        ids = [record.id for record in records]
        review.refresh_records(dataset=site.dataset, record_ids=ids)
        assert ReviewItem.objects.count() == 3
    return site


def queue(site: Site) -> str:
    return f"{site.url}/datasets/{site.dataset.id}/review/"


def heading(page: Any, number: int) -> None:
    page.locator("h1", has_text=f"note-{number}").wait_for()


def asks_before_leaving(page: Any) -> bool:
    return page.evaluate(
        """() => {
            const leaving = new Event("beforeunload", { cancelable: true });
            dispatchEvent(leaving);
            return leaving.defaultPrevented;
        }"""
    )


def test_the_keyboard_alone_reviews_three_records(disputed: Site, visit: Visit) -> None:
    page = visit(queue(disputed))
    heading(page, 1)
    assert not asks_before_leaving(page)
    press = page.keyboard.press
    page.get_by_role("group", name="Sentiment").wait_for()
    press("k")
    for _ in range(5):
        press("k")
    press("2")  # sentiment: the minority's; on to the texts, on which nobody agrees
    press("1")
    press("w")
    page.keyboard.type("He would see it again: 2 to 1.")
    press("Control+Enter")
    heading(page, 2)
    press("r")
    page.keyboard.type("Please read it again.")
    assert asks_before_leaving(page), "a half-made decision is not lost"
    press("Escape")
    press("r")
    heading(page, 3)
    press("e")  # the texts: my own
    press("Control+a")
    page.keyboard.type("A lighthouse, beautifully shot.")
    press("Escape")
    press("g")
    page.keyboard.type("What of sarcasm?")
    press("Tab")
    press("Enter")
    page.get_by_text("The admins are told.").wait_for()
    press("g")
    press("c")
    page.keyboard.type("@ana see above")
    press("Tab")
    press("Enter")
    page.get_by_role("listitem").filter(has_text="@ana see above").wait_for()
    press("Control+Enter")
    page.get_by_text("Nothing waits for a review").wait_for()
    with disputed.inside():
        first = Adjudication.objects.get(record__external_id="note-1")
        assert first.note.startswith("He would see it again: 2 to 1.")
        assert first.values["sentiment"] == {"value": "negative"}
        sent = Feedback.objects.get(kind="returned")
        assert sent.note == "Please read it again."
        assert GuidelineGap.objects.get().text == "What of sarcasm?"
        assert talk.count_unread(sent.user) == (0, 3), "one of each record"
        third = Adjudication.objects.get(record__external_id="note-3")
        assert third.values["comment"] == {"value": "A lighthouse, beautifully shot."}


def test_a_page_that_stays_open_holds_its_record_on(disputed: Site, visit: Visit) -> None:
    page = visit()
    page.clock.install()
    with page.expect_request("**/review/*ahead=1*"):
        page.goto(queue(disputed))
        page.clock.run_for(1_000)
    page.wait_for_load_state("networkidle")
    with disputed.inside():
        nearly = timezone.now() + timedelta(seconds=30)
        ReviewItem.objects.filter(held_until__isnull=False).update(held_until=nearly)
    with page.expect_response("**/review/*ahead=1*"):
        page.clock.run_for(130_000)
    with disputed.inside():
        assert ReviewItem.objects.filter(held_until__gt=nearly).count() == 2


def test_the_next_record_is_there_before_it_is_asked_for(disputed: Site, visit: Visit) -> None:
    page = visit()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
    page.goto(queue(disputed))
    page.wait_for_load_state("networkidle")
    assert sum("ahead=1" in address for address in asked) == 1
    for box in page.locator("input[value=ambiguous]").all():
        box.check(force=True)
    asked.clear()
    page.route("**/review/", lambda route: route.abort())  # the line is gone for a while
    page.get_by_role("button", name="Accept").click()
    page.get_by_text("Your decision is still here").wait_for()
    heading(page, 1)
    assert page.locator("input[value=ambiguous]:checked").count() == 6
    page.unroute_all()
    page.get_by_role("button", name="Accept").click()
    heading(page, 2)
    page.get_by_text("Record note-1 is settled.").wait_for()
    assert not [one for one in asked if re.match(r"GET .*/review/(?!.*ahead=1)", one)]
    page.reload()
    heading(page, 2)
    with disputed.inside():
        decided = Adjudication.objects.get()
        assert decided.record.external_id == "note-1"


def test_without_javascript_the_page_is_a_form(disputed: Site, visit: Visit) -> None:
    page = visit(queue(disputed), java_script_enabled=False)
    page.locator("input[name='d.sentiment'][value=edit]").check(force=True)
    page.locator(".edit input[name='q.sentiment'][value=mixed]").check(force=True)
    page.locator("input[name='d.order'][value=edit]").check(force=True)
    page.locator("select[name='q.order']").first.select_option(index=3)
    page.locator("input[name='d.comment']").first.check(force=True)
    page.locator("label", has_text="Bo Lind").locator("input[type=radio][name$=layer]").check(
        force=True
    )
    assert page.locator(".layer:visible").count() == 1
    page.get_by_role("button", name="Accept").click()
    heading(page, 2)
    with disputed.inside():
        decided = Adjudication.objects.get()
        assert decided.values["sentiment"] == {"value": "mixed"}
        assert {item["rank"] for item in decided.values["order"]["value"]} <= {1, 2, 3}


def tell(site: Site) -> None:
    """Feedback and gaps for the pages that list them."""
    with site.inside():
        record = Record.objects.get(external_id="note-2", dataset=site.dataset)
        talk.report_gap(record=record, author=site.member, text="What of sarcasm?")
        closed = talk.report_gap(record=record, author=site.member, text="And irony?")
        talk.resolve_gap(gap=closed, member=site.member, resolution="Section 3 says it now.")
        for kind, after in (("changed", "negative"), ("returned", ""), ("confirmed", "positive")):
            before = {"sentiment": {"value": "positive"}, "comment": {"value": "a warm old song"}}
            decided = {"sentiment": {"value": after}, "comment": {"value": "a cold old song"}}
            Feedback.objects.create(
                record=record,
                dataset=site.dataset,
                user=site.member,
                kind=kind,
                before=before,
                after=decided if after else {},
                note="He would see it again, with the sound off.",
            )
