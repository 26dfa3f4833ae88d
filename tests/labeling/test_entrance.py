"""Signing up, proving an e-mail, second factors, sessions: and nothing is told to strangers."""

import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from allauth.usersessions.models import UserSession
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core import mail
from django.test import Client

from apps.core.tenancy import enter
from apps.organizations.models import Membership, Organization
from apps.organizations.services import create_api_key
from apps.users.models import User
from apps.workspaces.invitations import invite
from tests import factories

LOGIN, SIGNUP, CONFIRM = "/accounts/login/", "/accounts/signup/", "/accounts/confirm-email/"
FACTORS = "/accounts/2fa/"
FORM = "application/x-www-form-urlencoded"
PASSWORD = "a phrase of some length"
SignIn = Callable[[Membership], Client]


def _at_once(send: Callable[[], Any], using: str | None = None, robust: bool = False) -> None:
    send()


@pytest.fixture
def sending(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mail goes out at once: the tests' transaction never commits."""
    monkeypatch.setattr("apps.users.mail.transaction.on_commit", _at_once)


@pytest.fixture
def open_site(settings: Any, sending: None, db: None) -> None:
    settings.SIGNUP = "open"


@pytest.fixture
def mara(organization: Organization) -> Membership:
    return factories.make_member(email="mara@example.com", password=factories.PASSWORD)


def sign_up(client: Client, email: str) -> Any:
    form = {"email": email, "password1": PASSWORD, "password2": PASSWORD}
    return client.post(SIGNUP, form)


def page_of(client: Client) -> str:
    """The page on which the code is asked for, without what differs from form to form."""
    text = client.get(CONFIRM).content.decode()
    return re.sub(r'name="csrfmiddlewaretoken" value="[^"]*"', "", text)


def code_in(message: Any) -> str:
    found = re.search(r"^ {4}(\S+)$", str(message.body), re.MULTILINE)
    assert found is not None
    return found[1]


# --- Sign-up --------------------------------------------------------------------------------------
def test_sign_up_is_closed_unless_it_is_opened(db: None, client: Client) -> None:
    assert "By invitation" in client.get(SIGNUP).content.decode()
    sign_up(client, "new@example.com")
    assert not User.objects.filter(email="new@example.com").exists()
    assert SIGNUP not in client.get(LOGIN).content.decode()


def test_who_signs_up_proves_the_address_by_a_code(open_site: None, client: Client) -> None:
    assert SIGNUP in client.get(LOGIN).content.decode()
    assert sign_up(client, "New@Example.com").headers["Location"] == CONFIRM
    (message,) = mail.outbox
    assert message.to == ["new@example.com"]
    assert client.get("/").headers["Location"].startswith(LOGIN)  # not signed in yet
    wrong = client.post(CONFIRM, {"code": "WRONG-CODE"})
    assert wrong.status_code == 422
    assert "That is not the code." in wrong.content.decode()
    assert client.post(CONFIRM, {"code": code_in(message)}).status_code == 302
    assert EmailAddress.objects.get(email="new@example.com").verified
    assert int(client.session["_auth_user_id"].replace("-", ""), 16)


def test_codes_cannot_be_guessed(open_site: None, client: Client) -> None:
    sign_up(client, "new@example.com")
    answers = [client.post(CONFIRM, {"code": f"AAA-AA{n}"}) for n in range(4)]
    assert answers[-1].status_code == 302
    assert client.post(CONFIRM, {"code": code_in(mail.outbox[0])}).status_code == 302
    assert not EmailAddress.objects.get(email="new@example.com").verified


def test_an_unproven_account_signs_in_nowhere(open_site: None, client: Client) -> None:
    sign_up(client, "new@example.com")
    with enter(factories.make_organization().id):
        factories.make_member(email="new@example.com", username="new")
    form = {"login": "new@example.com", "password": PASSWORD}
    assert Client().post(LOGIN, form).headers["Location"] == CONFIRM
    token = {"username": "new@example.com", "password": PASSWORD}
    assert Client().post("/api/v1/token", urlencode(token), content_type=FORM).status_code == 401


def test_an_address_with_an_account_gets_the_same_answer(
    open_site: None, mara: Membership, settings: Any
) -> None:
    known, unknown = Client(), Client()
    first, second = sign_up(known, "mara@example.com"), sign_up(unknown, "nobody@example.com")
    assert (first.status_code, first.headers["Location"]) == (302, second.headers["Location"])
    pages = [page_of(known), page_of(unknown)]
    assert pages[0].replace("mara@", "nobody@") == pages[1]
    guesses = [one.post(CONFIRM, {"code": "AAA-AAA"}).status_code for one in (known, unknown)]
    assert guesses == [422, 422]
    assert mail.outbox[0].subject == "You have an account at Stoneware already"
    for one in (known, unknown):  # nor does going back tell
        assert one.get(LOGIN).status_code == 200
        assert one.get(CONFIRM).headers["Location"] == LOGIN
    assert mara.user is not None
    assert User.objects.get(pk=mara.user.pk).check_password(factories.PASSWORD)


def test_signing_up_costs_one_hash_whether_or_not_the_address_is_known(
    open_site: None, mara: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    real = MD5PasswordHasher.encode

    def encode(self: Any, password: str, salt: str) -> Any:
        hashed.append(password)
        return real(self, password, salt)

    monkeypatch.setattr(MD5PasswordHasher, "encode", encode)
    counts = []
    for email in ("mara@example.com", "nobody@example.com"):
        hashed.clear()
        sign_up(Client(), email)
        counts.append(len(hashed))
    assert counts[0] == counts[1] > 0


def test_by_invitation_only_the_invited_get_an_account(
    settings: Any, sending: None, organization: Organization, owner: Membership
) -> None:
    settings.SIGNUP = "invite"
    invite(actor=owner, emails=["guest@example.com"], role="owner", places={})
    mail.outbox.clear()
    guest, stranger = Client(), Client()
    first, second = sign_up(guest, "guest@example.com"), sign_up(stranger, "eve@example.com")
    assert first.headers["Location"] == second.headers["Location"]
    assert page_of(guest).replace("guest@", "eve@") == page_of(stranger)
    assert User.objects.filter(email="guest@example.com").exists()
    assert not User.objects.filter(email="eve@example.com").exists()
    subjects = [message.subject for message in mail.outbox]
    assert subjects[1] == "No invitation to Stoneware"


def test_bad_sign_ups_say_what_is_wrong(open_site: None, client: Client) -> None:
    form = {"email": "no address", "password1": "short", "password2": "other"}
    answer = client.post(SIGNUP, form)
    assert answer.status_code == 422
    text = answer.content.decode()
    assert "short" not in re.sub(r"too short|is short", "", text)
    assert User.objects.count() == 0


def test_a_forgotten_password_tells_nothing_on_the_page(sending: None, mara: Membership) -> None:
    answers = []
    for email in ("mara@example.com", "nobody@example.com"):
        answer = Client().post("/accounts/password/reset/", {"email": email})
        answers.append((answer.status_code, answer.headers["Location"]))
    assert answers[0] == answers[1]
    assert [message.subject for message in mail.outbox] == [
        "A new password for Stoneware",
        "No account at Stoneware",
    ]


# --- Second factors -------------------------------------------------------------------------------
def code_now(secret: str, step: int = 0) -> str:
    counter = int(time.time()) // 30 + step
    return str(format_hotp_value(hotp_value(secret, counter)))


def add_app(client: Client) -> str:
    """Set up an authenticator app, after the password was asked for again: its secret."""
    page = client.get(f"{FACTORS}app/add/")
    if page.status_code == 302:
        again = page.headers["Location"]
        assert "reauthenticate" in again
        assert client.post(again, {"password": "wrong"}).status_code == 422
        client.post(again, {"password": factories.PASSWORD})
        page = client.get(f"{FACTORS}app/add/")
    found = re.search(r'class="secret">(\w+)<', page.content.decode())
    assert found is not None
    assert client.post(f"{FACTORS}app/add/", {"code": "000000"}).status_code == 422
    done = client.post(f"{FACTORS}app/add/", {"code": code_now(found[1])})
    assert done.headers["Location"] == f"{FACTORS}codes/"
    return found[1]


@pytest.fixture
def app(mara: Membership, sign_in: SignIn, sending: None) -> str:
    return add_app(sign_in(mara))


def half_way(client: Client) -> Any:
    return client.post(LOGIN, {"login": "mara@example.com", "password": factories.PASSWORD})


def test_an_app_is_the_second_step(app: str, mara: Membership, client: Client) -> None:
    assert half_way(client).headers["Location"] == f"{FACTORS}authenticate/"
    assert client.get("/").headers["Location"].startswith(LOGIN)
    wrong = client.post(f"{FACTORS}authenticate/", {"code": "000000"})
    assert wrong.status_code == 422
    assert client.post(f"{FACTORS}authenticate/", {"code": code_now(app, 1)}).status_code == 302
    assert client.get("/").status_code == 200
    assert [m.subject for m in mail.outbox][:1] == [
        "An authenticator app was added to your account"
    ]


def test_a_code_works_once(app: str, client: Client) -> None:
    code = code_now(app, 1)
    half_way(client)
    client.post(f"{FACTORS}authenticate/", {"code": code})
    other = Client()
    half_way(other)
    assert other.post(f"{FACTORS}authenticate/", {"code": code}).status_code == 422


def test_secrets_are_sealed(app: str) -> None:
    assert app not in str(Authenticator.objects.get(type="totp").data)
    assert get_adapter().decrypt(Authenticator.objects.get(type="totp").data["secret"]) == app


def test_a_recovery_code_works_once(app: str, mara: Membership) -> None:
    codes = Authenticator.objects.get(type="recovery_codes").wrap().get_unused_codes()
    answers = []
    for _ in range(2):
        client = Client()
        half_way(client)
        answers.append(client.post(f"{FACTORS}authenticate/", {"code": codes[0]}).status_code)
    assert answers == [302, 422]


def test_a_password_alone_gets_no_token(app: str, mara: Membership) -> None:
    form = {"username": "mara@example.com", "password": factories.PASSWORD}
    assert Client().post("/api/v1/token", urlencode(form), content_type=FORM).status_code == 401


def test_members_without_email_have_a_second_step_too(
    organization: Organization, sign_in: SignIn, client: Client, sending: None
) -> None:
    bo = factories.make_member(username="bo", password=factories.PASSWORD)
    secret = add_app(sign_in(bo))
    form = {"organization": organization.slug, "username": "bo", "password": factories.PASSWORD}
    answer = client.post("/accounts/login/member/", {**form, "next": "/datasets/"})
    assert answer.headers["Location"] == f"{FACTORS}authenticate/"
    done = client.post(f"{FACTORS}authenticate/", {"code": code_now(secret, 1)})
    assert done.headers["Location"] == "/datasets/"
    assert client.get("/datasets/").status_code == 200


def test_the_app_is_removed_and_new_codes_are_made(
    app: str, mara: Membership, sign_in: SignIn
) -> None:
    client = Client()
    half_way(client)
    client.post(f"{FACTORS}authenticate/", {"code": code_now(app, 1)})
    again = client.get(f"{FACTORS}codes/").headers["Location"]
    client.post(again, {"password": factories.PASSWORD})
    before = client.get(f"{FACTORS}codes/").content.decode()
    assert client.post(f"{FACTORS}codes/new/").status_code == 302
    assert client.get(f"{FACTORS}codes/").content.decode() != before
    assert "recovery-codes.txt" in client.get(f"{FACTORS}codes/download/")["Content-Disposition"]
    assert client.post(f"{FACTORS}app/remove/").status_code == 302
    assert not Authenticator.objects.filter(type="totp").exists()


def test_an_organization_may_ask_for_a_second_factor(
    mara: Membership, organization: Organization, sign_in: SignIn, sending: None
) -> None:
    client, key = sign_in(mara), create_api_key(member=mara)[1]
    assert client.get("/").status_code == 200
    Organization.objects.filter(id=organization.id).update(requires_mfa=True)
    for path in ("/", "/datasets/", "/me/"):
        assert client.get(path).headers["Location"] == f"{FACTORS}?required=1"
    assert client.get("/", headers={"HX-Request": "true"}).status_code == 403
    assert "asks for a second factor" in client.get(f"{FACTORS}?required=1").content.decode()
    by_key = Client().get("/api/v1/me", headers={"X-Argilla-Api-Key": key})
    assert by_key.status_code == 200
    form = {"username": "mara@example.com", "password": factories.PASSWORD}
    assert Client().post("/api/v1/token", urlencode(form), content_type=FORM).status_code == 401
    add_app(client)
    assert client.get("/").status_code == 200


# --- Sessions -------------------------------------------------------------------------------------
def test_sessions_are_listed_and_ended(mara: Membership) -> None:
    here, there = Client(), Client(headers={"User-Agent": "Mozilla/5.0 (X11; Linux) Firefox/140"})
    for client in (here, there):
        half_way(client)
    page = here.get("/accounts/sessions/").content.decode()
    assert "Firefox on Linux" in page
    other = UserSession.objects.get(user_agent__contains="Firefox")
    assert there.get("/").status_code == 200
    assert here.post("/accounts/sessions/", {"end": other.pk}).status_code == 302
    assert there.get("/").status_code == 302
    assert here.get("/").status_code == 200
    own = UserSession.objects.get(user=mara.user)
    assert here.post("/accounts/sessions/", {"end": own.pk}).status_code == 404


def test_nobody_ends_the_session_of_another(mara: Membership, sign_in: SignIn) -> None:
    client = Client()
    half_way(client)
    theirs = UserSession.objects.get(user=mara.user)
    bo = sign_in(factories.make_member(username="bo", password=factories.PASSWORD))
    assert bo.post("/accounts/sessions/", {"end": theirs.pk}).status_code == 404
    assert client.get("/").status_code == 200


def test_a_new_password_ends_the_other_sessions(mara: Membership, sending: None) -> None:
    here, there = Client(), Client()
    for client in (here, there):
        half_way(client)
    form = {"oldpassword": "wrong", "password1": PASSWORD, "password2": PASSWORD}
    assert here.post("/accounts/password/change/", form).status_code == 422
    form["oldpassword"] = factories.PASSWORD
    assert here.post("/accounts/password/change/", form).status_code == 302
    assert "Your password was changed" in here.get(FACTORS).content.decode()
    assert here.get("/").status_code == 200
    assert there.get("/").status_code == 302
    assert mail.outbox[0].subject == "Your password was changed"


def test_a_forged_forwarding_header_is_not_believed(mara: Membership) -> None:
    forged = Client(headers={"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Host": "evil.example"})
    half_way(forged)
    assert UserSession.objects.get(user=mara.user).ip == "127.0.0.1"
