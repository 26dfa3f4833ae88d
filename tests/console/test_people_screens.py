"""The pages of people in a real browser: axe, widths, and a second browser that comes in.

``SCREENS=folder`` leaves a picture of each.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from allauth.mfa.models import Authenticator
from django.core import mail
from django.test import Client
from django.utils import timezone

from apps.annotation.distribution import claim
from apps.organizations.models import ApiKey, Invitation, Membership
from apps.organizations.services import create_api_key
from apps.users.models import User
from apps.webhooks.models import DeliveryStatus, Webhook, WebhookDelivery
from apps.webhooks.services import create_webhook
from apps.workspaces import invitations, people
from apps.workspaces.models import Workspace, WorkspaceMembership
from tests import factories
from tests.console.conftest import BACKEND
from tests.console.test_screens import look
from tests.labeling.conftest import Site
from tests.labeling.test_accessibility import NARROW, WIDE

pytestmark = pytest.mark.browser

Visit = Callable[..., Any]


@dataclass
class World:
    """An organization with people of every kind, invitations, keys and a webhook."""

    site: Site
    owner: Membership
    bo: Membership
    ana: Membership
    webhook: Webhook
    tokens: dict[str, str]
    club: Workspace

    def open(self, visit: Visit, who: Membership | None = None, **options: Any) -> Any:
        page = visit(signed_in=False, **options)
        client, user = Client(), (who or self.owner).user
        assert user is not None
        client.force_login(user, backend=BACKEND)
        value = client.cookies["sessionid"].value
        page.context.add_cookies([{"name": "sessionid", "value": value, "url": self.site.url}])
        return page


def _person(role: str, first: str, last: str, **values: Any) -> Membership:
    return factories.make_member(
        role=role,
        username=first.lower(),
        first_name=first,
        last_name=last,
        email=f"{first.lower()}-{uuid4().hex[:6]}@acmepay.example",
        **values,
    )


@pytest.fixture
def world(site: Site, settings: Any) -> World:
    settings.OUTBOUND_ALLOW = [("127.0.0.1", 9)]
    now = timezone.now()
    with site.inside():
        team = Workspace.objects.get(id=site.dataset.workspace_id)
        club = factories.make_workspace("film-club")
        owner = _person("owner", "Olga", "Ruiz")
        bo, ana = _person("admin", "Bo", "Lindqvist"), _person("annotator", "Ana", "Neves")
        WorkspaceMembership.objects.create(workspace=team, membership=bo, role="reviewer")
        WorkspaceMembership.objects.create(workspace=team, membership=ana)
        WorkspaceMembership.objects.create(workspace=club, membership=ana, role="admin")
        for one, kind in ((owner, "webauthn"), (bo, "webauthn"), (ana, "totp")):
            Authenticator.objects.create(user=one.user, type=kind, data={})
        for one, ago in ((bo, timedelta(minutes=4)), (ana, timedelta(hours=1))):
            Membership.objects.filter(pk=one.pk).update(last_seen_at=now - ago)
        claim(dataset=site.dataset, annotator=ana, limit=2)
        people.deactivate(actor=owner, member=_person("annotator", "Gone", "By"))
        tokens = _invite(owner, team, club)
        create_api_key(member=owner, name="nightly import", scopes=["read", "write"])
        create_api_key(member=ana, name="notebook")
        ApiKey.objects.filter(name="notebook").update(
            last_used_at=now - timedelta(hours=3),
            last_used_address="203.0.113.9",
            expires_at=now - timedelta(hours=1),
        )
        webhook = _webhook()
    return World(site, owner, bo, ana, webhook, tokens, club)


def _invite(owner: Membership, team: Workspace, club: Workspace) -> dict[str, str]:
    User.objects.get_or_create(email="tom@labelworks.example")
    tokens = {}
    for email, place in (
        ("ines@acmepay.example", team),
        ("tom@labelworks.example", club),
        ("rui@acmepay.example", team),
    ):
        (sent,) = invitations.invite(
            actor=owner, emails=[email], role="annotator", places={place.id: None}
        )
        tokens[email.partition("@")[0]] = sent.token
    past = timezone.now() - timedelta(days=2)
    Invitation.objects.filter(email__startswith="rui").update(expires_at=past)
    return tokens


def _webhook() -> Webhook:
    webhook = create_webhook(
        url="http://127.0.0.1:9/hook",
        events=["record.created", "record.completed", "response.created"],
        description="The warehouse",
    )
    for status in (DeliveryStatus.DELIVERED, DeliveryStatus.DEAD, DeliveryStatus.PENDING):
        WebhookDelivery.objects.create(
            webhook=webhook,
            type="record.created",
            body='{"type":"record.created","data":{"fields":{"text":"x"}}}',
            status=status,
            attempts=2,
            status_code=200 if status == DeliveryStatus.DELIVERED else None,
            error=None if status == DeliveryStatus.DELIVERED else "Connection refused",
            next_attempt_at=timezone.now() if status == DeliveryStatus.PENDING else None,
        )
    return webhook


def paths(world: World) -> dict[str, str]:
    settings = "/settings/"
    return {
        "members": f"{settings}members/",
        "members none found": f"{settings}members/?q=qqqq",
        "members invite": f"{settings}members/invite/",
        "member": f"{settings}members/{world.ana.id}/",
        "member owner": f"{settings}members/{world.owner.id}/",
        "workspaces": f"{settings}workspaces/",
        "workspace": f"{settings}workspaces/{world.club.id}/",
        "keys": f"{settings}keys/",
        "webhooks": f"{settings}webhooks/",
        "webhook": f"{settings}webhooks/{world.webhook.id}/",
        "webhook dead": f"{settings}webhooks/{world.webhook.id}/?state=dead",
        "webhook new": f"{settings}webhooks/new/",
    }


def _invite_wrongly(page: Any) -> None:
    page.fill("#emails", "lea@acmepay.example\nsam.acmepay.example\nines@acmepay.example")
    page.click("main section form .btn.main")
    page.wait_for_selector("#errors")


def _lower_the_owner(page: Any) -> None:
    row = page.locator("tr", has_text="Olga Ruiz")
    row.locator("select").select_option("admin")
    row.locator(".err").wait_for()


def _make_no_workspace(page: Any) -> None:
    page.fill("#name", "two words")
    page.click("main form .btn.main")
    page.wait_for_selector(".err")


def _set_a_budget(page: Any) -> None:
    page.fill("#budget-usd", "12.50")
    page.fill("#budget-tokens", "2000000")
    page.click("#budget form button")
    page.wait_for_selector("#budget progress")


def _set_no_budget(page: Any) -> None:
    page.fill("#budget-usd", "a lot")
    page.fill("#budget-tokens", "-1")
    page.click("#budget form button")
    page.wait_for_selector("#errors")


def _make_key(page: Any) -> None:
    page.fill("#key-name", "laptop")
    page.click("main form .btn.main")
    page.wait_for_selector("#once")


def _make_no_key(page: Any) -> None:
    page.click("main form .btn.main")
    page.wait_for_selector("#errors")


def _look_inside(page: Any) -> None:
    page.locator("details summary").first.click()
    page.locator(".payload").first.wait_for()


def _change_nothing(page: Any) -> None:
    page.fill("#url", "ftp://x")
    page.locator("main section form .btn.main").first.click()
    page.wait_for_selector("#errors")


ACTS: dict[str, tuple[Callable[[Any], None], ...]] = {
    "members": (_lower_the_owner,),
    "members invite": (_invite_wrongly,),
    "workspaces": (_make_no_workspace,),
    "workspace": (_set_a_budget, _set_no_budget),
    "keys": (_make_key, _make_no_key),
    "webhook": (_look_inside, _change_nothing),
}


@pytest.mark.parametrize(
    ("size", "language"), [(WIDE, "en"), (NARROW, "de")], ids=["wide", "narrow"]
)
def test_axe_finds_nothing(world: World, visit: Visit, size: dict[str, int], language: str) -> None:
    with world.site.inside():
        User.objects.update(language=language)
    page = world.open(visit, viewport=size, locale=language)
    found: list[str] = []
    for name, path in paths(world).items():
        for number, act in enumerate((None, *ACTS.get(name, ()))):
            page.goto(world.site.url + path)
            if act is not None:
                act(page)
            found += look(page, f"{name} {number or ''}".strip(), size["width"])
    admin = world.open(visit, world.bo, viewport=size, locale=language)
    admin.goto(f"{world.site.url}/settings/members/{world.owner.id}/")
    found += look(admin, "member above", size["width"])
    outside = visit(signed_in=False, viewport=size, locale=language)
    for name, token in {**world.tokens, "none": "x" * 43}.items():
        for client, word in ((outside, "outside"), (page, "another")):
            client.goto(f"{world.site.url}/invitations/{token}/")
            found += look(client, f"invitation {name} {word}", size["width"])
    assert found == []


def test_a_role_is_given_in_place_by_keyboard(world: World, visit: Visit) -> None:
    page = world.open(visit)
    page.goto(f"{world.site.url}/settings/members/")
    page.evaluate("() => { window.same = true; }")
    select = page.locator(f"#role-{world.ana.id}")
    select.focus()
    select.select_option("reviewer")
    page.locator(f"#m-{world.ana.id} [role=status]").wait_for()
    assert page.evaluate("() => window.same")
    assert page.evaluate("() => document.activeElement.id") == f"role-{world.ana.id}"
    with world.site.inside():
        assert Membership.objects.get(pk=world.ana.pk).role == "reviewer"


def test_an_invited_person_comes_in_with_a_browser_of_their_own(world: World, visit: Visit) -> None:
    email = f"kim-{uuid4().hex[:8]}@acmepay.example"
    page = world.open(visit)
    page.goto(f"{world.site.url}/settings/members/invite/")
    page.fill("#emails", email)
    page.locator("fieldset select").last.select_option("annotator")
    page.click("main section form .btn.main")
    page.wait_for_selector(".note.ok")
    (letter,) = [one for one in mail.outbox if one.to == [email]]
    found = re.search(r"http\S+/invitations/\S+", letter.body)
    assert found
    other = visit(signed_in=False)
    other.goto(found[0])
    assert "Join Acme" in other.inner_text("h1")
    other.fill("[name=first_name]", "Kim")
    other.fill("[name=password]", "a long pass phrase")
    other.click("main form .btn.main")
    other.wait_for_selector(".console")
    other.goto(f"{world.site.url}/datasets/")
    assert "travel-notes" in other.inner_text("main")
    page.goto(f"{world.site.url}/settings/members/?q={email}")
    assert "Kim" in page.inner_text("main table")
    other.goto(found[0])
    assert "no longer holds" in other.inner_text("h1")


def test_it_works_without_scripts(world: World, visit: Visit) -> None:
    page = world.open(visit, java_script_enabled=False)
    page.goto(f"{world.site.url}/settings/members/")
    row = page.locator(f"#m-{world.ana.id}")
    row.locator("select").select_option("reviewer")
    row.locator("button").click()
    page.wait_for_selector(".note.ok")
    with world.site.inside():
        assert Membership.objects.get(pk=world.ana.pk).role == "reviewer"
