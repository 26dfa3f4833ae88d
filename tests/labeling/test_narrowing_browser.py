"""A part of the queue in a real browser: the bar, its keys, prefetching, and without JavaScript."""

from collections.abc import Callable
from typing import Any

import pytest

from apps.annotation.models import Lease, Response
from apps.organizations.models import Membership, Role
from apps.records.models import Record
from tests.labeling.conftest import Site, eventually

pytestmark = pytest.mark.browser
Visit = Callable[..., Any]


def heading(page: Any) -> str:
    return str(page.locator("h1").first.text_content())


def wait_for(page: Any, name: str) -> None:
    page.locator("h1", has_text=name).wait_for()


def test_the_loop_stays_within_what_is_asked(site: Site, visit: Visit) -> None:
    """Skipped ones come round again only behind all others."""
    page = visit(f"{site.annotate}?sort=-score.quality&q=Turin")
    page.wait_for_load_state("networkidle")
    assert page.locator("#matching").text_content() == "1 of 6"
    page.keyboard.press("n")
    wait_for(page, "note-2")
    for number in (3, 4):
        page.keyboard.press("d")
        wait_for(page, f"note-{number}")
    page.locator("#matching", has_text="3 of 6").wait_for()
    for name in ("note-5", "note-6", "note-1"):
        page.wait_for_load_state("networkidle")
        page.keyboard.press("n")
        wait_for(page, name)
    assert "q=Turin" in page.url
    assert "sort=-score.quality" in page.url
    with site.inside():
        assert Response.objects.count() == 2


def test_filters_are_chosen_in_a_dialog_by_keyboard(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    page.wait_for_load_state("networkidle")
    page.keyboard.press("Shift+F")
    box = page.get_by_label("English", exact=False).first
    box.wait_for()
    box.focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.locator(".bar .tag", has_text="Language: English").wait_for()
    assert page.url.endswith("?meta.language=English")
    assert page.locator("#matching").text_content() == "1 of 6"
    page.locator(".bar .tag a").click()
    page.wait_for_url(site.annotate)
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "words"
    page.keyboard.type("nowhere")
    page.keyboard.press("Enter")
    wait_for(page, "No record here matches")
    page.get_by_text("Drop all filters: 6 records").click()
    wait_for(page, "note-1")


def test_undo_stays_within_what_is_asked(site: Site, visit: Visit) -> None:
    page = visit(f"{site.annotate}?q=Turin")
    page.keyboard.press("d")
    wait_for(page, "note-2")
    eventually(page, site.asking(lambda: Response.objects.count() == 1))
    page.keyboard.press("z")
    wait_for(page, "note-1")
    assert page.url.endswith("?q=Turin")


def test_a_filtered_queue_without_javascript(site: Site, visit: Visit) -> None:
    page = visit(f"{site.annotate}", java_script_enabled=False)
    page.fill("#words", "Turin")
    page.locator("#sort").select_option("-score.quality")
    with page.expect_navigation():
        page.get_by_role("button", name="Show").click()
    assert "q=Turin" in page.url
    page.locator("[data-opens=filter]").click()
    page.get_by_label("English", exact=False).first.check()
    with page.expect_navigation():
        page.get_by_role("button", name="Show").click()
    assert "meta.language=English" in page.url
    assert heading(page) == "Record note-1"
    page.get_by_role("button", name="Next record, without an answer").click()
    page.get_by_role("button", name="Next record, without an answer").click()
    assert heading(page) == "Record note-3"
    page.locator("[name=do][value=discard]").click()
    assert heading(page) != "Record note-3"
    assert "2 of 6" in page.locator(".bar").text_content()
    with site.inside():
        assert Lease.objects.count() <= 2


@pytest.mark.parametrize("query", ["", "?q=Turin&meta.language=English&sort=-score.quality"])
def test_the_bar_fits_a_phone(site: Site, visit: Visit, query: str) -> None:
    page = visit(f"{site.annotate}{query}", viewport={"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    for name in ("#queue", "#words", "[data-opens=filter]", "[data-go=next]"):
        assert page.locator(name).is_visible()


def test_keys_for_panes_and_places(site: Site, visit: Visit) -> None:
    with site.inside():
        Membership.objects.filter(pk=site.member.pk).update(role=Role.OWNER)
    page = visit(site.annotate)
    page.wait_for_load_state("networkidle")
    metadata, guidelines = page.locator("#metadata"), page.locator("#guidelines")
    page.keyboard.press("m")
    assert metadata.get_attribute("open") is None
    page.keyboard.press("\\")
    assert guidelines.get_attribute("open") is not None
    page.keyboard.press("d")
    wait_for(page, "note-2")
    assert metadata.get_attribute("open") is None, "as it was left"
    assert guidelines.get_attribute("open") is not None
    for key, name in (("m", "metadata"), ("g", "guidelines")):
        page.keyboard.press("g")
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.parentElement.id") == name
    for key, end in (("p", "/progress/"), ("r", "/review/"), ("b", "/explore/")):
        page.goto(site.annotate, wait_until="networkidle")
        page.keyboard.press("g")
        page.keyboard.press(key)
        page.wait_for_url(f"**{end}")


def test_a_field_is_copied(site: Site, visit: Visit) -> None:
    page = visit(site.annotate, permissions=["clipboard-read", "clipboard-write"])
    page.wait_for_load_state("networkidle")
    page.get_by_role("button", name="Copy").first.focus()
    page.keyboard.press("Enter")
    page.locator("#say", has_text="copied.").wait_for(state="attached")
    text = page.evaluate("() => navigator.clipboard.readText()")
    with site.inside():
        assert text == Record.objects.get(external_id="note-1").fields["text"]
