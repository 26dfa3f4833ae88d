"""Answering without waiting: the next record at once, and no answer lost on the way."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.test import Client
from django.utils import timezone

from apps.annotation import services
from apps.annotation.models import Lease, Response
from apps.datasets.models import Dataset, Question
from apps.events.models import Event
from apps.records.models import Record
from tests import factories
from tests.labeling.conftest import BACKEND, Site, eventually

pytestmark = pytest.mark.browser

Visit = Callable[..., Any]
STORED = "() => Object.keys(sessionStorage).filter((key) => key.startsWith('stoneware.outbox'))"


def heading(page: Any, number: int) -> None:
    page.locator("h1", has_text=f"note-{number}").wait_for()


def state(page: Any, name: str) -> None:
    page.locator(f"#save-state[data-now={name}]").wait_for()


def sign_in_elsewhere(site: Site, page: Any) -> None:
    """In another tab; what waits is sent when this one is looked at again, or by itself."""
    with page.expect_popup() as popup:
        page.get_by_role("link", name="Sign in in another tab").click()
    other = popup.value
    other.fill("[name=login]", site.email)
    other.fill("[name=password]", factories.PASSWORD)
    other.keyboard.press("Enter")
    other.get_by_role("heading", name="Hello, Mara Vidal").wait_for()
    other.close()
    page.bring_to_front()


def ready(page: Any) -> None:
    """Wait until the next records are there."""
    page.wait_for_load_state("networkidle")


def answer(page: Any, words: str = "precious words") -> None:
    """Both required questions and a text, then submit."""
    page.keyboard.press("1")
    page.keyboard.press("j")
    page.keyboard.press("5")
    page.fill("textarea", words)
    page.keyboard.press("Control+Enter")


def stored(site: Site) -> list[Response]:
    with site.inside():
        return list(Response.objects.select_related("record").order_by("record_id"))


def words(site: Site) -> list[str]:
    return [row.values.get("comment", {}).get("value", "") for row in stored(site)]


def events(site: Site, kind: str) -> int:
    with site.inside():
        return Event.objects.filter(kind=kind).count()


def break_line(page: Any) -> None:
    page.route("**/response/", lambda route: route.abort())


def mend_line(page: Any) -> None:
    page.unroute("**/response/")


def test_the_next_record_is_shown_before_anything_is_sent(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    ready(page)
    page.evaluate(
        """() => {
            window.log = [];
            const send = window.fetch;
            window.fetch = (...given) => { window.log.push("request"); return send(...given); };
            document.addEventListener("keydown", () => window.log.push("key"), true);
            new MutationObserver(() => {
                window.log.push(`shown ${document.querySelector("h1")?.textContent}`);
                requestAnimationFrame(() => window.log.push("painting"));
            }).observe(document.body, { childList: true });
        }"""
    )
    page.keyboard.press("d")
    heading(page, 2)
    state(page, "saved")
    log = page.evaluate("() => window.log")
    assert log[:4] == ["key", "shown Record note-2", "painting", "request"]


def test_two_records_are_ready_and_held(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    ready(page)
    with site.inside():
        assert Lease.objects.count() == 3
    page.context.set_offline(True)
    for number in (1, 2, 3):
        heading(page, number)
        answer(page, f"words {number}")
    page.get_by_role("heading", name="The next record is on its way").wait_for()
    assert page.locator("#save-state").inner_text().split() == ["Not", "saved", "3"]
    page.context.set_offline(False)
    heading(page, 4)
    state(page, "saved")
    assert words(site) == ["words 1", "words 2", "words 3"]
    assert page.evaluate(STORED) == []


def test_offline_and_back_loses_nothing_and_doubles_nothing(site: Site, visit: Visit) -> None:
    """The holds ran out meanwhile, and a colleague completed the first record."""
    page = visit(site.annotate)
    heading(page, 1)
    ready(page)
    page.context.set_offline(True)
    answer(page, "mine")
    heading(page, 2)
    page.get_by_text("Your answers are kept in this tab").wait_for()
    with site.inside():
        bob = factories.make_member(workspace=site.dataset.workspace, username="bob")
        Lease.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
        record = Record.objects.get(external_id="note-1")
        values = {"sentiment": {"value": "mixed"}, "quality": {"value": 1}}
        services.save_response(record=record, annotator=bob, status="submitted", values=values)
    page.context.set_offline(False)
    state(page, "saved")
    page.get_by_text("kept as an extra one").wait_for()
    assert sorted(words(site)) == ["", "mine"]
    assert events(site, "response.created") == 2
    assert events(site, "response.updated") == 0


def test_an_answer_whose_receipt_was_lost_is_saved_once(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    ready(page)

    def swallow(route: Any) -> None:
        route.fetch()  # it arrives, the receipt does not
        route.abort()

    page.route("**/response/", swallow)
    answer(page)
    heading(page, 2)
    page.get_by_text("No connection.").wait_for()
    mend_line(page)
    state(page, "saved")  # by itself
    assert words(site) == ["precious words"]
    assert (events(site, "response.created"), events(site, "response.updated")) == (1, 0)


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_broken_server_is_tried_again(site: Site, visit: Visit, status: int) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    ready(page)
    page.route("**/response/", lambda route: route.fulfill(status=status, body="no"))
    answer(page)
    heading(page, 2)
    page.get_by_text("something broke on our side").wait_for()
    mend_line(page)
    page.locator("#notices").get_by_role("button", name="Try again").click()
    state(page, "saved")
    assert words(site) == ["precious words"]


def test_unsaved_answers_survive_a_reload(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    ready(page)
    break_line(page)
    answer(page)
    heading(page, 2)
    assert len(page.evaluate(STORED)) == 1
    page.reload()
    mend_line(page)
    state(page, "saved")
    assert words(site) == ["precious words"]
    assert page.evaluate(STORED) == []


def test_leaving_is_questioned_only_while_something_is_unsaved(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    ready(page)
    questioned: list[str] = []
    page.on("dialog", lambda dialog: questioned.append(dialog.type))
    answer(page)
    heading(page, 2)
    state(page, "saved")
    page.reload()
    assert questioned == []
    ready(page)
    break_line(page)
    page.keyboard.press("d")
    state(page, "failed")
    page.reload()
    assert questioned == ["beforeunload"]


def test_signing_in_again_sends_what_was_answered(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    ready(page)
    page.context.clear_cookies()
    answer(page, "first")
    heading(page, 2)
    page.get_by_text("You are signed out.").wait_for()
    answer(page, "second")
    heading(page, 3)
    sign_in_elsewhere(site, page)
    state(page, "saved")
    assert words(site) == ["first", "second"]


def test_signing_out_leaves_nothing_behind(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    ready(page)
    break_line(page)
    answer(page)
    heading(page, 2)
    assert "precious" in str(page.evaluate("() => Object.values(sessionStorage)"))
    page.get_by_role("button", name=re.compile("account menu")).click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()
    assert (
        page.evaluate("() => [...Object.keys(sessionStorage), ...Object.keys(localStorage)]") == []
    )


def test_somebody_else_in_the_same_tab_sends_nothing_of_it(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    ready(page)
    break_line(page)
    answer(page)
    heading(page, 2)
    mend_line(page)
    with site.inside():
        bob = factories.make_member(
            workspace=site.dataset.workspace, username="bob", email=site.another_email()
        )
    client = Client()
    client.force_login(bob.user, backend=BACKEND)
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": site.url}
    page.context.add_cookies([cookie])
    page.goto("about:blank")
    page.goto(site.annotate)
    page.wait_for_load_state("networkidle")
    assert page.evaluate(STORED) == []
    with site.inside():
        assert not Response.objects.filter(user=bob).exists()


def test_undo_and_redo_across_records(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    for number in (1, 2, 3):
        heading(page, number)
        ready(page)
        answer(page, f"words {number}")
    heading(page, 4)
    state(page, "saved")
    page.keyboard.press("z")
    heading(page, 3)
    assert page.input_value("textarea") == "words 3"
    assert page.is_checked("[value=positive]")
    page.keyboard.press("z")
    heading(page, 2)
    assert words(site) == ["words 1"]
    page.keyboard.press("Shift+Z")
    heading(page, 3)
    state(page, "unsaved")  # itself taken back
    assert words(site) == ["words 1", "words 2"]
    page.keyboard.press("z")
    heading(page, 2)
    answer(page, "other words")
    heading(page, 3)
    state(page, "unsaved")
    page.keyboard.press("Shift+Z")  # something new was answered: nothing to do again
    page.get_by_text("nothing to take back").wait_for()
    assert words(site) == ["words 1", "other words"]


def test_what_is_not_sent_yet_is_taken_back_at_once(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    ready(page)
    break_line(page)
    answer(page, "one")  # on its way
    heading(page, 2)
    state(page, "failed")
    page.keyboard.press("2")
    page.keyboard.press("j")
    page.keyboard.press("4")
    for digit in "213":
        page.keyboard.press(digit)
    page.keyboard.press("Control+Enter")
    heading(page, 3)
    page.keyboard.press("1")
    page.keyboard.press("z")
    heading(page, 2)
    assert page.is_checked("[value=negative]")
    assert page.locator(".rank li .name").all_inner_texts() == ["B", "A", "C"]
    page.keyboard.press("Shift+Z")
    heading(page, 3)
    assert page.is_checked("[value=positive]")  # as it was left
    mend_line(page)
    page.locator("#notices").get_by_role("button", name="Try again").click()
    state(page, "unsaved")
    assert [row.values["sentiment"]["value"] for row in stored(site)] == ["positive", "negative"]


def test_undo_and_redo_without_javascript(site: Site, visit: Visit) -> None:
    page = visit(site.annotate, java_script_enabled=False)
    page.check("[value=negative]", force=True)
    page.check("[name='q.quality'][value='5']", force=True)
    page.get_by_role("button", name="Submit").click()
    heading(page, 2)
    page.locator("[data-undo]").click()
    heading(page, 1)
    page.get_by_text("Taken back.").wait_for()
    assert page.is_checked("[value=negative]")
    assert stored(site) == []


def test_two_contexts_race_for_one_record(site: Site, visit: Visit) -> None:
    """The same person in two browsers: both answers are kept, and the later one is told."""
    first, second = visit(site.annotate), visit(site.annotate)
    for page in (first, second):
        heading(page, 1)
        ready(page)
    answer(first, "the first")
    state(first, "saved")
    answer(second, "the second")
    second.get_by_text("You had answered this record elsewhere").wait_for()
    assert words(site) == ["the second"]
    state(second, "saved")
    second.keyboard.press("z")
    heading(second, 1)
    assert words(site) == ["the first"]


def test_two_people_are_never_given_the_same_record(site: Site, visit: Visit) -> None:
    with site.inside():
        bob = factories.make_member(
            workspace=site.dataset.workspace, username="bob", email=site.another_email()
        )
    client = Client()
    client.force_login(bob.user, backend=BACKEND)
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": site.url}
    first, second = visit(site.annotate), visit()
    second.context.add_cookies([cookie])
    second.goto(site.annotate)
    ended = "h1:is(:text('Nothing pending'), :text('That’s all'))"
    for _ in range(6):
        for page in (first, second):
            page.locator(f"#answer, {ended}").first.wait_for()
            if page.locator("#answer").count():
                ready(page)
                answer(page, "words")
    for page in (first, second):
        page.locator(ended).wait_for()
    with site.inside():
        counts = Record.objects.filter(status="completed").count()
        assert (counts, Response.objects.count()) == (6, 6)


def test_a_double_click_submits_once(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    ready(page)
    page.keyboard.press("1")
    page.keyboard.press("j")
    page.keyboard.press("5")
    page.get_by_role("button", name="Submit").dblclick()
    heading(page, 2)
    state(page, "saved")
    ready(page)
    heading(page, 2)
    assert len(stored(site)) == 1
    assert page.locator("#answer input:checked").count() == 0


def test_a_deleted_record_gives_the_answer_back(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    ready(page)
    with site.inside():
        Record.objects.filter(external_id="note-1").delete()
    answer(page)
    heading(page, 2)
    notices = page.locator("#notices")
    notices.get_by_text("This record was deleted meanwhile.").wait_for()
    notices.get_by_text("precious words").wait_for()
    answer(page, "goes on")
    heading(page, 3)
    notices.get_by_role("button", name="Forget it").click()
    state(page, "saved")
    assert words(site) == ["goes on"]


def test_a_changed_question_gives_the_answer_back(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    ready(page)
    with site.inside():
        options = [{"value": "fine", "text": "Fine", "description": None}]
        settings = {"type": "label_selection", "options": options, "visible_options": None}
        Question.objects.filter(name="sentiment").update(settings=settings)
        Dataset.objects.update(schema_version=F("schema_version") + 1)
    answer(page)
    heading(page, 2)
    page.keyboard.press("1")  # begun with the next one
    page.locator("#notices").get_by_role("button", name="Return to the record").click()
    heading(page, 1)
    assert page.input_value("textarea") == "precious words"
    page.check("[value=fine]", force=True)
    page.keyboard.press("Control+Enter")
    heading(page, 2)
    state(page, "saved")
    assert stored(site)[0].values["sentiment"] == {"value": "fine"}
    assert words(site) == ["precious words"]


def test_an_archived_dataset_keeps_the_answer_to_be_copied(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    ready(page)
    with site.inside():
        Dataset.objects.update(archived_at=timezone.now())
    answer(page)
    notices = page.locator("#notices")
    notices.locator("dd", has_text="precious words").wait_for()
    notices.get_by_role("button", name="Return to the record").click()
    notices.get_by_text("cannot be opened just now").wait_for()
    notices.get_by_role("button", name="Forget it").click()
    state(page, "saved")
    assert stored(site) == []


def test_a_question_that_is_gone_is_told_on_a_page_that_waits(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    ready(page)
    answer(page)
    heading(page, 2)
    state(page, "saved")
    page.goto(f"{site.annotate}?status=submitted")
    heading(page, 1)
    with site.inside():
        Question.objects.filter(name="comment").delete()
        Dataset.objects.update(schema_version=F("schema_version") + 1)
    page.fill("textarea", "other words")
    page.keyboard.press("Control+Enter")
    page.get_by_text("The questions were changed meanwhile").wait_for()
    page.get_by_text("other words").wait_for()


def test_a_question_that_is_gone_is_told(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    ready(page)
    with site.inside():
        Question.objects.filter(name="comment").delete()
        Dataset.objects.update(schema_version=F("schema_version") + 1)
    answer(page)
    heading(page, 2)
    page.get_by_text("The questions were changed meanwhile").wait_for()
    page.get_by_text("precious words").wait_for()
    assert stored(site)[0].values["quality"] == {"value": 5}


def test_a_page_that_is_left_and_comes_back_holds_its_record(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    ready(page)
    page.goto(site.url)
    held = site.asking(Lease.objects.count)
    eventually(page, lambda: held() == 0)
    page.go_back()
    page.locator("#answer").wait_for()
    ready(page)
    page.keyboard.press("d")
    state(page, "saved")
    (row,) = stored(site)
    assert row.status == "discarded"


def test_skipping_does_not_wait_either(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    heading(page, 1)
    ready(page)
    page.keyboard.press("n")
    heading(page, 2)
    ready(page)
    state(page, "saved")
    with site.inside():
        assert not Lease.objects.filter(record__external_id="note-1").exists()


UNITS = """async (base) => {
    const { Outbox, sweep } = await import(`${base}outbox.js`);
    const { History } = await import(`${base}history.js`);
    const memory = () => {
        const store = {};
        Object.defineProperties(store, {
            getItem: { value: (key) => store[key] ?? null },
            setItem: { configurable: true, value: (key, text) => { store[key] = text; } },
            removeItem: { value: (key) => { delete store[key]; } },
        });
        return store;
    };
    const found = {};

    { // in order, one at a time; pauses grow; what was sent is forgotten
        const store = memory(), sent = [], pauses = [];
        let later;
        const outcomes = ["network", "server", "network", "done", "done"];
        const box = new Outbox({
            store, owner: "me",
            send: async (entry) => { sent.push(entry.id); return outcomes.shift(); },
            timer: (run, pause) => { pauses.push(pause); later = run; return 0; },
        });
        box.push({ id: "a" });
        box.push({ id: "b" });
        await box.flush();
        found.trouble = box.trouble;
        await later(); await later(); await later();
        Object.assign(found, { sent, pauses, left: box.size, after: box.trouble });
        found.store = Object.keys(store);
    }
    { // another page of the tab goes on with what is stored; others' is swept away
        const store = memory();
        const box = new Outbox({ store, owner: "me", send: async () => "network", timer: () => 0 });
        box.push({ id: "a", body: "x" });
        await box.flush();
        store.setItem("stoneware.outbox.you", "[]");
        store.setItem("theirs", "1");
        sweep(store, "me");
        found.again = new Outbox({ store, owner: "me", send: async () => "done" }).entries;
        found.swept = Object.keys(store).sort();
    }
    { // a refused answer is parked, and lets the others pass; what was tried cannot be taken back
        const store = memory();
        let outcome = "refused";
        const send = async (entry) => (entry.id === "a" ? outcome : "done");
        const box = new Outbox({ store, owner: "me", send });
        box.push({ id: "a" });
        found.taken = [box.take("a")?.id, box.size];
        box.push({ id: "a" });
        box.push({ id: "b" });
        await box.flush();
        found.parked = [...box.parked, box.size, box.isDrained, box.take("a")];
        outcome = "done";
        await box.flush("a");
        found.unparked = [box.parked.size, box.size];
    }
    { // the undo stack
        const steps = new History();
        for (let n = 0; n < 25; n += 1) steps.push({ id: n });
        found.kept = [steps.past.length, steps.past[0].id];
        found.refused = steps.back(() => false);
        found.back = [steps.back(() => true).id, steps.back(() => true).id];
        found.forth = steps.forth().id;
        steps.pushAgain({ id: 23 });
        found.still = steps.undone.length;
        steps.push({ id: 99 });
        found.cleared = steps.forth();
    }
    { // a full storage loses nothing that memory has
        const store = memory();
        Object.defineProperty(store, "setItem", { value: () => { throw new Error("full"); } });
        const box = new Outbox({ store, owner: "me", send: async () => "done" });
        box.push({ id: "a" });
        await box.flush();
        found.full = box.size;
    }
    return found;
}"""


def test_the_outbox_and_the_undo_stack(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    source = page.locator("script[src*=annotate]").get_attribute("src")
    found = page.evaluate(UNITS, source.rpartition("/")[0] + "/")
    assert found == {
        "trouble": "network",
        "sent": ["a", "a", "a", "a", "b"],
        "pauses": [1000, 2000, 4000],
        "left": 0,
        "after": "",
        "store": [],
        "again": [{"id": "a", "body": "x", "tried": True}],
        "swept": ["stoneware.outbox.me", "theirs"],
        "taken": ["a", 0],
        "parked": [["a", "refused"], 1, True, None],
        "unparked": [0, 0],
        "kept": [20, 5],
        "refused": None,
        "back": [24, 23],
        "forth": 23,
        "still": 1,
        "cleared": None,
        "full": 0,
    }
