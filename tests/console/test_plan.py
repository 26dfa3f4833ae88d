"""The pages of plan, invoices and usage, over plain HTTP and in a browser."""

import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from apps.billing import usage
from apps.billing.models import Invoice, Subscription, UsageMonth
from apps.billing.services import begin_subscription, note_failure, settle_invoice
from apps.core import tallies
from apps.core.errors import LimitReachedError
from apps.datasets.models import Dataset
from apps.labeling.views.errors import forbidden
from apps.organizations.models import Membership, Organization, RecordVolume
from apps.organizations.volume import set_plan
from apps.records.models import DatasetCounter
from apps.users.models import User
from apps.workspaces.models import Workspace
from tests import factories
from tests.billing.conftest import bill
from tests.billing.test_usage import spend
from tests.console.test_screens import look
from tests.labeling.conftest import BACKEND, Site
from tests.labeling.test_accessibility import NARROW, WIDE

PLAN, USAGE = "/settings/plan/", "/settings/usage/"


@pytest.fixture
def hosted(organization: Organization) -> Invoice:
    set_plan(organization=organization, plan="base")
    begin_subscription(organization=organization)
    return Invoice.objects.get()


def text_of(response: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def test_the_page_says_where_one_is(client: Client, hosted: Invoice) -> None:
    RecordVolume.objects.update(records=2_460_000)
    page = client.get(PLAN)
    text = text_of(page)
    assert page.status_code == 200
    for said in ("Base, paid monthly.", "2.46 M of 3 M", "82 % of your records", "€590", "€240"):
        assert said in text, said
    assert "Too small: you have 2.46 M." in text
    assert hosted.name in text
    yearly = text_of(client.get(f"{PLAN}?period=yearly"))
    assert "€6,372" in yearly
    assert "€2,592" in yearly


def test_self_hosted_has_no_plans_to_choose(client: Client) -> None:
    text = text_of(client.get(PLAN))
    assert "without limits" in text
    assert "Change plan" not in text


def test_a_change_costs_what_was_shown(client: Client, hosted: Invoice) -> None:
    page = client.get(PLAN, {"plan": "large", "period": "monthly"})
    offer = page.context["offer"]
    assert "To pay today" in text_of(page)
    given = {"plan": "large", "period": "monthly", "cents": str(offer.due)}
    moved = client.post(reverse("console:plan_change"), given)
    assert moved.status_code == 302
    assert "The plan has changed." in text_of(client.get(moved["Location"]))
    assert Organization.objects.get().plan == "large"
    assert Invoice.objects.newest_first()[0].total_cents == offer.due == 40_000


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"plan": "large", "period": "monthly", "cents": "1"}, 409),
        ({"plan": "large", "period": "monthly", "cents": "x"}, 409),
        ({"plan": "large", "period": "monthly"}, 409),
        ({"plan": "large", "period": "weekly", "cents": "1"}, 422),
        ({"plan": "gold", "period": "monthly", "cents": "1"}, 422),
        ({"plan": "base", "period": "monthly", "cents": "0"}, 422),
        ({"plan": "self_hosted", "period": "monthly", "cents": "0"}, 422),
        ({}, 422),
    ],
)
def test_nothing_is_changed_by_what_is_wrong(
    client: Client, hosted: Invoice, given: dict[str, str], status: int
) -> None:
    assert client.post(reverse("console:plan_change"), given).status_code == status
    assert (Subscription.objects.count(), Invoice.objects.count()) == (1, 1)
    assert Organization.objects.get().plan == "base"


@pytest.mark.parametrize("query", ["plan=gold", "plan=base&period=monthly", "plan=large&period=x"])
def test_no_price_for_what_cannot_be_chosen(client: Client, hosted: Invoice, query: str) -> None:
    page = client.get(f"{PLAN}?{query}")
    assert page.status_code == 422
    assert "Nothing was changed." in text_of(page)


def test_an_invoice_is_read_and_taken_along(client: Client, hosted: Invoice, settings: Any) -> None:
    settings.INVOICE_ISSUER = "Pottery <b>Ltd</b>\nKiln Lane 1"
    Invoice.objects.update(recipient="<script>alert(1)</script>")
    page = client.get(reverse("console:invoice", args=[hosted.id]))
    assert "€590.00" in text_of(page)
    assert b"<script>alert(1)" not in page.content
    assert b"Pottery &lt;b&gt;" in page.content
    file = client.get(reverse("console:invoice_file", args=[hosted.id]))
    assert file["Content-Disposition"] == f'attachment; filename="{hosted.name}.html"'
    assert b"data:text/css;base64," in file.content
    assert b"<script" not in file.content
    assert client.get(reverse("console:invoice", args=[uuid4()])).status_code == 404


def test_without_a_collector_there_is_nowhere_to_pay(client: Client, hosted: Invoice) -> None:
    page = client.get(reverse("console:invoice", args=[hosted.id]))
    assert "Please pay until" in text_of(page)
    assert "Pay online" not in text_of(page)
    assert client.post(reverse("console:invoice_pay", args=[hosted.id])).status_code == 200


def test_who_may_look_and_who_may_change(
    hosted: Invoice, client: Client, sign_in: Callable[[Membership], Client]
) -> None:
    plan_pages = [PLAN, reverse("console:invoice", args=[hosted.id])]
    plan_pages.append(reverse("console:invoice_file", args=[hosted.id]))
    usage_pages = [USAGE, reverse("console:usage_csv")]
    for role, plan, used in (("admin", 403, 200), ("reviewer", 403, 403), ("annotator", 403, 403)):
        other = sign_in(factories.make_member(role=role))
        assert {other.get(path).status_code for path in plan_pages} == {plan}
        assert {other.get(path).status_code for path in usage_pages} == {used}
        assert other.post(reverse("console:plan_change"), {}).status_code == 403
        assert other.post(reverse("console:invoice_pay", args=[hosted.id])).status_code == 403
    assert {client.get(path).status_code for path in (*plan_pages, *usage_pages)} == {200}
    anonymous = Client()
    assert {anonymous.get(path).status_code for path in (*plan_pages, *usage_pages)} == {302}


STATES = {
    "80 % of your records are used.": {"records": 80},
    "All records of your plan are used.": {"records": 100},
    "the former limit holds": {"records": 101, "former_until": 5},
    "Read-only: you hold 101 records": {"records": 101},
    "An invoice is overdue. From": {"records": 1, "closes_at": 5},
    "Read-only: an invoice is overdue.": {"records": 1, "closes_at": -5},
}


@pytest.mark.parametrize("said", STATES)
def test_pages_of_those_who_manage_say_when_room_is_short(
    said: str, hosted: Invoice, client: Client, sign_in: Callable[[Membership], Client]
) -> None:
    values = dict(STATES[said])
    for name in ("former_until", "closes_at"):
        if name in values:
            values[name] = timezone.now() + timedelta(days=values[name])  # type: ignore[assignment]
    RecordVolume.objects.update(record_limit=100, **values)
    for path in ("/providers/", PLAN, USAGE):
        page = client.get(path)
        assert said in text_of(page), path
        assert page.content.count(b'id="standing"') == 1
    assert 'href="/settings/plan/"' in client.get("/providers/").content.decode()
    admin = sign_in(factories.make_member(role="admin"))
    assert said in text_of(admin.get("/providers/"))


def test_with_room_nothing_is_said(client: Client, hosted: Invoice) -> None:
    assert b'id="standing"' not in client.get("/providers/").content


def test_usage_is_shown_and_taken_along(
    client: Client, workspace: Workspace, hosted: Invoice
) -> None:
    factories.make_records(factories.make_dataset(workspace), 3)
    spend("1.25", workspace)
    month = usage.month_of(timezone.now().date())
    before = usage.month_after(month, -1)
    UsageMonth.objects.create(
        month=before,
        workspace_id=uuid4(),
        workspace_name="-cmd",
        records=1,
        answers=7,
        model_usd=Decimal("0.5"),
    )
    page = client.get(USAGE)
    assert page.context["volume"].pace.added == 2
    assert "-cmd" in text_of(page)
    file = client.get(reverse("console:usage_csv"))
    rows = list(csv.reader(io.StringIO(file.content.decode())))
    counted = ["month", "workspace", "records", "answers", "model_usd"]
    assert rows[0] == [*counted, "bytes", "seats", "api_calls"]
    assert [f"{month:%Y-%m}", workspace.name, "3", "0", "1.25000000", "0", "0", "0"] in rows
    assert [f"{before:%Y-%m}", "'-cmd", "1", "7", "0.50000000", "0", "0", "0"] in rows
    seats = Membership.objects.active().count()
    assert [f"{month:%Y-%m}", "", "0", "0", "0", "0", str(seats), "0"] in rows


def test_calls_of_the_api_are_counted(
    client: Client, api_key: Callable[[Membership], str], olga: Membership
) -> None:
    key = api_key(olga)
    for given in (key, key, "no-key-of-ours"):
        Client().get("/api/v1/me", headers={"X-Argilla-Api-Key": given})
    tallies.tell()
    page = client.get(USAGE)
    assert page.context["month"].api_calls == 2
    assert "API calls 2 this month" in text_of(page)


def test_pages_ask_little(
    client: Client, hosted: Invoice, django_assert_max_num_queries: Any
) -> None:
    for path in (PLAN, USAGE, f"{PLAN}?plan=large&period=yearly"):
        client.get(path)
        with django_assert_max_num_queries(22):
            client.get(path)


def test_a_full_plan_is_a_403_with_a_code(
    workspace: Workspace, api_key: Callable[[Membership], str], olga: Membership
) -> None:
    dataset = factories.make_dataset(workspace)
    RecordVolume.objects.update(record_limit=1)
    records = {"items": [{"fields": {"text": "one"}}, {"fields": {"text": "two"}}]}
    answer = Client().post(
        f"/api/v1/datasets/{dataset.id}/records/bulk",
        records,
        content_type="application/json",
        headers={"X-Argilla-Api-Key": api_key(olga)},
    )
    assert answer.status_code == 403
    assert answer.json()["detail"]["code"] == "quota_exceeded"
    assert "limit is reached" in answer.json()["detail"]["params"]["detail"]
    assert RecordVolume.objects.get().records == 0


def test_what_finds_no_room_is_said_on_a_page_of_its_own() -> None:
    refused = PermissionDenied()
    refused.__cause__ = LimitReachedError("The plan's record limit is reached.")
    page = forbidden(RequestFactory().get("/"), refused)
    assert page.status_code == 403
    assert "A limit is reached" in text_of(page)
    assert "A limit is reached" not in text_of(forbidden(RequestFactory().get("/"), Exception()))


# --- In a browser ---------------------------------------------------------------------------------


@pytest.fixture
def inhabited(site: Site) -> dict[str, Any]:
    """A year of growth on Base, close to its limit, with invoices of all kinds."""
    with site.inside():
        organization = Organization.objects.get()
        old = datetime(2020, 1, 1, tzinfo=UTC)
        Organization.objects.update(inserted_at=old)
        owner = factories.make_member(
            role="owner", first_name="Olga", email=f"olga-{uuid4().hex[:8]}@example.com"
        )
        set_plan(organization=organization, plan="starter")
        begin_subscription(organization=organization)
        settle_invoice(invoice=Invoice.objects.get(), state="paid")
        bill("monthly", "large")
        open_invoice = bill("yearly", "base")
        _grow(Workspace.objects.get().id)
    return {"owner": owner, "invoice": open_invoice, "organization": organization}


def _grow(workspace_id: Any) -> None:
    month = usage.month_of(timezone.now().date())
    held = (300, 350, 410, 500, 590, 670, 800, 940, 1110, 1330, 1580)
    for place, thousands in enumerate(held):
        UsageMonth.objects.create(
            month=usage.month_after(month, place - 11),
            workspace_id=workspace_id,
            workspace_name="support-team",
            records=thousands * 1000,
            answers=thousands * 3,
            model_usd=Decimal(thousands) / 25,
        )
    RecordVolume.objects.update(records=2_460_000, former_until=None, former_limit=None)
    for name, thousands in (("support-team", 1_910), ("film-club", 340), ("synthetic-lab", 210)):
        place = Workspace.objects.filter(name=name).first() or factories.make_workspace(name)
        dataset = Dataset.objects.filter(workspace=place).first() or factories.make_dataset(place)
        DatasetCounter.objects.filter(dataset=dataset).update(records=thousands * 1_000)
    spend("61.20", Workspace.objects.get(name="support-team"))


def _full(world: dict[str, Any]) -> None:
    note_failure(invoice=world["invoice"])


@pytest.mark.browser
@pytest.mark.parametrize(
    ("size", "language"), [(WIDE, "en"), (NARROW, "de")], ids=["wide", "narrow"]
)
def test_axe_finds_nothing(
    site: Site,
    visit: Callable[..., Any],
    inhabited: dict[str, Any],
    size: dict[str, int],
    language: str,
) -> None:
    with site.inside():
        User.objects.update(language=language)
    page = visit(signed_in=False, viewport=size, locale=language)
    page.context.add_cookies([_cookie(site, inhabited["owner"])])
    found: list[str] = []

    def show(name: str, path: str) -> None:
        page.goto(site.url + path)
        found.extend(look(page, name, size["width"]))

    invoice = f"/settings/plan/invoices/{inhabited['invoice'].id}/"
    show("plan", PLAN)
    show("plan offer", f"{PLAN}?plan=starter&period=yearly")
    show("usage", USAGE)
    show("invoice", f"{invoice}?new=1")
    show("providers near", "/providers/")
    with site.inside():
        _full(inhabited)
    show("plan overdue", PLAN)
    with site.inside():
        set_plan(organization=Organization.objects.get(), plan="self_hosted")
        RecordVolume.objects.update(closes_at=None)
    show("plan self hosted", PLAN)
    assert found == []


@pytest.mark.browser
def test_a_plan_is_changed_without_scripts(
    site: Site, visit: Callable[..., Any], inhabited: dict[str, Any]
) -> None:
    page = visit(signed_in=False, java_script_enabled=False)
    page.context.add_cookies([_cookie(site, inhabited["owner"])])
    page.goto(site.url + PLAN)
    page.get_by_role("link", name="Monthly", exact=True).click()
    page.locator("input[name=plan][value=medium]").check(force=True)
    page.get_by_role("button", name="What would it cost today?").click()
    page.get_by_role("button", name="Change to Medium").click()
    page.get_by_text("The plan has changed.").wait_for()
    with site.inside():
        assert Organization.objects.get().plan == "medium"


@pytest.mark.browser
def test_an_invoice_is_printed_alone(
    site: Site, visit: Callable[..., Any], inhabited: dict[str, Any]
) -> None:
    page = visit(signed_in=False)
    page.context.add_cookies([_cookie(site, inhabited["owner"])])
    page.goto(f"{site.url}/settings/plan/invoices/{inhabited['invoice'].id}/")
    page.emulate_media(media="print")
    assert not page.locator(".side").is_visible()
    assert not page.locator(".top").is_visible()
    assert page.locator(".invoice").is_visible()
    page.emulate_media(media="screen")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == f"{inhabited['invoice'].name}.html"


def _cookie(site: Site, member: Membership) -> dict[str, Any]:
    client = Client()
    assert member.user is not None
    client.force_login(member.user, backend=BACKEND)
    value = client.cookies["sessionid"].value
    return {"name": "sessionid", "value": value, "url": site.url}
