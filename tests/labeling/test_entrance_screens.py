"""The screens around signing in, welcoming and the organization's settings: axe, widths, weight.

``SCREENS=folder`` leaves a picture of each.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.core.tenancy import enter
from apps.datasets.models import Dataset
from apps.organizations.directory import find_memberships
from apps.organizations.models import Organization
from apps.users.models import User
from tests import factories
from tests.labeling.conftest import Site
from tests.labeling.test_accessibility import NARROW, WIDE, violations

pytestmark = pytest.mark.browser

Visit = Callable[..., Any]
OUTSIDE = (("sign up", "/accounts/signup/"), ("sign in", "/accounts/login/"))
ACCOUNT = (
    ("security", "/accounts/2fa/"),
    ("security: required", "/accounts/2fa/?required=1"),
    ("app", "/accounts/2fa/app/add/"),
    ("passkey", "/accounts/2fa/passkeys/add/"),
    ("sessions", "/accounts/sessions/"),
    ("password: change", "/accounts/password/change/"),
    ("providers", "/accounts/providers/"),
    ("welcome: records", "/welcome/"),
    ("home: left", "/"),
    ("general", "/settings/general/"),
    ("security of the organization", "/settings/security/"),
)


@pytest.fixture
def owner(site: Site, settings: Any) -> User:
    """Who may do everything, where each organization has a host and a domain waits for proof."""
    settings.BASE_DOMAIN = "stoneware.example"
    settings.SITE_HOSTS = ["localhost", "127.0.0.1"]
    settings.SIGNUP = "open"
    with site.inside():
        member = factories.make_member(
            role="owner", email=Site.another_email(), password=factories.PASSWORD
        )
        Organization.objects.filter(id=site.organization.id).update(
            domain="labels.example.com", domain_token="0" * 40
        )
    assert member.user is not None
    return member.user


@pytest.fixture
def newcomer(owner: User) -> User:
    """An account without an organization."""
    return User.objects.create_user(Site.another_email(), factories.PASSWORD)


def sign_in(page: Any, site: Site, user: User) -> None:
    page.goto(f"{site.url}/accounts/login/")
    page.fill("input[name=login]", user.email)
    page.fill("input[name=password]", factories.PASSWORD)
    with page.expect_navigation():
        page.locator("form .btn.main").click()


def check(page: Any, name: str, width: int) -> list[str]:
    """What is wrong with what is shown, in both schemes."""
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found += [f"{name}, {scheme}: {text}" for text in violations(page)]
        if folder := os.environ.get("SCREENS"):
            file = f"{name.replace(': ', '-').replace(' ', '-')}-{scheme}-{width}.png"
            page.screenshot(path=Path(folder) / file, full_page=True)
    wide = page.evaluate("() => document.documentElement.scrollWidth")
    return found + ([f"{name}: {wide} px wide"] if wide > width else [])


@pytest.mark.parametrize(
    ("size", "language"), [(WIDE, "en"), (NARROW, "de")], ids=["wide", "narrow"]
)
def test_every_screen_can_be_used_by_everybody(
    site: Site,
    visit: Visit,
    owner: User,
    newcomer: User,
    size: dict[str, int],
    language: str,
) -> None:
    User.objects.update(language=language)
    page = visit(signed_in=False, viewport=size, locale=language)
    wrong = []
    for name, path in OUTSIDE:
        page.goto(f"{site.url}{path}")
        wrong += check(page, name, size["width"])
    page.goto(f"{site.url}/accounts/signup/")
    page.fill("input[name=email]", Site.another_email())
    for field in ("password1", "password2"):
        page.fill(f"input[name={field}]", factories.PASSWORD)
    page.locator("form .btn.main").click()
    page.locator("input[name=code]").wait_for()
    wrong += check(page, "confirm", size["width"])
    sign_in(page, site, newcomer)
    page.goto(f"{site.url}/welcome/")
    wrong += check(page, "welcome", size["width"])
    page.context.clear_cookies()
    sign_in(page, site, owner)
    page.goto(f"{site.url}/accounts/2fa/app/add/")
    wrong += check(page, "is it you", size["width"])
    page.fill("input[name=password]", factories.PASSWORD)
    page.locator("form .btn.main").click()
    page.locator(".secret").wait_for()
    for name, path in ACCOUNT:
        answer = page.goto(f"{site.url}{path}")
        assert answer.status == 200, name
        wrong += check(page, name, size["width"])
    assert wrong == []


def test_from_a_new_account_to_a_labelled_record(site: Site, visit: Visit, newcomer: User) -> None:
    """In the browser, as people do it."""
    page = visit(signed_in=False)
    sign_in(page, site, newcomer)
    page.goto(f"{site.url}/welcome/")
    page.fill("input[name=name]", "Nia & Friends")
    page.locator("main .btn.main").click()
    page.fill("input[name=name]", "team")
    page.locator("main .btn.main").click()
    page.locator("button[value=sample]").click()
    page.wait_for_url("**/annotate/**")
    assert page.locator("#main").count() == 1
    (place,) = find_memberships(newcomer.id)
    with enter(place.organization_id):
        assert Dataset.objects.count() == 1
