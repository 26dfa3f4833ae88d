"""The gate and its form in a real browser: by keyboard, without scripts, and for everybody."""

from collections.abc import Callable
from typing import Any

import pytest

from apps.drafts.editing import Edit, edit_draft
from apps.drafts.models import Draft
from apps.organizations.models import Membership
from apps.records.models import Record
from apps.users.models import User
from apps.workspaces.models import Workspace
from tests import factories
from tests.console.conftest import fill
from tests.console.test_draft_editing import make_rich, write_rich
from tests.console.test_drafts import TEXTS, write
from tests.console.test_screens import cookie_of, look
from tests.labeling.conftest import Site
from tests.labeling.test_accessibility import NARROW, WIDE

pytestmark = pytest.mark.browser
PHONE = {"width": 390, "height": 844}
Visit = Callable[..., Any]


@pytest.fixture
def drafts(site: Site, owner: Membership) -> list[Draft]:
    with site.inside():
        workspace = Workspace.objects.get(id=site.dataset.workspace_id)
        return write(fill(factories.make_dataset(workspace, name="reviews")))


@pytest.fixture
def rich(site: Site, owner: Membership) -> Draft:
    with site.inside():
        workspace = Workspace.objects.get(id=site.dataset.workspace_id)
        return write_rich(make_rich(workspace))


def open_page(site: Site, visit: Visit, owner: Membership, path: str, **options: Any) -> Any:
    page = visit(signed_in=False, **options)
    page.context.add_cookies([cookie_of(site, owner)])
    page.goto(site.url + path)
    return page


def gate(draft: Draft) -> str:
    return f"/datasets/{draft.dataset_id}/drafts/"


def form(draft: Draft) -> str:
    return f"{gate(draft)}{draft.id}/"


def test_a_draft_is_edited_and_accepted_by_keyboard_alone(
    site: Site, visit: Visit, owner: Membership, drafts: list[Draft]
) -> None:
    page = open_page(site, visit, owner, gate(drafts[0]))
    page.wait_for_selector("#gate .list > li.now")
    page.keyboard.press("j")
    assert page.evaluate("() => document.activeElement.id") == f"draft-{drafts[1].id}"
    page.keyboard.press("e")
    page.wait_for_selector("#draft-form textarea:focus")
    page.keyboard.press("Control+a")
    page.keyboard.type("The machine swallowed it, e, j, d and all.")
    page.keyboard.press("Control+Enter")
    page.get_by_text("1 draft is a record now.").wait_for()
    assert page.evaluate("() => document.activeElement.id") == f"draft-{drafts[2].id}"
    with site.inside():
        record = Record.objects.get(external_id=str(drafts[1].id))
        assert record.fields["text"] == "The machine swallowed it, e, j, d and all."
    page.keyboard.press("z")
    page.get_by_text("1 draft waits again").wait_for()
    page.keyboard.press("a")
    page.get_by_text("1 draft is a record now.").wait_for()
    page.keyboard.press("d")
    page.get_by_text("1 draft discarded.").wait_for()


def test_escape_leaves_and_asks_before_it_loses_anything(
    site: Site, visit: Visit, owner: Membership, drafts: list[Draft]
) -> None:
    page = open_page(site, visit, owner, form(drafts[2]) + "?state=waiting")
    page.wait_for_selector("#draft-form textarea:focus")
    page.keyboard.press("Escape")
    page.wait_for_selector(f"#draft-{drafts[2].id}.now")
    page.keyboard.press("e")
    page.wait_for_selector("#draft-form textarea:focus")
    page.keyboard.type("Oh. ")
    page.keyboard.press("Escape")
    page.get_by_text("Press Escape again to leave without it.").wait_for()
    assert page.locator("textarea").first.input_value() != TEXTS[2]
    page.keyboard.press("Control+s")
    page.get_by_text("The draft is changed.").wait_for()
    with site.inside():
        assert Draft.objects.get(id=drafts[2].id).fields["text"].startswith("Oh. ")


def test_what_is_wrong_has_the_focus_and_escape_still_asks(
    site: Site, visit: Visit, owner: Membership, drafts: list[Draft]
) -> None:
    page = open_page(site, visit, owner, form(drafts[0]))
    page.wait_for_selector("#draft-form textarea:focus")
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#errors:focus")
    page.keyboard.press("Escape")
    page.wait_for_selector("#unsaved:not([hidden])")
    page.keyboard.press("Escape")
    page.wait_for_selector(f"#draft-{drafts[0].id}.now")


@pytest.mark.parametrize("path", [gate, form], ids=["gate", "form"])
def test_every_command_does_something(
    site: Site,
    visit: Visit,
    owner: Membership,
    drafts: list[Draft],
    path: Callable[[Draft], str],
) -> None:
    page = open_page(site, visit, owner, path(drafts[0]))
    missing = page.evaluate(
        "() => import(document.querySelector('script[src$=\"shell.js\"]').src"
        ".replace('shell.js', 'keys.js')).then(keys => keys.missing())"
    )
    assert missing == []


def test_all_of_it_works_without_scripts(
    site: Site, visit: Visit, owner: Membership, rich: Draft
) -> None:
    page = open_page(site, visit, owner, gate(rich), java_script_enabled=False)
    page.get_by_role("link", name="Edit this").click()
    page.get_by_label("Text", exact=True).fill("Ada went to Rome. Ada liked it.")
    page.get_by_label("Message 3", exact=True).fill("And the weather?")
    page.get_by_label("Rank of C").select_option("2")
    page.get_by_label("Words of mark 2").fill("Rome")
    page.get_by_label("Label of mark 2").select_option("place")
    page.get_by_label("Pages").fill("many")
    page.get_by_role("button", name="Save and accept").click()
    page.get_by_text("A whole number, please.").first.wait_for()
    assert page.get_by_label("Message 3", exact=True).input_value() == "And the weather?"
    assert page.get_by_label("Rank of C").input_value() == "2:c"
    page.get_by_label("Pages").fill("12")
    page.get_by_role("button", name="Save and accept").click()
    page.get_by_text("1 draft is a record now.").wait_for()
    with site.inside():
        record = Record.objects.get(external_id=str(rich.id))
        assert record.fields["talk"][2] == {"role": "user", "content": "And the weather?"}
        assert record.metadata["pages"] == 12


@pytest.mark.parametrize(
    ("size", "language"),
    [(WIDE, "en"), (NARROW, "de"), (PHONE, "en")],
    ids=["wide", "narrow", "phone"],
)
def test_axe_finds_nothing(
    site: Site,
    visit: Visit,
    owner: Membership,
    drafts: list[Draft],
    rich: Draft,
    size: dict[str, int],
    language: str,
) -> None:
    with site.inside():
        User.objects.update(language=language)
        fields = {"text": TEXTS[0].replace("dinner", "lunch")}
        edit_draft(draft=drafts[0], edit=Edit(fields=fields, suggestions=[]), member=owner)
    page = open_page(site, visit, owner, gate(drafts[0]), viewport=size, locale=language)
    page.locator("details").first.locator("summary").click()
    found = look(page, "drafts edited", size["width"])
    page.goto(site.url + form(drafts[0]))
    found += look(page, "draft edited", size["width"])
    page.goto(site.url + form(rich))
    found += look(page, "draft", size["width"])
    page.locator("[name='field.text']").fill("")
    page.locator("[name='field.facts']").fill("{oops")
    page.locator("[name='m0']").fill("many")
    page.locator("button[value=save]").click()
    page.wait_for_selector("#errors:focus")
    found += look(page, "draft refused", size["width"])
    assert found == []
