"""The operator's screens in a real browser: axe, widths, and what the policy says.

``SCREENS=folder`` leaves a picture of each.
"""

import json
import os
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import TOTP
from django.utils import timezone

from apps.organizations.models import Announcement, Membership, Organization
from apps.users.models import User
from tests import factories
from tests.labeling.conftest import Site
from tests.labeling.test_accessibility import NARROW, WIDE, violations
from tests.operator.conftest import EVERYWHERE, make_user, signed_in
from tests.operator.test_console import dead_delivery, failed_job

pytestmark = [pytest.mark.browser, EVERYWHERE]

Visit = Callable[..., Any]


@pytest.fixture
def organization(site: Site, settings: Any, tmp_path: Path) -> Organization:
    """One with something on every page."""
    settings.BACKUP_DIR = tmp_path
    report = {"kind": "backup", "started_at": "2026-05-01T01:00:00Z", "bytes": 2048, "ok": True}
    (tmp_path / "nightly-1.json").write_text(
        json.dumps(report | {"finished_at": "2026-05-01T01:05:00Z", "detail": "12 tables"})
    )
    failed_job(site.organization)
    dead_delivery(site.organization)
    Announcement.objects.all().delete()  # they belong to no organization, and stay
    Announcement.objects.create(
        text="Maintenance tonight at 22:00 UTC, for about ten minutes.",
        level="warn",
        ends_at=timezone.now() + timedelta(hours=2),
    )
    with site.inside():
        Membership.objects.filter(id=site.member.id).update(role="owner")
    return site.organization


def open_as(visit: Visit, site: Site, user: User, proved: bool, **options: Any) -> Any:
    client = signed_in(user, proved=proved)
    page = visit(signed_in=False, **options)
    value = client.cookies["sessionid"].value
    page.context.add_cookies([{"name": "sessionid", "value": value, "url": site.url}])
    return page


def look(page: Any, name: str, width: int) -> list[str]:
    found: list[str] = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found += [f"{name}, {scheme}: {text}" for text in violations(page)]
        if folder := os.environ.get("SCREENS"):
            file = re.sub(r"[: ]+", "-", f"operator-{name}-{scheme}-{width}.png")
            page.screenshot(path=Path(folder) / file, full_page=True)
    if page.evaluate("() => document.documentElement.scrollWidth") > width:
        found.append(f"{name}: scrolls sideways")
    return found


@pytest.mark.parametrize(
    ("size", "language"), [(WIDE, "en"), (NARROW, "de")], ids=["wide", "narrow"]
)
def test_axe_finds_nothing(
    site: Site, organization: Organization, visit: Visit, size: dict[str, int], language: str
) -> None:
    user = make_user(is_staff=True, language=language)
    page = open_as(visit, site, user, False, viewport=size, locale=language)
    width, found = size["width"], []
    page.goto(f"{site.url}/operator/jobs/")
    found += look(page, "sign in", width)
    page.fill("#password", "wrong")
    page.click("form .btn.main")
    page.wait_for_selector("#problem")
    found += look(page, "sign in wrong", width)
    page.fill("#password", factories.PASSWORD)
    page.click("form .btn.main")
    page.wait_for_url("**/operator/jobs/")
    one = f"organizations/{organization.id}/"
    paths = (
        "",
        "organizations/",
        "organizations/?q=nothing",
        one,
        "deleted/",
        "users/",
        "jobs/",
        "jobs/?state=dead",
        "deliveries/",
        "invoices/",
        "invoices/?state=all",
        "spend/",
        "backups/",
        "announcements/",
    )
    for path in paths:
        assert page.goto(f"{site.url}/operator/{path}").status == 200, path
        found += look(page, re.sub(r"[^a-z]+", " ", path.replace(one, "organization")), width)
    assert site.member.user is not None
    TOTP.activate(site.member.user, "JBSWY3DPEHPK3PXP")
    for between in (1000, width) if size is WIDE else (width,):
        page.set_viewport_size({**size, "width": between})
        page.goto(f"{site.url}/operator/users/?q={site.email}")
        page.locator(".acts summary").click()
        found += look(page, "users reset", between)
    page.fill(".acts [name=word]", "no")
    page.locator(".acts .btn.bad").click()
    page.wait_for_selector("#problem")
    found += look(page, "users reset wrong", width)
    page.goto(f"{site.url}/operator/{one}")
    page.fill("#limit", "many")
    page.locator("form[action$='/limit/'] button").click()
    page.wait_for_selector("#problem")
    found += look(page, "organization wrong", width)
    page.fill("#support-reason", "Ticket 7")
    page.locator("form[action$='/support/'] button").click()
    page.wait_for_selector(".banner[data-level=support]")
    found += look(page, "support", width)
    page.goto(site.annotate)
    found += look(page, "support refused", width)
    page.goto(f"{site.url}/datasets/{site.dataset.id}/explore/")
    found += look(page, "support explore", width)
    page.goto(f"{site.url}/operator/")
    found += look(page, "home in support", width)
    assert found == []


def test_a_suspended_member_and_an_announcement(
    site: Site, organization: Organization, visit: Visit
) -> None:
    found = []
    for size in (WIDE, NARROW):
        page = visit(site.annotate, viewport=size)
        page.wait_for_selector(".banner[data-level=warn]")
        found += look(page, "announced", size["width"])
        if size is WIDE:  # the work still fits into the window
            assert page.evaluate("() => document.documentElement.scrollHeight") <= size["height"]
    with site.inside():
        Organization.objects.update(suspended_at=timezone.now(), suspended_reason="x")
    for size in (WIDE, NARROW):
        page = visit(viewport=size)
        assert page.goto(site.annotate).status == 403
        found += look(page, "suspended", size["width"])
    assert found == []


def test_support_by_hand_and_out_again(
    site: Site, organization: Organization, visit: Visit
) -> None:
    page = open_as(visit, site, make_user(is_staff=True), True)
    page.goto(f"{site.url}/operator/organizations/{organization.id}/")
    page.fill("#support-reason", "Ticket 7")
    page.locator("form[action$='/support/'] button").click()
    page.get_by_text("Nothing can be changed.").wait_for()
    page.get_by_role("button", name="End support access").click()
    page.wait_for_url(f"**/operator/organizations/{organization.id}/")
    assert page.get_by_text("Ticket 7").is_visible()


def test_no_page_of_the_operator_needs_scripts(
    site: Site, organization: Organization, visit: Visit
) -> None:
    page = open_as(visit, site, make_user(is_staff=True), True, java_script_enabled=False)
    page.goto(f"{site.url}/operator/jobs/?state=dead")
    page.get_by_role("button", name="Queue again").first.click()
    page.goto(f"{site.url}/operator/deliveries/")
    before = page.get_by_role("button", name="Send again").count()
    page.get_by_role("button", name="Send again").first.click()
    page.wait_for_load_state()
    assert page.get_by_role("button", name="Send again").count() == before - 1


def test_raw_tables_keep_the_policy(site: Site, organization: Organization, visit: Visit) -> None:
    page = open_as(visit, site, make_user(is_staff=True), True)
    for path in (
        "",
        "organizations/organization/",
        f"organizations/organization/{organization.id}/change/",
    ):
        assert page.goto(f"{site.url}/operator/admin/{path}").status == 200
        page.wait_for_load_state("networkidle")
