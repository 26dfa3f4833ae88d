"""The operator's door opened by a passkey, in a real browser with a virtual authenticator."""

from typing import Any
from urllib.parse import parse_qs

import pytest

from apps.users.models import User
from tests.factories import PASSWORD
from tests.labeling.conftest import Site
from tests.labeling.test_passkeys import device
from tests.operator.conftest import EVERYWHERE, make_user, signed_in

__all__ = ["device"]

pytestmark = [pytest.mark.browser, EVERYWHERE]

NONSENSE = ["null", "[]", "{}", "nonsense", '{"id": 1}', "[" * 5000, '{"response": {}}', "\0"]


def add_passkey(page: Any, url: str, user: User) -> None:
    page.goto(f"{url}/accounts/login/")
    page.fill("input[name=login]", str(user.email))
    page.fill("input[name=password]", PASSWORD)
    with page.expect_navigation():
        page.click("form .btn.main")
    page.goto(f"{url}/accounts/2fa/passkeys/add/")
    if page.locator("input[name=password]").count():  # is it you?
        page.fill("input[name=password]", PASSWORD)
        page.click("form .btn.main")
    page.fill("input[name=name]", "Key")
    page.click("form[data-passkey] button")
    page.locator(".codes li").first.wait_for()


def test_a_passkey_opens_the_door_and_nothing_else_does(
    device: Any, site: Site, settings: Any
) -> None:
    settings.OPERATOR_MFA_REQUIRED = True
    url = site.url.replace("127.0.0.1", "localhost")
    user = make_user(is_staff=True)
    add_passkey(device, url, user)

    for credential in NONSENSE:
        client = signed_in(user)
        assert "passkey-options" in client.get("/operator/sign-in/").content.decode()
        given = {"password": PASSWORD, "credential": credential}
        assert client.post("/operator/sign-in/", given).status_code == 422, credential
        assert client.get("/operator/").status_code == 302

    device.goto(f"{url}/operator/jobs/")
    with device.expect_request("**/operator/sign-in/*") as sent:
        device.click("form[data-passkey] button")
    device.wait_for_url("**/operator/jobs/")
    again = signed_in(user)
    again.get("/operator/sign-in/")
    form = {name: values[0] for name, values in parse_qs(sent.value.post_data).items()}
    assert form["credential"]
    assert again.post("/operator/sign-in/", form).status_code == 422  # of another challenge
