"""The annotate page in a real browser: by keyboard alone, without JavaScript, with a bad line."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import F

from apps.annotation.models import Lease, Response
from apps.datasets.models import Dataset, Question
from apps.organizations.models import Membership
from apps.users.models import User
from tests import factories
from tests.labeling.conftest import TEXT, Site, eventually

pytestmark = pytest.mark.browser

Visit = Callable[..., Any]


def heading(page: Any, number: int) -> None:
    page.locator("h1", has_text=f"note-{number}").wait_for()


def stored(site: Site, page: Any = None) -> list[Response]:
    """The answers, once those of ``page`` have arrived."""
    if page:
        page.locator("#save-state[data-now=saved]").wait_for()
    with site.inside():
        return list(Response.objects.select_related("record").order_by("record_id"))


def test_a_member_signs_in_and_continues(site: Site, visit: Visit) -> None:
    page = visit(site.url, signed_in=False)
    page.fill("[name=login]", site.email)
    page.fill("[name=password]", "wrong")
    page.keyboard.press("Enter")
    page.get_by_text("That didn’t work.").wait_for()
    assert page.input_value("[name=login]") == site.email
    page.fill("[name=password]", factories.PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Hello, Mara Vidal").wait_for()
    page.get_by_role("link", name="travel-notes: Start").click()
    heading(page, 1)
    page.get_by_role("button", name=re.compile("account menu")).click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()


def test_the_keyboard_alone_answers_several_records(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    for number in (1, 2, 3):
        heading(page, number)
        page.keyboard.press("2")  # sentiment: negative, and on to the genres
        page.keyboard.press("1")
        page.keyboard.press("3")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("4")  # quality 4, and on to the ranking
        for digit in "212":
            page.keyboard.press(digit)
        page.keyboard.press("Shift+Enter")
        page.keyboard.type("Well, 2 lines:")
        page.keyboard.press("Enter")
        page.keyboard.type(f"d and x are letters here {number}")
        page.keyboard.press("Escape")
        page.keyboard.press("j")
        page.keyboard.press("y")  # take both suggested spans
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Space")  # but not the second
        page.keyboard.press("Enter")
    heading(page, 4)
    answers = stored(site, page)
    assert [answer.status for answer in answers] == ["submitted"] * 3
    assert answers[2].values == {
        "sentiment": {"value": "negative"},
        "genre": {"value": ["comedy", "horror"]},
        "quality": {"value": 4},
        "order": {
            "value": [
                {"value": "b", "rank": 1},
                {"value": "a", "rank": 2},
                {"value": "c", "rank": 2},
            ]
        },
        "comment": {"value": "Well, 2 lines:\nd and x are letters here 3"},
        "entities": {"value": [{"label": "person", "start": 0, "end": 12}]},
    }


def test_keys_for_draft_discard_skip_and_back(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    page.keyboard.press("d")
    heading(page, 2)
    page.keyboard.press("1")
    page.keyboard.press("Control+s")
    heading(page, 3)
    page.keyboard.press("n")
    heading(page, 4)
    page.locator("#save-state[data-now=saved]").wait_for()
    page.keyboard.press("p")
    heading(page, 2)
    page.get_by_text("1 of 1").wait_for()
    assert page.is_checked("[value=positive]")
    assert [answer.status for answer in stored(site, page)] == ["discarded", "draft"]


def test_keys_take_and_clear_suggestions(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    page.keyboard.press("Shift+Y")
    assert page.is_checked("[value=positive]")
    assert page.is_checked("[value=drama]")
    assert page.input_value("textarea") == "A warm note."
    assert page.locator(".sp-name.ai").count() == 0
    page.keyboard.press("x")
    assert not page.is_checked("[value=positive]")
    page.keyboard.press("Backspace")
    heading(page, 1)
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("d")  # keys rest while the sheet is open
    page.keyboard.press("Escape")
    heading(page, 1)
    page.keyboard.press("\\")
    page.get_by_text("Read all of it.").wait_for()
    assert stored(site) == []


def test_ranking_by_keys(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")  # the ranking
    page.keyboard.press("ArrowDown")  # into it, option A
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Alt+ArrowUp")  # B first
    page.keyboard.press("Alt+ArrowUp")
    assert page.locator(".rank li .name").all_inner_texts() == ["B", "A", "C"]
    page.keyboard.press("ArrowDown")
    page.keyboard.press("t")  # A ties with B
    page.keyboard.press("ArrowDown")
    ranks = page.locator(".rank li .pos").all_inner_texts()
    assert ranks[:2] == ["1 =", "1 ="]
    page.keyboard.press("j")
    assert page.evaluate("() => document.querySelector('.q.now').dataset.type") == "text"


def test_spans_are_marked_by_keyboard_in_code_points(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    page.get_by_role("link", name="Entities").click()
    page.keyboard.press("Shift+Enter")  # into the text: "Ada" is selected
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("1")  # Ada Lovelace, person: the suggested span, now a person's own
    for _ in range(4):
        page.keyboard.press("ArrowRight")  # went, to, Turin, in (past the hat)
    page.keyboard.press("ArrowRight")
    assert page.evaluate("() => String(getSelection())") == "1840"
    page.keyboard.press("2")
    page.keyboard.press(",")
    assert page.evaluate("() => String(getSelection())") == "Turin"
    page.keyboard.press("1")  # not a place but a person, which takes its room
    page.keyboard.press("Escape")
    assert page.locator(".sp-name:not(.ai)").count() == 3
    page.keyboard.press("Control+s")
    heading(page, 2)
    (answer,) = stored(site, page)
    spans = answer.values["entities"]["value"]
    assert [(TEXT[s["start"] : s["end"]], s["label"]) for s in spans] == [
        ("Ada Lovelace", "person"),
        ("Turin", "person"),
        ("1840", "place"),
    ]


def test_spans_are_marked_by_mouse_and_removed(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    page.keyboard.press("1")
    page.keyboard.press("j")
    page.keyboard.press("5")
    word = page.get_by_text("theatre")
    box = word.evaluate(
        """(element) => {
            const range = document.createRange(), node = element.lastChild;
            range.setStart(node, node.data.indexOf("theatre"));
            range.setEnd(node, node.data.indexOf("theatre") + 7);
            return range.getBoundingClientRect().toJSON();
        }"""
    )
    page.mouse.dblclick(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.locator("[data-label=place]").click()
    assert page.locator(".sp-name:not(.ai)").get_attribute("data-text") == "Place"
    assert page.evaluate("() => document.querySelector('.q.now').dataset.type") == "span"
    page.keyboard.press("Enter")
    heading(page, 2)
    (answer,) = stored(site, page)
    (span,) = answer.values["entities"]["value"]
    assert TEXT[span["start"] : span["end"]] == "theatre"
    page.keyboard.press("p")
    heading(page, 1)
    page.get_by_role("link", name="Entities").click()
    page.keyboard.press("Shift+Enter")
    page.keyboard.press(".")
    page.keyboard.press(".")
    page.keyboard.press(".")
    page.keyboard.press("Delete")
    assert page.locator(".sp-name:not(.ai)").count() == 0


def test_spans_are_marked_by_mouse_after_undo(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    page.wait_for_load_state("networkidle")
    page.keyboard.press("d")
    heading(page, 2)
    page.keyboard.press("z")
    heading(page, 1)
    page.locator("[data-field=text]").evaluate(
        """(element) => {
            const range = document.createRange();
            range.selectNodeContents(element);
            range.setEnd(element.lastChild, 2);
            getSelection().removeAllRanges();
            getSelection().addRange(range);
            element.dispatchEvent(new PointerEvent("pointerup", { bubbles: true }));
        }"""
    )
    assert page.evaluate("() => document.querySelector('.q.now').dataset.type") == "span"


def test_the_search_keeps_the_focus_while_an_answer_is_tried_again(
    site: Site, visit: Visit
) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    page.keyboard.press("Control+Enter")
    page.get_by_text("2 answers need a look").wait_for()
    page.route("**/response/", lambda route: route.abort())
    page.keyboard.press("Control+Enter")
    page.get_by_text("Not saved: no connection").wait_for()
    page.focus("#words")
    with page.expect_event("requestfailed"):  # by itself
        page.keyboard.type("d")
    page.wait_for_timeout(100)
    assert page.evaluate("() => document.activeElement.id") == "words"
    assert page.input_value("#words") == "d"


def test_single_keys_can_be_switched_off(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    page.keyboard.press("?")
    page.get_by_role("link", name="Change the keys").click()
    page.get_by_label("Single-key shortcuts").select_option("off")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Saved.").wait_for()
    page.goto(site.annotate)
    page.keyboard.press("d")
    page.keyboard.press("1")
    assert not page.is_checked("[value=positive]")
    page.keyboard.press("d")
    heading(page, 1)
    assert stored(site) == []


def test_without_javascript_the_same_works_as_forms(site: Site, visit: Visit) -> None:
    page = visit(site.url, java_script_enabled=False)
    page.get_by_role("link", name="travel-notes: Start").click()
    page.check("[value=negative]", force=True)
    page.check("[value=comedy]", force=True)
    page.get_by_role("button", name="Submit").click()
    page.get_by_text("One answer needs a look").wait_for()
    assert page.is_checked("[value=negative]")
    assert page.is_checked("[value=comedy]")
    page.check("[name='q.quality'][value='5']", force=True)
    for option, rank in (("A", "2"), ("B", "1"), ("C", "2")):
        page.get_by_label(f"Rank of {option}").select_option(rank)
    page.fill("textarea", "Written\nwithout a script")
    page.check(".opt.span >> nth=0 >> input", force=True)
    page.get_by_role("button", name="Submit").click()
    heading(page, 2)
    page.get_by_role("button", name="Next record").click()
    heading(page, 3)
    page.locator("#queue").select_option("submitted")
    page.get_by_role("button", name="Show").click()
    heading(page, 1)
    (answer,) = stored(site)
    assert answer.values == {
        "sentiment": {"value": "negative"},
        "genre": {"value": ["comedy"]},
        "quality": {"value": 5},
        "order": {
            "value": [
                {"value": "b", "rank": 1},
                {"value": "a", "rank": 2},
                {"value": "c", "rank": 2},
            ]
        },
        "comment": {"value": "Written\nwithout a script"},
        "entities": {"value": [{"label": "person", "start": 0, "end": 12}]},
    }


def test_a_wrong_answer_is_said_first_and_kept(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    page.fill("textarea", "precious words")
    page.keyboard.press("Control+Enter")
    page.get_by_text("2 answers need a look").wait_for()
    assert page.evaluate("() => document.activeElement.id") == "errors"
    assert page.input_value("textarea") == "precious words"
    page.get_by_text("Unsaved", exact=True).wait_for()
    page.get_by_role("alert").get_by_role("link", name="Quality").click()
    page.keyboard.press("3")
    page.keyboard.press("k")
    page.keyboard.press("k")
    page.keyboard.press("k")
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    heading(page, 2)
    assert page.evaluate("() => document.activeElement.tagName") == "H1"
    page.locator("#say", has_text="Submitted. Record note-2").wait_for(state="attached")
    page.wait_for_load_state("networkidle")
    for number in (2, 3):  # each once, although it was ready before the server showed it
        heading(page, number)
        page.keyboard.press("d")
    heading(page, 4)
    assert [row.status for row in stored(site, page)] == ["submitted", "discarded", "discarded"]


def test_a_page_that_closes_gives_its_record_back(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    held = site.asking(Lease.objects.count)
    eventually(page, lambda: held() == 3)  # the one on the screen, and two ahead
    page.reload()
    page.wait_for_load_state("networkidle")
    eventually(page, lambda: held() == 3)
    page.goto(site.url)
    eventually(page, lambda: held() == 0)


def test_many_labels_by_two_digits_and_by_filter(site: Site, visit: Visit) -> None:
    options = [{"value": f"v{n}", "text": f"Label {n}", "description": None} for n in range(1, 31)]
    settings = {"type": "label_selection", "options": options, "visible_options": 5}
    with site.inside():
        Question.objects.filter(name="sentiment").update(settings=settings)
        Dataset.objects.update(schema_version=F("schema_version") + 1)
    page = visit(site.annotate)
    assert page.locator("#q1 .opt:visible").count() == 5
    page.keyboard.press("2")
    page.keyboard.press("7")
    assert page.is_checked("[value=v27]")
    page.keyboard.press("k")
    page.keyboard.press("3")
    page.locator("[value=v3]:checked").wait_for(state="attached")
    page.keyboard.press("k")
    page.keyboard.press("/")
    page.keyboard.type("label 30")
    assert page.locator("#q1 .opt:visible").count() == 1
    page.keyboard.press("Escape")
    page.get_by_role("button", name="25 more").click()


def test_every_tab_of_a_dataset_is_within_reach(site: Site, visit: Visit) -> None:
    with site.inside():
        Membership.objects.filter(id=site.member.id).update(role="owner")
        User.objects.filter(email=site.email).update(language="de")
    for width in (1700, 1440, 1280, 1240, 1100, 960):
        page = visit(site.annotate, viewport={"width": width, "height": 800}, locale="de")
        tabs = page.locator(".tabs").evaluate("(tabs) => [tabs.scrollWidth, tabs.clientWidth]")
        assert tabs[0] <= tabs[1], width
        last = page.locator(".tabs a").last
        assert last.inner_text() == "Einstellungen"
        last.click(trial=True)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width


def test_datasets_are_searched_while_typing(site: Site, visit: Visit) -> None:
    page = visit(f"{site.url}/datasets/")
    page.get_by_role("link", name="travel-notes", exact=True).wait_for()
    page.get_by_label("Search datasets").fill("nothing like it")
    page.get_by_text("No dataset has").wait_for()
    page.get_by_label("Search datasets").fill("travel")
    page.get_by_role("link", name="travel-notes", exact=True).wait_for()
    assert json.dumps(page.url).count("q=travel") == 1
