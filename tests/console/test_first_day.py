"""The first day of a new organization, from sign-up to the progress of two people.

Real processes (web, worker, database, mail), real mails, two browsers; once with a mouse, and once
with nothing but a keyboard. A browser that complains of anything fails the test.
"""

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.core.test_up import running
from tests.factories import PASSWORD
from tests.mail_server import Mailbox, mail_server

pytestmark = pytest.mark.browser

ROWS = "text,mood\n" + "".join(
    f'"The {thing} came on time and does what it should, number {n}.",{("glad", "cross")[n % 2]}\n'
    for n, thing in enumerate(("kettle", "lamp", "radio", "clock", "chair", "table"))
)
MOST_TABS = 150


class Mouse:
    """Somebody who points at things."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def press(self, selector: str) -> None:
        self.page.locator(selector).first.click()

    def write(self, selector: str, text: str) -> None:
        self.page.locator(selector).first.fill(text)

    def choose(self, selector: str, words: str) -> None:
        self.page.locator(selector).first.select_option(label=words)

    def give(self, selector: str, file: Path) -> None:
        self.page.locator(selector).first.set_input_files(file)

    def answer(self, number: int) -> None:
        self.page.locator("#answer .opt").nth(number).click()
        self.page.locator("#answer [value=submit]").click()


class Keyboard(Mouse):
    """Somebody who goes from one thing to the next, and never sees a pointer."""

    def __init__(self, page: Any) -> None:
        super().__init__(page)
        # The browser is to hand over choosers from the start: being asked right before, it may not.
        page.on("filechooser", lambda _: None)

    def reach(self, selector: str) -> None:
        wanted = self.page.locator(selector).first
        wanted.wait_for(state="attached")
        for _ in range(MOST_TABS):
            if wanted.evaluate("one => one === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"{selector} is not reached with Tab on {self.page.url}")

    def press(self, selector: str) -> None:
        self.reach(selector)
        self.page.keyboard.press("Enter")

    def write(self, selector: str, text: str) -> None:
        self.reach(selector)
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(text)

    def choose(self, selector: str, words: str) -> None:
        self.reach(selector)
        self.page.keyboard.type(words)

    def give(self, selector: str, file: Path) -> None:
        self.reach(selector)
        with self.page.expect_file_chooser() as chooser:
            self.page.keyboard.press("Space")
        chooser.value.set_files(file)

    def answer(self, number: int) -> None:
        self.page.keyboard.press(str(number + 1))
        self.page.keyboard.press("Enter")


@dataclass
class Place:
    url: str
    mailbox: Mailbox

    def link_to(self, email: str) -> str:
        body = self.mailbox.to(email).get_body(("plain",))
        assert body is not None
        found = re.search(r"http\S+/invitations/\S+", body.get_content())
        assert found, body.get_content()
        return found[0]

    def code_of(self, email: str) -> str:
        body = self.mailbox.to(email).get_body(("plain",))
        assert body is not None
        found = re.search(r"^\s*([A-Z0-9]{3,}-?[A-Z0-9]{3,})\s*$", body.get_content(), re.MULTILINE)
        assert found, body.get_content()
        return found[1]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """An instance of its own that lets people sign up."""
    with mail_server() as mailbox, on_a_port(tmp_path_factory.mktemp("day"), mailbox) as url:
        yield Place(url, mailbox)


@contextmanager
def on_a_port(directory: Path, mailbox: Mailbox) -> Iterator[str]:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port: int = chosen.getsockname()[1]
    environment = {
        "SIGNUP": "open",
        "SITE_URL": f"http://127.0.0.1:{port}",
        "EMAIL_HOST": "127.0.0.1",
        "EMAIL_PORT": str(mailbox.port),
        "EMAIL_STARTTLS": "0",
    }
    with running(directory, port=port, **environment) as instance:
        yield instance.url


@pytest.fixture
def browser(chromium: Any) -> Iterator[Callable[[], Any]]:
    """Fresh browsers; in the end none may have complained."""
    contexts: list[Any] = []
    complaints: list[str] = []

    def opened() -> Any:
        context = chromium.new_context(
            reduced_motion="reduce", viewport={"width": 1280, "height": 800}
        )
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("response", lambda answer: answer.status >= 500 and complaints.append(answer.url))
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def sign_up(hand: Mouse, place: Place, email: str) -> None:
    page = hand.page
    page.goto(f"{place.url}/accounts/login/")
    hand.press("a[href*='/signup/']")
    page.wait_for_url("**/signup/**")
    hand.write("[name=email]", email)
    hand.write("[name=password1]", PASSWORD)
    hand.write("[name=password2]", PASSWORD)
    hand.press("form .btn.main")
    page.wait_for_selector("[name=code]")
    hand.write("[name=code]", place.code_of(email))
    hand.press("form .btn.main")
    page.wait_for_url("**/welcome/")


def settle(hand: Mouse) -> None:
    """Names for the organization and its first workspace; the list of what comes next."""
    hand.write("#name", "Nia & Friends")
    hand.press("main form .btn.main")
    hand.page.get_by_text("Name the first workspace").wait_for()
    hand.write("#name", "team")
    hand.press("main form .btn.main")
    hand.page.wait_for_selector("a.pick")


def invite(hand: Mouse, place: Place, email: str) -> str:
    page = hand.page
    page.goto(f"{place.url}/settings/members/")
    hand.press("main a[href$='/invite/']")
    page.wait_for_url("**/invite/")
    hand.write("#emails", email)
    hand.choose("fieldset select", "Annotator")
    hand.press("main section form .btn.main")
    page.wait_for_selector(".note.ok")
    return place.link_to(email)


def accept(hand: Mouse, link: str) -> None:
    hand.page.goto(link)
    assert "Nia & Friends" in hand.page.inner_text("h1")
    hand.write("[name=first_name]", "Kim")
    hand.write("[name=password]", PASSWORD)
    hand.press("main form .btn.main")
    hand.page.wait_for_selector(".console")


def upload(hand: Mouse, place: Place, file: Path) -> None:
    """A dataset of a file, which two people answer; the worker imports it."""
    page = hand.page
    page.goto(f"{place.url}/welcome/")
    hand.press("a.pick")
    page.wait_for_url("**/datasets/new/")
    hand.give("#file", file)
    hand.press("button[value=upload]")
    page.wait_for_url("**/columns/")
    hand.press(".btn.main[value=next]")
    page.wait_for_url("**/questions/")
    hand.press(".btn.main[value=next]")
    page.wait_for_url("**/finish/")
    hand.write("#min_submitted", "2")
    hand.press("button[value=create]")
    page.wait_for_selector("#job-progress a.btn.main")  # the page asks until the worker is done


def annotate(hand: Mouse, *, first: int) -> None:
    """All six records, one label after the other."""
    page = hand.page
    page.wait_for_url("**/annotate/**")
    for number in range(6):
        page.locator("#answer .opt").first.wait_for()
        page.wait_for_timeout(600)  # a press right after a record has come is a second one
        hand.answer((first + number) % 2)
    page.locator("#main .empty").wait_for()
    page.locator("#save-state[data-now=saved]").wait_for()


@pytest.mark.parametrize("kind", [Mouse, Keyboard])
def test_from_sign_up_to_the_progress_of_two(
    place: Place, browser: Callable[[], Any], tmp_path: Path, kind: type[Mouse]
) -> None:
    owner, guest = kind(browser()), kind(browser())
    names = [f"{name}-{uuid4().hex[:6]}@example.org" for name in ("nia", "kim")]
    sign_up(owner, place, names[0])
    settle(owner)
    link = invite(owner, place, names[1])
    accept(guest, link)
    file = tmp_path / "things.csv"
    file.write_text(ROWS)
    upload(owner, place, file)
    owner.press("#job-progress a.btn.main")
    annotate(owner, first=0)
    guest.page.goto(f"{place.url}/")
    guest.press("main a[href*='/annotate/']")
    annotate(guest, first=0)
    owner.page.goto(re.sub("annotate/.*", "progress/?all=1", owner.page.url))
    told = owner.page.inner_text("main")
    for text in ("Kim", "6 of 6"):
        assert text in told, told
    again = browser().request.get(link)
    assert again.status == 404
    assert "no longer holds" in again.text()
