"""The audit log and the organization's data in a real browser: axe in both schemes, both widths."""

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from apps.events import seals
from apps.events.log import Origin, acting_as, emit
from apps.exchange.organization import deletion
from apps.organizations.models import Membership
from apps.organizations.services import create_api_key, update_member
from apps.users.models import User
from tests import factories
from tests.console.test_screens import Visit, look
from tests.labeling.conftest import BACKEND, Site
from tests.labeling.test_accessibility import NARROW, WIDE

pytestmark = pytest.mark.browser


@pytest.fixture
def owner(site: Site) -> Membership:
    """Olga, whose organization has a log with something of each sort."""
    with site.inside():
        olga = factories.make_member(
            role="owner", first_name="Olga", email=f"olga-{uuid4().hex[:8]}@example.com"
        )
        row, _ = create_api_key(member=olga)
        for number in range(60):
            emit("member.created", payload={"username": f"{'long-' * 20}{number}"})
        with acting_as(Origin(olga.id, None, "203.0.113.24")):
            update_member(member=site.member, changes={"role": "reviewer", "first_name": "Ana"})
            emit("webhook.disabled", object_id=uuid4(), payload={"url": "https://a.example/…"})
        with acting_as(Origin(olga.id, row.id, "2001:db8:85a3:8d3:1319:8a2e:370:7348")):
            emit("dataset.updated", dataset_id=site.dataset.id, payload={"changed": ["name"]})
        reason = {"operator": "desk@example.org", "reason": "ticket 4471", "as": "mara"}
        emit("support.began", object_id=uuid4(), payload=reason)
    seals.seal(organization_id=site.organization.id)
    seals.check(organization_id=site.organization.id)
    return olga


def sign_in(page: Any, site: Site, member: Membership) -> None:
    client = Client()
    assert member.user is not None
    client.force_login(member.user, backend=BACKEND)
    value = client.cookies["sessionid"].value
    page.context.add_cookies([{"name": "sessionid", "value": value, "url": site.url}])


@pytest.mark.parametrize(
    ("size", "language"), [(WIDE, "en"), (NARROW, "de")], ids=["wide", "narrow"]
)
def test_axe_finds_nothing(
    site: Site, owner: Membership, visit: Visit, size: dict[str, int], language: str
) -> None:
    with site.inside():
        User.objects.update(language=language)
    page = visit(signed_in=False, viewport=size, locale=language)
    sign_in(page, site, owner)
    found: list[str] = []
    for name, path in (
        ("audit", "/settings/audit/"),
        ("audit nothing", "/settings/audit/?q=qqqq"),
        ("audit dates", "/settings/audit/?since=2026-01-01"),
        ("data", "/settings/data/"),
    ):
        page.goto(site.url + path)
        found += look(page, name, size["width"])
    page.goto(f"{site.url}/settings/data/")
    page.fill("#name", "something else")
    page.click("form[action$='/delete/'] button")
    page.locator("#name-err").wait_for()
    found += look(page, "data misspelt", size["width"])
    page.goto(f"{site.url}/settings/audit/")
    page.fill("#days", "7")
    page.click("form[action$='/keep/'] button")
    page.locator(".err").wait_for()
    found += look(page, "audit wrong", size["width"])
    with site.inside():
        name = site.organization.name
        deletion.ask_for_deletion(organization=site.organization, typed_name=name)
    page.goto(site.url)
    found += look(page, "frozen", size["width"])
    assert found == []
    page.click("form[action$='/keep/'] button")
    page.locator("#delete-title").wait_for()
    with site.inside():
        site.organization.refresh_from_db()
    assert site.organization.deletion_due_at is None
