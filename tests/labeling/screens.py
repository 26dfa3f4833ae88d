"""Every screen once, in a world where each has something to show, and again where it is empty."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.template.loader import render_to_string
from django.test import Client
from django.utils import timezone

from apps.annotation.distribution import claim, release
from apps.annotation.services import save_response
from apps.billing.models import Invoice
from apps.billing.services import begin_subscription
from apps.core.tenancy import enter
from apps.datasets.models import Dataset
from apps.jobs.models import Job
from apps.organizations.models import Membership, Organization
from apps.organizations.volume import set_plan
from apps.records.models import Record
from apps.search.models import SavedView
from apps.workspaces.models import Workspace
from tests import factories
from tests.labeling.conftest import BACKEND, Site
from tests.labeling.test_explore_browser import fill_bank
from tests.labeling.test_review_browser import dispute, tell

Act = Callable[["World", Any], None]


@dataclass
class World:
    """What the addresses of ``SCREENS`` are made of, and who may be signed in."""

    site: Site
    notes: Dataset
    bank: Dataset
    blank: Dataset
    record: Record
    first: Record
    job: Job
    people: dict[str, Membership]
    invoice: Invoice

    def session(self, who: str) -> dict[str, Any]:
        """A cookie of a browser in which the person is signed in."""
        client = self.client(who)
        value = client.cookies["sessionid"].value
        return {"name": "sessionid", "value": value, "url": self.site.url}

    def client(self, who: str) -> Client:
        client = Client()
        user = self.people[who].user
        assert user is not None
        client.force_login(user, backend=BACKEND)
        return client

    def path(self, screen: "Screen") -> str:
        names = ("notes", "bank", "blank", "record", "first", "job")
        ids = {name: getattr(self, name).id for name in (*names, "invoice")}
        mara, bo = self.people["mara"].id, self.people["bo"].id
        pair = urlencode({"differ.sentiment": f"{mara}~{bo}"})
        workspace = self.notes.workspace_id
        return screen.path.format(**ids, bo=bo, pair=pair, workspace=workspace)

    def url(self, screen: "Screen") -> str:
        return self.site.url + self.path(screen)


def make_world(site: Site) -> World:
    """Mara manages notes that people disagree on, requests of a bank, and an empty dataset."""
    bank = fill_bank(site)
    dispute(site)
    tell(site)
    with site.inside():
        workspace = Workspace.objects.get(id=site.dataset.workspace_id)
        blank = factories.make_dataset(workspace, name="blank", questions=("sentiment", "comment"))
        factories.make_records(site.dataset, 6)
        Dataset.objects.filter(id=site.dataset.id).update(daily_quota=120, total_quota=400)
        SavedView.objects.create(dataset=bank, owner=site.member, name="Stolen", query="q=stolen")
        job = _fail(workspace, bank, site.member)
        _answer(site)
        annotator = Membership.objects.get(username="bo")
        record = Record.objects.get(external_id="note-1")
        first = Record.objects.filter(dataset=bank).in_order()[0]
        owner = _owner(site)
    people = {"mara": site.member, "bo": annotator, "newcomer": _newcomer(), "olga": owner}
    with site.inside():
        invoice = Invoice.objects.get()
    return World(site, site.dataset, bank, blank, record, first, job, people, invoice)


def _owner(site: Site) -> Membership:
    """Olga, who pays for the smallest plan by the month."""
    set_plan(organization=site.organization, plan="starter")
    begin_subscription(organization=site.organization)
    email = f"olga-{site.organization.slug}@example.com"
    return factories.make_member(
        role="owner", first_name="Olga", email=email, password=factories.PASSWORD
    )


def _fail(workspace: Workspace, dataset: Dataset, member: Membership) -> Job:
    """A bulk answer that left records out, for a manager to hear of."""
    return Job.objects.create(
        kind="bulk_answer",
        workspace=workspace,
        dataset_id=dataset.id,
        created_by=member,
        state="failed",
        finished_at=timezone.now() - timedelta(days=2),
        total=9,
        done=6,
        failed=3,
        params={"answer": {"status": "submitted"}, "expected": 9},
        error_sample=[{"error": "The record was deleted."}],
    )


def _answer(site: Site) -> None:
    """Mara has answered one, and drafted another."""
    for lease, status in zip(
        claim(dataset=site.dataset, annotator=site.member, limit=2),
        ("submitted", "draft"),
        strict=True,
    ):
        values = {"sentiment": {"value": "positive"}, "quality": {"value": 3}}
        save_response(record=lease.record, annotator=site.member, status=status, values=values)


def _newcomer() -> Membership:
    """Somebody in an organization without a dataset."""
    organization: Organization = factories.make_organization("Empty")
    with enter(organization.id):
        return factories.make_member(
            first_name="Nia", email=f"nia@{organization.slug}.example", password=factories.PASSWORD
        )


@dataclass(frozen=True)
class Screen:
    """``queries``: the most that the server may ask the database for it; None: not a page of it."""

    name: str
    path: str
    act: Act | None = None
    who: str = "mara"
    status: int = 200
    queries: int | None = None


# --- What is done on a screen before it is looked at ----------------------------------------------
def press(*keys: str, until: str) -> Act:
    """Keys, and the element that is there afterwards."""

    def act(world: World, page: Any) -> None:
        for key in keys:
            page.keyboard.press(key)
        page.locator(until).first.wait_for()

    return act


def click(selector: str, until: str) -> Act:
    def act(world: World, page: Any) -> None:
        page.locator(selector).first.click()
        page.locator(until).first.wait_for()

    return act


def _sign_in_wrongly(world: World, page: Any) -> None:
    page.fill("input[name=login]", "mara@example.com")
    page.fill("input[name=password]", "wrong")
    page.locator("form .btn.main").click()
    page.locator(".note.bad, .err").first.wait_for()


def _select(world: World, page: Any) -> None:
    for box in page.locator("#hits input[name=record]").all()[:4]:
        box.check()
    page.locator("#answer input[type=radio]").first.check(force=True)
    page.locator("#effect [data-answered='4']").wait_for(state="attached")


def _start_job(world: World, page: Any) -> None:
    _select(world, page)
    page.locator("#answer [value=submit]").click()
    page.locator("#job[data-poll]").wait_for()


def _decide_by_oneself(world: World, page: Any) -> None:
    page.locator("input[value=edit]").evaluate_all("all => all.forEach(e => e.click())")


def _clash(world: World, page: Any) -> None:
    page.locator("[name='key.answer.discard']").focus()
    page.keyboard.press("k")
    page.locator("#keyboard .btn.main").click()
    page.locator("#key-errors").wait_for()


def _fail_to_save(world: World, page: Any) -> None:
    page.route("**/response/", lambda route: route.abort())
    page.keyboard.press("d")
    page.locator("#save-state[data-now=failed]").wait_for()


def _load(world: World, page: Any) -> None:
    """The cards that come by themselves, one opened as a table."""
    page.locator("[hx-trigger=load]").first.wait_for(state="detached")
    page.wait_for_function("() => !document.querySelector('[hx-trigger=load]')")
    for details in page.locator("details.data").all()[:2]:
        details.evaluate("one => { one.open = true; }")


def _wait(world: World, page: Any) -> None:
    page.wait_for_load_state("networkidle")
    page.route("**/annotate/**", lambda route: route.abort())
    for _ in range(3):
        page.keyboard.press("d")
    page.locator("#main .empty").wait_for()


def _break(world: World, page: Any) -> None:
    """The page of an error on our side, which a test cannot wait for."""
    body = render_to_string("errors/500.html")
    page.route("**/broken/", lambda route: route.fulfill(status=500, body=body))
    page.goto(f"{world.site.url}/broken/")


def _hold_all(world: World, page: Any) -> None:
    with world.site.inside():
        for lease in claim(dataset=world.notes, annotator=world.site.member, limit=9):
            release(record_id=lease.record.id, annotator=world.site.member)
        workspace = Workspace.objects.get(id=world.notes.workspace_id)
        claim(dataset=world.notes, annotator=factories.make_member(workspace=workspace), limit=20)
    page.reload()


NOTES, BANK, BLANK = "/datasets/{notes}/", "/datasets/{bank}/", "/datasets/{blank}/"
ANNOTATE, EXPLORE, REVIEW = f"{NOTES}annotate/", f"{BANK}explore/", f"{NOTES}review/"

# The last ones use records up.
SCREENS = (
    Screen("sign in", "/accounts/login/", who="", queries=1),
    Screen("sign in: refused", "/accounts/login/", _sign_in_wrongly, who=""),
    Screen("sign in: member", "/accounts/login/member/", who="", queries=1),
    Screen("password: forgotten", "/accounts/password/reset/", who="", queries=1),
    Screen("password: sent", "/accounts/password/reset/done/", who="", queries=1),
    Screen("password: old link", "/accounts/password/reset/key/1-bad/", who="", queries=2),
    Screen("password: set", "/accounts/password/reset/key/done/", who="", queries=1),
    Screen("sign up", "/accounts/signup/", who="", queries=1),
    Screen("inactive", "/accounts/inactive/", who="", queries=1),
    Screen("error: not found", "/nowhere/", who="", status=404, queries=1),
    Screen("error: not allowed", REVIEW, who="bo", status=403, queries=9),
    Screen("error: ours", "/nowhere/", _break, who="", status=404),
    Screen("sign out", "/accounts/logout/", queries=3),
    Screen("own sign-in", "/accounts/2fa/", queries=10),
    Screen("own sessions", "/accounts/sessions/", queries=12),
    Screen("organizations", "/organizations/", queries=4),
    Screen("home", "/", queries=20),
    Screen("home: empty", "/", who="newcomer", queries=11),
    Screen("home: menu", "/", click("[popovertarget='account-menu']", "#account-menu")),
    Screen("palette: dialog", "/", press("Control+k", until="#palette-places a")),
    Screen("keys", "/", press("?", until="dialog[open]")),
    Screen("palette", "/search?q=note", queries=11),
    Screen("palette: nothing", "/search?q=qqqq", queries=11),
    Screen("datasets", "/datasets/", queries=11),
    Screen("datasets: empty", "/datasets/", who="newcomer", queries=8),
    Screen("datasets: nothing found", "/datasets/?q=qqqq", queries=10),
    Screen("preferences", "/me/", queries=6),
    Screen("preferences: wrong key", "/me/", _clash),
    Screen("feedback", "/feedback/", queries=12),
    Screen("feedback: empty", "/feedback/", who="newcomer", queries=10),
    Screen("progress", f"{NOTES}progress/", _load, queries=17),
    Screen("progress: empty", f"{BLANK}progress/", _load, queries=17),
    Screen("progress: all at once", f"{NOTES}progress/?all=1&days=all", queries=36),
    Screen("progress: own", f"{NOTES}progress/?all=1", who="bo", queries=34),
    Screen("export", f"{NOTES}export/", queries=14),
    Screen("quality", f"{NOTES}quality/?question=sentiment", _load, queries=10),
    Screen("quality: all at once", f"{NOTES}quality/?all=1&days=all", queries=60),
    Screen("quality: ratings", f"{NOTES}quality/?question=quality", _load),
    Screen("quality: spans", f"{NOTES}quality/?question=entities", _load),
    Screen("quality: rankings", f"{NOTES}quality/?question=order", _load),
    Screen("quality: texts", f"{NOTES}quality/?question=comment", _load),
    Screen("quality: empty", f"{BLANK}quality/", _load, queries=10),
    Screen("quality: differing", f"{NOTES}explore/?{{pair}}", queries=24),
    Screen("a person", "/people/{bo}/", queries=18),
    Screen("general", "/settings/general/", who="olga", queries=9),
    Screen("security", "/settings/security/", who="olga", queries=10),
    Screen("welcome", "/welcome/", who="olga", queries=12),
    Screen("members", "/settings/members/", who="olga", queries=17),
    Screen("members: invite", "/settings/members/invite/", who="olga", queries=18),
    Screen("member", "/settings/members/{bo}/", who="olga", queries=24),
    Screen("workspaces", "/settings/workspaces/", who="olga", queries=11),
    Screen("workspace", "/settings/workspaces/{workspace}/", who="olga", queries=12),
    Screen("api keys", "/settings/keys/", who="olga", queries=9),
    Screen("webhooks", "/settings/webhooks/", who="olga", queries=9),
    Screen("webhook: new", "/settings/webhooks/new/", who="olga", queries=9),
    Screen("plan", "/settings/plan/", who="olga", queries=22),
    Screen("plan: offer", "/settings/plan/?plan=large&period=yearly", who="olga", queries=23),
    Screen("usage", "/settings/usage/", who="olga", queries=22),
    Screen("invoice", "/settings/plan/invoices/{invoice}/", who="olga", queries=14),
    Screen("audit", "/settings/audit/", who="olga", queries=20),
    Screen("audit: nothing", "/settings/audit/?q=qqqq&kind=all", who="olga", queries=20),
    Screen("data", "/settings/data/", who="olga", queries=16),
    Screen("explore", EXPLORE, queries=19),
    Screen("explore: found", f"{EXPLORE}?q=card+stolen&mode=both", _select, queries=24),
    Screen("explore: like one", f"{EXPLORE}?like={{first}}&cosine=.4", queries=25),
    Screen("explore: filtered", f"{EXPLORE}?mine=pending&meta.language=French", queries=21),
    Screen("explore: nothing", f"{EXPLORE}?q=card+stolen&mode=words&mine=draft", queries=20),
    Screen("explore: wrong", f"{EXPLORE}?mode=magic&like=nonsense", queries=20),
    Screen("explore: empty", f"{BLANK}explore/", queries=14),
    Screen("explore: views", EXPLORE, click("[popovertarget=views]", "#views li")),
    Screen("explore: facets", f"{EXPLORE}#facets"),
    Screen("explore: job", f"{EXPLORE}jobs/{{job}}/", queries=13),
    Screen("explore: job begun", EXPLORE, _start_job),
    Screen("review", f"{REVIEW}?record={{record}}", queries=34),
    Screen("review: own", f"{REVIEW}?record={{record}}", _decide_by_oneself),
    Screen("review: refused", f"{REVIEW}?record={{record}}", click("#decision .main", "#errors")),
    Screen("review: blind", f"{REVIEW}?record={{record}}&blind=1", queries=34),
    Screen("review: nothing", f"{REVIEW}?reason=random", queries=17),
    Screen("review: empty", f"{BLANK}review/", queries=17),
    Screen("gaps", f"{NOTES}gaps/", queries=9),
    Screen("gaps: empty", f"{BLANK}gaps/", queries=9),
    Screen("comments", f"{NOTES}records/{{record}}/comments/", queries=24),
    Screen("annotate", ANNOTATE, queries=28),
    Screen("annotate: keys", ANNOTATE, press("?", until="dialog[open]")),
    Screen("annotate: answered", ANNOTATE, press("Shift+Y", "\\", until=".opt :checked")),
    Screen("annotate: wrong", ANNOTATE, press("Shift+Y", "x", "Enter", until="#errors")),
    Screen("annotate: drafts", f"{ANNOTATE}?status=draft", queries=28),
    Screen("annotate: no drafts", f"{BLANK}annotate/?status=draft", queries=28),
    Screen("annotate: no records", f"{BLANK}annotate/", queries=29),
    Screen("annotate: filtered", f"{ANNOTATE}?q=Turin&sort=-score.quality", queries=29),
    Screen("annotate: by metadata", f"{ANNOTATE}?meta.language=English&q=Turin", queries=29),
    Screen("annotate: nothing matches", f"{ANNOTATE}?q=qqqq&sort=nothing", queries=31),
    Screen("annotate: all answers", f"{ANNOTATE}?status=all&sort=oldest", queries=29),
    Screen("annotate: filters", f"{ANNOTATE}filter/?q=Turin", queries=14),
    Screen("annotate: choosing", ANNOTATE, press("Shift+F", until="#filter .facet")),
    Screen("annotate: told", ANNOTATE, press("d", "z", "z", until="#notices .note")),
    Screen("annotate: failed", ANNOTATE, _fail_to_save),
    Screen("annotate: waiting", ANNOTATE, _wait),
    Screen("annotate: held by others", ANNOTATE, _hold_all),
)
