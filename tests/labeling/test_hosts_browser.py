"""Hosts of organizations in a real browser: one below the base domain, and a domain of its own.

Every name that ends in ``.localhost`` leads a browser to this machine.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core import mail

from apps.organizations.domains import look_again, record_name, record_text
from tests import factories
from tests.conftest import ALL_DATABASES
from tests.dns_server import Zone, serving
from tests.labeling.conftest import Site
from tests.labeling.test_accessibility import NARROW, WIDE, violations

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, databases=ALL_DATABASES)]

BASE = "base.localhost"


@pytest.fixture
def zone(site: Site, settings: Any) -> Iterator[Zone]:
    """Where domains are proven, and a site on which each organization has a host."""
    port = urlsplit(site.url).port
    settings.BASE_DOMAIN, settings.SITE_URL = BASE, f"http://{BASE}:{port}"
    settings.SITE_HOSTS = ["127.0.0.1"]
    with serving() as zone:
        settings.DNS_SERVER = zone.address
        yield zone


@pytest.fixture
def owner(site: Site) -> str:
    """The e-mail of an owner."""
    email = Site.another_email()
    with site.inside():
        factories.make_member(role="owner", email=email, password=factories.PASSWORD)
    return email


def sign_in(page: Any, host: str, email: str) -> None:
    page.goto(f"{host}/accounts/login/")
    page.fill("input[name=login]", email)
    page.fill("input[name=password]", factories.PASSWORD)
    with page.expect_navigation():
        page.locator("form .btn.main").click()
    page.locator(".console").wait_for()


def look(page: Any, name: str) -> None:
    """Nothing is wrong with what is shown, wide and narrow, in both schemes."""
    for size in (WIDE, NARROW):
        page.set_viewport_size(size)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert violations(page) == []
            if folder := os.environ.get("SCREENS"):
                file = Path(folder) / f"{name}-{scheme}-{size['width']}.png"
                page.screenshot(path=file, full_page=True)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= size["width"]
    page.set_viewport_size(WIDE)


def test_a_domain_is_proven_used_and_lost(
    site: Site, visit: Callable[..., Any], zone: Zone, owner: str
) -> None:
    port = urlsplit(site.url).port
    below = f"http://{site.organization.slug}.{BASE}:{port}"
    domain = f"{site.organization.slug}-labels.localhost"
    page = visit(signed_in=False)
    sign_in(page, below, owner)
    hosts = {cookie["domain"] for cookie in page.context.cookies()}
    assert hosts == {f"{site.organization.slug}.{BASE}"}, "none is sent to other hosts"
    page.goto(f"{below}/settings/general/")
    page.fill("input[name=domain]", domain)
    page.click("button[value=claim]")
    page.locator(".proof").first.wait_for()
    look(page, "claimed")
    with site.inside():
        site.organization.refresh_from_db()
    record, proof = record_name(domain), record_text(site.organization)
    told = ["TXT", record, proof, "CNAME", domain, urlsplit(below).hostname]
    assert page.locator(".proof code").all_inner_texts() == told
    page.click("button[value=verify]")
    page.locator("#domain-error").wait_for()
    zone.texts[record] = [proof]
    page.click("button[value=verify]")
    page.locator("[data-s=completed]").wait_for()
    look(page, "proven")
    sign_in(page, f"http://{domain}:{port}", owner)
    zone.texts.clear()
    look_again()
    assert record in mail.outbox[-1].body
    page.goto(f"http://{domain}:{port}/settings/general/")
    page.locator(".note.warn").wait_for()
    look(page, "missing")


def test_a_host_of_nobody_is_said_to_be_none(
    site: Site, visit: Callable[..., Any], zone: Zone
) -> None:
    page = visit(signed_in=False)
    port = urlsplit(site.url).port
    for host in (f"nobody.{BASE}", f"operator.{BASE}", "elsewhere.localhost"):
        answer = page.goto(f"http://{host}:{port}/accounts/login/")
        assert answer.status == 404
    look(page, "nobody")
