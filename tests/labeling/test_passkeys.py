"""Passkeys in a real browser with a virtual authenticator: added, used alone, asked for again."""

from collections.abc import Callable
from typing import Any

import pytest
from allauth.mfa.models import Authenticator

from tests import factories
from tests.labeling.conftest import Site

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def device(visit: Callable[..., Any], site: Site) -> Any:
    """A page in a browser whose device makes passkeys without asking anybody."""
    page = visit(signed_in=False)
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return page


def test_a_passkey_signs_in_by_itself(device: Any, site: Site) -> None:
    url = site.url.replace("127.0.0.1", "localhost")
    device.goto(f"{url}/accounts/login/")
    device.fill("input[name=login]", site.email)
    device.fill("input[name=password]", factories.PASSWORD)
    with device.expect_navigation():
        device.click("form .btn.main")
    device.goto(f"{url}/accounts/2fa/passkeys/add/")
    device.fill("input[name=password]", factories.PASSWORD)  # is it you?
    device.click("form .btn.main")
    device.fill("input[name=name]", "Laptop <b>")
    device.click("form[data-passkey] button")
    device.locator(".codes li").first.wait_for()
    key = Authenticator.objects.get(type="webauthn", user=site.member.user)
    assert key.wrap().is_passwordless
    device.context.clear_cookies()
    device.goto(f"{url}/accounts/login/")
    device.click("form[data-passkey] button")
    device.locator(".console").wait_for()
    device.goto(f"{url}/accounts/2fa/")
    assert device.get_by_text("Laptop <b>", exact=True).count() == 1
    device.context.clear_cookies()
    device.goto(f"{url}/accounts/login/")
    device.fill("input[name=login]", site.email)
    device.fill("input[name=password]", factories.PASSWORD)
    device.click("form .btn.main")
    device.click("form[data-passkey] button")  # the second step
    device.locator(".console").wait_for()


def test_a_device_that_says_no_is_told(visit: Callable[..., Any], site: Site) -> None:
    url = site.url.replace("127.0.0.1", "localhost")
    page = visit(f"{url}/accounts/login/", signed_in=False)
    page.evaluate("() => { navigator.credentials.get = () => Promise.reject(new Error('no')); }")
    page.click("form[data-passkey] button")
    page.locator("#passkey-failed").wait_for()
