"""What goes wrong while somebody answers: they keep the answer, and are told what happened."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.annotation import distribution, services
from apps.annotation.models import Lease, Response
from apps.core.tenancy import enter
from apps.organizations.models import Membership
from apps.records.models import Record
from apps.workspaces.models import WorkspaceMembership
from tests import factories
from tests.labeling.conftest import Site, eventually
from tests.labeling.test_accessibility import violations
from tests.labeling.test_loop import (
    answer,
    break_line,
    heading,
    mend_line,
    ready,
    sign_in_elsewhere,
    state,
    words,
)

pytestmark = pytest.mark.browser

Visit = Callable[..., Any]
MINUTES = "02:00"


def colleague(site: Site) -> Membership:
    return factories.make_member(workspace=site.dataset.workspace, username="bob")


def look_again(page: Any) -> None:
    """What the browser says of a tab that is looked at again."""
    page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")


def test_a_hold_that_is_lost_is_told_and_the_answer_counts(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    ready(page)
    with site.inside():
        bob = colleague(site)
        Lease.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
        distribution.return_expired(site.dataset.id)
        leases = distribution.claim(dataset=site.dataset, annotator=bob, limit=2)
        assert [lease.record.external_id for lease in leases] == ["note-1", "note-2"]
    look_again(page)
    page.get_by_text("No longer held for you; your answer still counts").wait_for()
    answer(page, "mine")
    heading(page, 4)  # what waited is for others now
    state(page, "saved")
    with site.inside():
        (mine,) = Response.objects.filter(user=site.member)
        assert mine.values["comment"] == {"value": "mine"}
        assert not Lease.objects.filter(user=site.member, record__external_id="note-2").exists()


def test_a_hold_is_renewed_while_the_page_is_open(site: Site, visit: Visit) -> None:
    page = visit()
    page.clock.install()
    page.goto(site.annotate)
    heading(page, 1)
    ready(page)
    eventually(page, lambda: site.asking(Lease.objects.count)() == 3)
    soon = timezone.now() + timedelta(minutes=1)
    with site.inside():
        Lease.objects.update(expires_at=soon)
    page.clock.fast_forward(MINUTES)
    renewed = site.asking(lambda: Lease.objects.filter(expires_at__gt=soon).count())
    eventually(page, lambda: renewed() == 3)


def test_two_minutes_without_a_connection_lose_and_double_nothing(site: Site, visit: Visit) -> None:
    page = visit()
    page.clock.install()
    page.goto(site.annotate)
    heading(page, 1)
    ready(page)
    page.context.set_offline(True)
    for number in (1, 2, 3):
        heading(page, number)
        answer(page, f"words {number}")
        page.clock.fast_forward("00:40")
    page.get_by_text("Your answers are kept in this tab").wait_for()
    assert words(site) == []
    page.context.set_offline(False)
    heading(page, 4)
    state(page, "saved")
    assert words(site) == ["words 1", "words 2", "words 3"]


def test_an_empty_queue_goes_on_by_itself_once_a_record_is_free(site: Site, visit: Visit) -> None:
    with site.inside():
        bob = colleague(site)
        distribution.claim(dataset=site.dataset, annotator=bob, limit=10)
    page = visit()
    page.clock.install()
    page.goto(site.annotate)
    page.get_by_text("This page looks again by itself").wait_for()
    with page.expect_response("**/annotate/"):
        page.clock.fast_forward("00:06")  # nothing yet
    page.get_by_text("This page looks again by itself").wait_for()
    with site.inside():
        record = Record.objects.get(external_id="note-5")
        distribution.release(record_id=record.id, annotator=bob)
    page.clock.fast_forward("01:00")
    heading(page, 5)
    page.keyboard.press("d")
    state(page, "saved")


def test_a_session_that_ends_over_an_earlier_answer_keeps_it(site: Site, visit: Visit) -> None:
    with site.inside():
        record = Record.objects.get(external_id="note-1")
        values = {"sentiment": {"value": "mixed"}, "quality": {"value": 1}}
        services.save_response(
            record=record, annotator=site.member, status="submitted", values=values
        )
    page = visit(f"{site.annotate}?status=submitted")
    heading(page, 1)
    page.context.clear_cookies()
    answer(page, "thought again")
    page.get_by_text("Not saved: you are signed out.").wait_for()
    state(page, "failed")
    sign_in_elsewhere(site, page)
    assert page.input_value("textarea") == "thought again"
    page.locator("#errors").get_by_role("button", name="Try again").click()
    heading(page, 2)
    assert words(site) == ["thought again"]


def test_a_plain_form_after_the_session_shows_what_it_held(site: Site, visit: Visit) -> None:
    page = visit(site.annotate, java_script_enabled=False)
    page.check("[value=negative]", force=True)
    page.fill("textarea", "precious <b>words</b>")
    cookies = [cookie for cookie in page.context.cookies() if cookie["name"] != "sessionid"]
    page.context.clear_cookies()
    page.context.add_cookies(cookies)
    page.get_by_role("button", name="Submit").click()
    page.get_by_role("heading", name="You are signed out").wait_for()
    page.get_by_text("precious <b>words</b>", exact=True).wait_for()
    assert words(site) == []


def test_who_may_answer_no_longer_can_copy_the_answer(site: Site, visit: Visit) -> None:
    page = visit(site.annotate, bypass_csp=True)
    heading(page, 1)
    ready(page)
    with site.inside():
        WorkspaceMembership.objects.filter(membership=site.member).delete()
    answer(page)
    notice = page.locator("#notices .note", has_text="saving was refused")
    notice.get_by_text("precious words").wait_for()
    notice.get_by_text("Comment", exact=True).wait_for()
    assert violations(page) == []
    with site.inside():
        WorkspaceMembership.objects.create(workspace=site.dataset.workspace, membership=site.member)
    notice.get_by_role("button", name="Try again").click()
    state(page, "saved")
    assert words(site) == ["precious words"]


def begin(page: Any) -> None:
    """Answer all six questions and do not submit."""
    page.keyboard.press("2")
    for key in ("1", "3", "j", "4", "2", "1", "2"):
        page.keyboard.press(key)
    page.fill("textarea", "half a\nsentence")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("y")  # both suggested marks,
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("End")
    page.keyboard.press("2")  # and one more
    page.keyboard.press("Escape")


BEGUN = """() => {
    const data = new FormData(document.querySelector("#answer"));
    return [...data].filter(([name]) => name.startsWith("q.")).map(([name, text]) =>
        [name, name === "q.entities" ? Object.entries(JSON.parse(text)).sort() : text]);
}"""


@pytest.mark.parametrize("way", ["reload", "back"])
def test_what_was_begun_is_back_when_the_page_is(site: Site, visit: Visit, way: str) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    ready(page)
    begin(page)
    begun = page.evaluate(BEGUN)
    assert len(begun) == 11
    if way == "reload":
        page.reload()
    else:
        page.goto(site.url)
        held = site.asking(Lease.objects.count)
        eventually(page, lambda: held() == 0)  # all given back: the first comes first again
        page.goto(site.annotate)
    page.get_by_text("What you had begun here is back.").wait_for()
    heading(page, 1)
    state(page, "unsaved")
    assert page.evaluate(BEGUN) == begun
    assert page.locator(".sp-name:not(.ai)").count() == 3
    assert page.locator(".rank li .pos").all_inner_texts() == ["1", "2 =", "2 ="]
    page.keyboard.press("Control+Enter")
    # The page before gives its holds back while this one asks: the third may come first.
    others = page.locator("h1", has_text=re.compile("note-[23]"))
    others.wait_for()
    state(page, "saved")
    assert words(site) == ["half a\nsentence"]
    page.reload()
    others.wait_for()
    ready(page)
    assert page.get_by_text("What you had begun here is back.").count() == 0
    assert page.evaluate("() => sessionStorage.length") == 0


def test_two_tabs_of_one_person_answer_different_records_or_are_told(
    site: Site, visit: Visit
) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    ready(page)
    other = page.context.new_page()
    other.goto(site.annotate)
    heading(other, 1)
    ready(other)
    answer(other, "from the other tab")
    state(other, "saved")
    answer(page, "from the first tab")
    page.get_by_text("You had answered this record elsewhere meanwhile").wait_for()
    heading(page, 2)
    state(page, "saved")
    assert words(site) == ["from the first tab"]
    other.close()


def test_the_next_tab_does_not_send_what_another_one_sends(site: Site, visit: Visit) -> None:
    """Answers wait in the tab in which they were given: two tabs never send one of them twice."""
    page = visit(site.annotate)
    heading(page, 1)
    ready(page)
    break_line(page)
    answer(page)
    heading(page, 2)
    state(page, "failed")
    other = page.context.new_page()
    other.goto(site.annotate)
    other.locator("#save-state[data-now=saved]").wait_for()
    assert words(site) == []
    mend_line(page)
    page.locator("#notices").get_by_role("button", name="Try again").click()
    state(page, "saved")
    assert words(site) == ["precious words"]
    other.close()


def test_a_tab_that_closes_leaves_the_other_its_records(site: Site, visit: Visit) -> None:
    first = visit(site.annotate)
    heading(first, 1)
    ready(first)
    second = first.context.new_page()
    second.goto(site.annotate)
    heading(second, 1)
    ready(second)
    with first.expect_response("**/lease/"):
        second.close(run_before_unload=True)
    ready(first)
    with site.inside():
        held = Lease.objects.filter(user=site.member).values_list("record__external_id", flat=True)
        assert sorted(held) == ["note-1", "note-2", "note-3"]
        (taken,) = distribution.claim(dataset=site.dataset, annotator=colleague(site))
        assert taken.record.external_id == "note-4"
    first.goto(site.url)
    eventually(first, site.asking(lambda: not Lease.objects.filter(user=site.member).exists()))


def choose(page: Any, site: Site, name: str) -> None:
    page.goto(f"{site.url}/organizations/")
    with page.expect_navigation():
        page.get_by_role("button", name=name).first.click()


def test_another_organization_in_another_tab_is_told_and_left_again(
    site: Site, visit: Visit
) -> None:
    with enter(factories.make_organization("Beta").id):
        factories.make_member(email=site.email)
    page = visit()
    choose(page, site, "Acme")
    page.goto(site.annotate)
    heading(page, 1)
    ready(page)
    other = page.context.new_page()
    choose(other, site, "Beta")
    answer(page, "mine")
    page.get_by_text("You work in another organization now.").wait_for()
    state(page, "failed")
    with page.expect_popup() as popup:
        page.get_by_role("link", name="Choose this one in another tab").click()
    popup.value.get_by_role("heading", name="Where do you want to work?").wait_for()
    choose(popup.value, site, "Acme")
    page.bring_to_front()  # and what waits is sent by itself
    state(page, "saved")
    assert words(site) == ["mine"]
    page.goto(f"{site.annotate}?status=submitted")
    heading(page, 1)
    choose(other, site, "Beta")
    answer(page, "thought again")
    page.get_by_text("Not saved: you work in another organization now.").wait_for()
    choose(other, site, "Acme")
    page.locator("#errors").get_by_role("button", name="Try again").click()
    eventually(page, lambda: words(site) == ["thought again"])


def test_an_answer_taken_back_is_not_saved_and_outlives_a_reload(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    ready(page)
    answer(page, "mine")
    heading(page, 2)
    state(page, "saved")
    page.locator("h1").focus()
    page.keyboard.press("z")
    heading(page, 1)
    state(page, "unsaved")
    assert words(site) == []
    with page.expect_navigation():
        page.reload()
    page.get_by_text("What you had begun here is back").wait_for()
    heading(page, 1)
    assert page.input_value("textarea") == "mine"
