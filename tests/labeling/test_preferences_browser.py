"""Keys, looks, language and the palette in a real browser."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from apps.annotation.distribution import claim, release
from apps.annotation.models import Response
from apps.organizations.models import Membership
from apps.users.models import User
from apps.workspaces.models import Workspace
from tests import factories
from tests.labeling.conftest import Site

pytestmark = pytest.mark.browser

Visit = Callable[..., Any]


def heading(page: Any, number: int) -> None:
    page.locator("h1", has_text=f"note-{number}").wait_for()


def prefer(site: Site, **changes: Any) -> None:
    assert site.member.user is not None
    User.objects.filter(pk=site.member.user.pk).update(**changes)


def save_key(page: Any, site: Site, name: str, key: str) -> None:
    page.goto(f"{site.url}/me/")
    page.get_by_label(name, exact=True).first.focus()
    page.keyboard.press(key)
    page.get_by_role("button", name="Save the keys").click()


def test_a_remapped_key_works_and_the_old_one_does_nothing(site: Site, visit: Visit) -> None:
    page = visit()
    save_key(page, site, "discard", "q")
    page.get_by_text("Saved.").wait_for()
    page.goto(site.annotate)
    heading(page, 1)
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keyboard")
    assert sheet.locator("div", has_text=re.compile(r"^\s*Q\s*discard$")).count() == 1
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    page.keyboard.press("j")
    heading(page, 1)
    page.keyboard.press("q")
    heading(page, 2)


def test_a_key_that_is_off_does_nothing(site: Site, visit: Visit) -> None:
    page = visit()
    save_key(page, site, "discard", "Delete")
    page.get_by_text("Saved.").wait_for()
    assert page.get_by_label("discard", exact=True).first.input_value() == ""
    page.goto(site.annotate)
    page.keyboard.press("d")
    page.keyboard.press("y")
    heading(page, 1)
    assert page.is_checked("[value=positive]")
    with site.inside():
        assert not Response.objects.exists()


def test_a_taken_key_is_refused_where_it_stands(site: Site, visit: Visit) -> None:
    page = visit()
    save_key(page, site, "discard", "k")
    page.get_by_text("Nothing was saved yet.").wait_for()
    assert page.evaluate("() => document.activeElement.id") == "key-errors"
    field = page.get_by_label("discard", exact=True).first
    assert (field.input_value(), field.get_attribute("aria-invalid")) == ("k", "true")


def test_two_keys_one_after_the_other(site: Site, visit: Visit) -> None:
    prefer(site, shortcuts={"answer.discard": "g d"})
    page = visit(site.annotate)
    heading(page, 1)
    page.keyboard.press("g")
    page.keyboard.press("y")  # not what was begun: nothing is discarded, and y is itself
    heading(page, 1)
    page.keyboard.press("g")
    page.keyboard.press("d")
    heading(page, 2)


def test_keys_wait_for_the_form_where_that_was_chosen(site: Site, visit: Visit) -> None:
    prefer(site, single_keys="form")
    page = visit(site.annotate)
    heading(page, 1)
    page.evaluate("() => document.activeElement.blur()")
    page.keyboard.press("y")
    assert not page.is_checked("[value=positive]")
    page.locator(".q").first.focus()
    page.keyboard.press("y")
    assert page.is_checked("[value=positive]")


def test_input_methods_and_text_fields_keep_their_keys(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    page.evaluate(
        "() => document.body.dispatchEvent(new KeyboardEvent('keydown',"
        " {key: 'd', code: 'KeyD', bubbles: true, isComposing: true}))"
    )
    page.keyboard.press("Shift+Enter")
    page.locator("textarea").first.focus()
    page.keyboard.type("d?xn")
    heading(page, 1)
    assert page.locator("textarea").first.input_value() == "d?xn"
    assert page.locator("dialog[open]").count() == 0


def test_a_sign_behind_altgr_or_shift_is_the_sign(site: Site, visit: Visit) -> None:
    """The backslash of a German keyboard, and its slash, which is on a digit."""
    page = visit(site.annotate)
    heading(page, 1)
    page.evaluate(
        "() => document.body.dispatchEvent(new KeyboardEvent('keydown', {key: '\\\\',"
        " code: 'Minus', bubbles: true, ctrlKey: true, altKey: true, modifierAltGraph: true}))"
    )
    page.get_by_text("Read all of it.").wait_for()


def press_as(page: Any, key: str, code: str, **modifiers: bool) -> None:
    """A key of a keyboard with other letters."""
    page.evaluate(
        "(given) => document.body.dispatchEvent(new KeyboardEvent('keydown', given))",
        {"key": key, "code": code, "bubbles": True, "cancelable": True, **modifiers},
    )


def test_letters_of_other_scripts_go_by_their_place(site: Site, visit: Visit) -> None:
    """Those of a Russian, a Greek and a Hebrew keyboard, unless somebody chose one of them."""
    page = visit()
    page.goto(f"{site.url}/me/")
    page.get_by_label("discard", exact=True).first.fill("ф")  # stands where Latin has an A
    page.get_by_role("button", name="Save the keys").click()
    page.get_by_text("Saved.").wait_for()
    page.goto(site.annotate)
    heading(page, 1)
    press_as(page, "Δ", "KeyD")  # is no longer discard
    press_as(page, "Ф", "KeyA", shiftKey=True)  # another key than the chosen one
    press_as(page, "Υ", "KeyY", shiftKey=True)
    assert page.is_checked("[value=positive]")
    press_as(page, "ы", "KeyS", ctrlKey=True)
    heading(page, 2)
    press_as(page, "ט", "KeyY")
    assert page.is_checked("[value=positive]")
    press_as(page, "ф", "KeyA")
    heading(page, 3)


def test_the_sheet_is_searched_and_every_command_does_something(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    missing = page.evaluate(
        "() => import(document.querySelector('script[src$=\"shell.js\"]').src"
        ".replace('shell.js', 'keys.js')).then(keys => keys.missing())"
    )
    assert missing == []
    page.keyboard.press("?")
    page.keyboard.type("discard")
    shown = page.locator("#keys dl > div:visible")
    assert shown.count() == 1
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0


def test_the_theme_is_there_from_the_first_byte(site: Site, visit: Visit) -> None:
    page = visit(f"{site.url}/me/", color_scheme="light")
    background = "() => getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.get_by_label("Theme").select_option("dark")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Saved.").wait_for()
    assert page.evaluate(background) != light
    plain = visit(site.url, color_scheme="light", java_script_enabled=False)
    assert plain.locator("html[data-theme=dark]").count() == 1
    assert plain.locator("meta[name=color-scheme]").get_attribute("content") == "dark"


def test_a_german_page(site: Site, visit: Visit) -> None:
    page = visit(f"{site.url}/me/")
    page.get_by_label("Language", exact=True).select_option("de")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("heading", name="Einstellungen", exact=True).wait_for()
    page.goto(site.annotate)
    page.get_by_role("button", name="Absenden").wait_for()
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Tastatur").wait_for()
    browser = visit(f"{site.url}/accounts/login/", signed_in=False, locale="de-DE")
    browser.get_by_role("heading", name="Anmelden").wait_for()


def test_the_palette_leads_on_by_keyboard(site: Site, visit: Visit) -> None:
    page = visit(site.url)
    page.get_by_role("heading", name="Hello, Mara Vidal").wait_for()
    page.keyboard.press("Control+k")
    page.get_by_label("Dataset, record, page or action").wait_for()
    page.keyboard.type("pref")
    page.locator("#palette-places li").nth(1).wait_for(state="detached")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Preferences").wait_for()
    page.goto(site.url)
    page.keyboard.press("Control+k")
    page.get_by_label("Dataset, record, page or action").wait_for()
    page.keyboard.type("pref")
    page.keyboard.press("Enter")  # before the list has followed
    page.get_by_role("heading", name="Preferences").wait_for()
    page.keyboard.press("Control+k")
    page.locator("#palette-places a", has_text="Annotate travel-notes").wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    plain = visit(site.url, java_script_enabled=False)
    plain.get_by_role("link", name="Go to …").click()
    plain.get_by_role("link", name="Annotate travel-notes").click()
    heading(plain, 1)


def test_a_queue_that_others_hold_goes_on_by_itself(site: Site, visit: Visit) -> None:
    with site.inside():
        other = factories.make_member(workspace=Workspace.objects.get())
        held = claim(dataset=site.dataset, annotator=other, limit=6)
    page = visit()
    page.clock.install()
    page.goto(site.annotate)
    page.get_by_text("with colleagues now").wait_for()
    with site.inside():
        release(record_id=held[0].record.id, annotator=Membership.objects.get(pk=other.pk))
    page.clock.run_for(6_000)
    heading(page, 1)
