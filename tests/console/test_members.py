"""Members on their pages: invited, given roles and workspaces, given back, let go."""

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.core import mail
from django.db import connections
from django.test import Client
from django.urls import reverse

from apps.annotation.distribution import claim
from apps.annotation.models import Annotator, Lease
from apps.core.tenancy import enter
from apps.datasets.models import Dataset
from apps.events.models import Event
from apps.organizations.models import Invitation, Membership
from apps.organizations.services import create_api_key
from apps.users.models import User
from apps.workspaces.models import Workspace, WorkspaceMembership
from tests import factories
from tests.conftest import ALL_DATABASES
from tests.console.conftest import BACKEND

SignIn = Callable[[Membership], Client]
PASSWORD = "a long pass phrase"
Capture = Any


def url(name: str, *arguments: Any) -> str:
    return reverse(f"console:{name}", args=arguments)


def ask(
    client: Client,
    workspace: Workspace,
    emails: str,
    role: str = "annotator",
    own: str = "inherited",
) -> Any:
    sent = {"emails": emails, "role": role, f"place-{workspace.id}": own}
    return client.post(url("invite"), sent)


def link(text: str) -> str:
    found = re.search(r"http://[^/]+(/invitations/\S+)", text)
    assert found
    return found[1]


@pytest.fixture
def letter(
    client: Client, workspace: Workspace, django_capture_on_commit_callbacks: Capture
) -> Callable[..., str]:
    """The address that an invited person is sent."""

    def sent(email: str = "ines@example.com", **values: Any) -> str:
        mail.outbox.clear()
        with django_capture_on_commit_callbacks(execute=True):
            assert ask(client, workspace, email, **values).status_code == 302
        (one,) = mail.outbox
        assert one.to == [email]
        return link(one.body)

    return sent


def row(page: Any, member: Membership) -> str:
    text = page.content.decode()
    found = re.search(rf'<tr id="m-{member.id}">.*?</tr>', text, re.DOTALL)
    assert found
    return found[0]


# --- The table -----------------------------------------------------------------------------------


def test_the_table_tells_who_is_here(
    client: Client, olga: Membership, workspace: Workspace
) -> None:
    bo = factories.make_member(role="admin", first_name="Bo", email="bo@example.com")
    WorkspaceMembership.objects.create(workspace=workspace, membership=bo, role="reviewer")
    Authenticator.objects.create(user=bo.user, type="totp", data={})
    never = factories.make_member(username="nora")
    page = client.get(url("members"))
    assert page.status_code == 200
    told = row(page, bo)
    assert "bo@example.com" in told
    assert f"{workspace.name}: Reviewer" in told
    assert "code app" in told
    assert "never" in row(page, never)
    assert "just now" in row(client.get(url("members")), olga)
    for search in ("BO@ex", "BO\0@ex"):
        found = client.get(url("members"), {"q": search}).content.decode()
        assert f'id="m-{bo.id}"' in found
        assert f'id="m-{never.id}"' not in found


def test_the_number_of_queries_does_not_grow(
    client: Client, workspace: Workspace, django_assert_max_num_queries: Any
) -> None:
    for n in range(12):
        factories.make_member(workspace=workspace, email=f"m{n}@example.com")
    client.get(url("members"))
    with django_assert_max_num_queries(16):
        client.get(url("members"))


@pytest.mark.parametrize("role", ["reviewer", "annotator"])
def test_others_are_kept_out(sign_in: SignIn, olga: Membership, role: str) -> None:
    client = sign_in(factories.make_member(role=role))
    for name in ("members", "invite"):
        assert client.get(url(name)).status_code == 403
    assert client.get(url("member", olga.id)).status_code == 403
    for name in ("member_role", "member_places", "member_work", "member_deactivate"):
        assert client.post(url(name, olga.id), {"role": "annotator"}).status_code == 403
    assert "settings/members" not in client.get("/").content.decode()


def test_a_role_is_given_in_the_table(client: Client, olga: Membership) -> None:
    ann = factories.make_member(username="ann")
    path = url("member_role", ann.id)
    swapped = client.post(path, {"role": "reviewer"}, headers={"HX-Request": "true"})
    assert swapped.content.decode().strip().startswith(f'<tr id="m-{ann.id}">')
    assert 'value="reviewer" selected' in swapped.content.decode()
    assert client.post(path, {"role": "admin"}).status_code == 302
    ann.refresh_from_db()
    assert ann.role == "admin"
    for role in ("king", ""):
        assert client.post(path, {"role": role}).status_code == 422
    alone = client.post(url("member_role", olga.id), {"role": "admin"})
    assert alone.status_code == 422
    assert "at least one owner" in alone.content.decode()


def test_an_admin_changes_no_owner_and_makes_none(
    sign_in: SignIn, olga: Membership, workspace: Workspace
) -> None:
    admin = factories.make_member(role="admin", workspace=workspace)
    other, client = factories.make_member(), sign_in(admin)
    assert client.post(url("member_role", olga.id), {"role": "admin"}).status_code == 403
    assert client.post(url("member_role", other.id), {"role": "owner"}).status_code == 403
    assert client.post(url("member_deactivate", olga.id), {"name": "olga"}).status_code == 403
    assert ask(client, workspace, "new@example.com", role="owner").status_code == 422
    page = client.get(url("members"))
    assert "<select" not in row(page, olga)
    assert 'value="owner"' not in row(page, other)
    assert "change nothing" in client.get(url("member", olga.id)).content.decode()
    olga.refresh_from_db()
    assert (olga.role, olga.is_active) == ("owner", True)


def test_in_the_table_too_a_role_stays_below_ones_own_elsewhere(
    sign_in: SignIn, workspace: Workspace
) -> None:
    """Whom a script asks for gets the row, with the word of what was refused."""
    client = sign_in(factories.make_member(role="admin"))
    ann = factories.make_member(workspace=workspace)
    path = url("member_role", ann.id)
    for headers in ({"HX-Request": "true"}, {}):
        refused = client.post(path, {"role": "reviewer"}, headers=headers)
        assert refused.status_code == 403
        assert "In one of their workspaces" in refused.content.decode()
    assert refused.content.decode().count(f'id="m-{ann.id}"') == 1
    ann.refresh_from_db()
    assert ann.role == "annotator"


def test_an_invitation_names_no_workspace_that_one_does_not_see(
    sign_in: SignIn, client: Client, workspace: Workspace
) -> None:
    hidden = factories.make_workspace("hidden-place")
    for place, email in ((workspace, "a@example.com"), (hidden, "b@example.com")):
        assert ask(client, place, email).status_code == 302
    admin = sign_in(factories.make_member(role="admin", workspace=workspace))
    page = admin.get(url("members"))
    assert "hidden-place" not in page.content.decode()
    told = {one.invitation.email: one.may_act for one in page.context["invitations"]}
    assert told == {"a@example.com": True, "b@example.com": False}
    again = Invitation.objects.get(email="b@example.com")
    for act in ("invitation_again", "invitation_revoke"):
        assert admin.post(url(act, again.id)).status_code == 404
    assert Invitation.objects.waiting().filter(pk=again.pk).exists()


# --- Invitations ---------------------------------------------------------------------------------


def test_many_are_invited_at_once(
    client: Client, workspace: Workspace, django_capture_on_commit_callbacks: Capture
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        sent = ask(client, workspace, "Lea <lea@example.com>, sam@example.com\nKIM@example.com")
    assert sent.status_code == 302
    assert sorted(one.to[0] for one in mail.outbox) == [
        "kim@example.com",
        "lea@example.com",
        "sam@example.com",
    ]
    for one in mail.outbox:
        assert "olga invites you to Acme" in one.subject
        html = one.alternatives[0][0]
        assert f"{workspace.name}: Annotator" in one.body
        assert link(html.replace('"', " ")) == link(one.body)
    page = client.get(url("members")).content.decode()
    assert "lea@example.com" in page
    assert len({link(one.body) for one in mail.outbox}) == 3


def test_a_site_without_mail_server_says_so(client: Client, settings: Any) -> None:
    told = "no mail server yet"
    assert told not in client.get(url("members"), {"invited": 1}).content.decode()
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    assert told in client.get(url("members"), {"invited": 1}).content.decode()


def test_each_wrong_line_is_told_and_nobody_is_invited(
    client: Client, workspace: Workspace
) -> None:
    factories.make_member(email="bo@example.com")
    ask(client, workspace, "waiting@example.com")
    text = "lea@example.com\nsam.example.com\nBo@example.com\nwaiting@example.com\nlea@example.com"
    refused = client.post(url("invite"), {"emails": text, "role": "annotator"})
    page = refused.content.decode()
    assert refused.status_code == 422
    assert "Nobody was invited yet." in page
    for told in (
        "Line 2 is not an e-mail address.",
        "Line 3 is a member already.",
        "Line 4 is invited already.",
        "Line 5 is there twice.",
        "This role needs at least one workspace.",
        "sam.example.com",
    ):
        assert told in page
    assert Invitation.objects.count() == 1
    many = "\n".join(f"p{n}@example.com" for n in range(101))
    assert "At most 100 people" in ask(client, workspace, many).content.decode()


@pytest.mark.parametrize("own", ["owner", "king"])
def test_a_role_that_there_is_not_is_refused(
    client: Client, workspace: Workspace, own: str
) -> None:
    assert ask(client, workspace, "lea@example.com", own=own).status_code == 422
    assert not Invitation.objects.exists()


def test_a_newcomer_names_themselves_and_is_in(
    letter: Callable[..., str], workspace: Workspace
) -> None:
    path = letter(role="reviewer", own="annotator")
    client = Client()
    page = client.get(path).content.decode()
    for told in ("Join Acme", "olga", "Reviewer", f"{workspace.name}: Annotator", "ines@example"):
        assert told in page
    short = client.post(path, {"first_name": "Ines", "password": "short"})
    assert short.status_code == 422
    assert not User.objects.filter(email="ines@example.com").exists()
    done = client.post(path, {"first_name": "Ines", "last_name": "Sá", "password": PASSWORD})
    assert (done.status_code, done["Location"]) == (302, "/")
    assert "Ines" in client.get("/").content.decode()
    member = Membership.objects.get(user__email="ines@example.com")
    assert (member.role, member.display_name) == ("reviewer", "Ines Sá")
    assert EmailAddress.objects.get(user=member.user).verified
    assert Client().login(email="ines@example.com", password=PASSWORD)
    for replay in (Client().get(path), Client().post(path, {"first_name": "x", "password": "y"})):
        assert replay.status_code == 404
        assert "no longer holds" in replay.content.decode()


def test_who_has_an_account_signs_in_with_it(letter: Callable[..., str]) -> None:
    user = User.objects.create_user("ines@example.com", PASSWORD)
    other = User.objects.create_user("tom@example.com", PASSWORD)
    path = letter()
    stranger, wrong, right = Client(), Client(), Client()
    page = stranger.get(path).content.decode()
    assert f"/accounts/login/?next={path}" in page
    assert "password" not in page.lower()
    assert stranger.post(path, {"first_name": "x", "password": PASSWORD}).status_code == 403
    wrong.force_login(other, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert "another account" in wrong.get(path).content.decode()
    assert wrong.post(path).status_code == 403
    assert not Membership.objects.filter(user__in=[user, other]).exists()
    right.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert "Accept" in right.get(path).content.decode()
    assert right.post(path).status_code == 302
    assert Membership.objects.get(user=user).is_active
    assert right.get("/").status_code == 200


def test_a_link_ends_when_it_is_sent_again_or_taken_back(
    client: Client, letter: Callable[..., str], django_capture_on_commit_callbacks: Capture
) -> None:
    first = letter()
    (invitation,) = Invitation.objects.all()
    with django_capture_on_commit_callbacks(execute=True):
        client.post(url("invitation_again", invitation.id))
    second = link(mail.outbox[-1].body)
    assert Client().get(first).status_code == 404
    assert Client().get(second).status_code == 200
    assert client.post(url("invitation_revoke", invitation.id)).status_code == 302
    assert Client().get(second).status_code == 404
    assert client.post(url("invitation_revoke", invitation.id)).status_code == 404
    assert "ines@example.com" not in client.get(url("members")).content.decode()


@pytest.mark.parametrize("token", ["x", "x" * 43, "%00", "'; --", "é" * 200])
def test_no_token_at_all(client: Client, token: str) -> None:
    for method in (client.get, client.post):
        assert method(f"/invitations/{token}/").status_code == 404


HOSTILE = "<script>alert(1)</script>\"'&\r\nBcc: all@example.com ${7*7}"


def test_a_hostile_name_is_text_wherever_it_is_shown(
    client: Client, olga: Membership, letter: Callable[..., str]
) -> None:
    Membership.objects.filter(pk=olga.pk).update(first_name=HOSTILE)
    path = letter()
    (sent,) = mail.outbox
    assert "\n" not in sent.subject
    assert sent.bcc == []
    html = sent.alternatives[0][0]
    pages = [client.get(url("members")), client.get(url("member", olga.id)), Client().get(path)]
    for text in [html, *(page.content.decode() for page in pages)]:
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert" in text


# --- One member ----------------------------------------------------------------------------------


def test_workspaces_are_given_and_taken(client: Client, workspace: Workspace) -> None:
    ann, second = factories.make_member(workspace=workspace), factories.make_workspace()
    path = url("member_places", ann.id)
    sent = {f"place-{workspace.id}": "admin", f"place-{second.id}": "inherited"}
    assert client.post(path, sent).status_code == 302
    held = WorkspaceMembership.objects.filter(membership=ann)
    assert dict(held.values_list("workspace", "role")) == {workspace.id: "admin", second.id: None}
    page = client.get(url("member", ann.id)).content.decode()
    assert 'value="admin" selected' in page
    assert client.post(path, {f"place-{second.id}": "owner"}).status_code == 422
    client.post(path, {})
    assert not held.exists()


def test_a_quota_is_set(client: Client, dataset: Dataset, workspace: Workspace) -> None:
    ann = factories.make_member(workspace=workspace)
    path = url("member_quota", ann.id)
    sent = {"dataset": str(dataset.id), "daily_quota": "7", "total_quota": ""}
    assert client.post(path, sent).status_code == 302
    place = Annotator.objects.get(user=ann, dataset=dataset)
    assert (place.daily_quota, place.total_quota) == (7, None)
    assert client.post(path, {**sent, "daily_quota": "-1"}).status_code == 422
    assert client.post(path, {**sent, "dataset": "nonsense"}).status_code == 404
    hidden = factories.make_member()  # answers nothing there
    assert client.post(url("member_quota", hidden.id), sent).status_code == 404
    event = Event.objects.get(kind="dataset.quotas_set")
    assert event.payload["changes"]["daily_quota"] == [None, 7]


def test_open_work_is_handed_over(client: Client, dataset: Dataset, workspace: Workspace) -> None:
    ann, cy = (factories.make_member(workspace=workspace) for _ in range(2))
    claim(dataset=dataset, annotator=ann, limit=2)
    assert "2 records in hand" in client.get(url("member", ann.id)).content.decode()
    done = client.post(url("member_work", ann.id), {"heir": str(cy.id)})
    assert "Handed over: 2 held" in client.get(done["Location"]).content.decode()
    assert Lease.objects.filter(user=cy).count() == 2
    client.post(url("member_work", cy.id), {"heir": ""})
    assert not Lease.objects.exists()
    for heir in ("nonsense", str(dataset.id)):
        assert client.post(url("member_work", ann.id), {"heir": heir}).status_code == 404


def test_a_member_is_let_go(
    client: Client, sign_in: SignIn, workspace: Workspace, letter: Callable[..., str]
) -> None:
    ann = factories.make_member(
        username="ann", first_name="Ann", email="ann@example.com", workspace=workspace
    )
    session, (_row, key) = sign_in(ann), create_api_key(member=ann)
    assert session.get("/datasets/").status_code == 200
    path = url("member_deactivate", ann.id)
    assert client.post(path, {"name": "an"}).status_code == 422
    assert client.post(path, {"name": "ann"}).status_code == 302
    assert session.get("/datasets/").status_code == 302
    answer = Client().get("/api/v1/me", headers={"X-Argilla-Api-Key": key})
    assert answer.status_code == 401
    page = client.get(url("members")).content.decode()
    assert f"Former member {ann.id.hex[-6:]}" in page
    assert "ann@example.com" not in page
    assert client.get(url("member", ann.id)).status_code == 404
    back = client.get(f"{url('invite')}?former={ann.id}").content.decode()
    assert f"Ask Former member {ann.id.hex[-6:]} back" in back


def test_the_last_owner_does_not_leave(client: Client, olga: Membership) -> None:
    refused = client.post(url("member_deactivate", olga.id), {"name": "olga"})
    assert refused.status_code == 422
    assert "at least one owner" in refused.content.decode()


@pytest.mark.django_db(transaction=True, databases=ALL_DATABASES)
@pytest.mark.parametrize(
    "act", ["lower themselves", "lower each other", "leave", "let each other go"]
)
def test_of_two_owners_who_go_at_once_one_stays(act: str) -> None:
    organization_id = factories.make_organization().id
    with enter(organization_id):
        pair = [factories.make_member(role="owner", username=name) for name in ("ada", "bea")]
    clients = [Client(), Client()]
    for client, member in zip(clients, pair, strict=True):
        client.force_login(member.user, backend=BACKEND)
        client.get("/")
    barrier, codes = threading.Barrier(2), list[int]()

    def go(number: int) -> None:
        member = pair[number] if act in {"lower themselves", "leave"} else pair[1 - number]
        name, sent = "member_deactivate", {"name": member.username}
        if act.startswith("lower"):
            name, sent = "member_role", {"role": "annotator"}
        barrier.wait(timeout=10)
        try:
            codes.append(clients[number].post(url(name, member.id), sent).status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=go, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes.count(302) == 1
    assert {302} < set(codes) <= {302, 403, 404, 422}
    with enter(organization_id):
        assert Membership.objects.active().filter(role="owner").count() == 1
