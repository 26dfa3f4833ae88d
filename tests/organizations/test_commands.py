"""``create_organization``, ``create_member`` and ``create_workspace`` as an operator runs them."""

import io
import json
import os
import subprocess
import sys

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command

from apps.core.embedded.paths import PROJECT_ROOT
from apps.core.tenancy import enter
from apps.organizations.directory import find_api_key, find_organization
from apps.organizations.models import Membership, RecordVolume
from apps.users.models import User
from apps.workspaces.models import Workspace

pytestmark = pytest.mark.django_db


def run(*arguments):
    """The JSON object that the command prints, the only thing on standard output."""
    out = io.StringIO()
    call_command(*arguments, "--json", stdout=out, stderr=io.StringIO())
    return json.loads(out.getvalue())


def create(slug="acme", email="olga@acme.example", *more):
    name = ["--name", slug.title(), "--slug", slug, "--owner-email", email]
    return run("create_organization", *name, *more)


def test_an_organization_comes_with_its_owner_and_a_key():
    answer = create("acme", "olga.b@acme.example", "--plan", "starter")
    assert list(answer) == ["organization", "slug", "owner"]
    owner = answer["owner"]
    assert list(owner) == ["id", "email", "username", "password", "api_key"]
    assert (answer["slug"], owner["username"]) == ("acme", "olga_b")
    assert str(find_organization("acme")) == answer["organization"]
    holder = find_api_key(owner["api_key"])
    assert str(holder.membership_id) == owner["id"]
    assert authenticate(None, email=owner["email"], password=owner["password"])
    with enter(holder.organization_id):
        assert Membership.objects.get().role == "owner"
        assert RecordVolume.objects.get().record_limit == 1_000_000


def test_the_owners_name_and_password_can_be_given():
    more = ["--owner-username", "boss", "--owner-password", "correct horse"]
    owner = create("acme", "olga@acme.example", *more)["owner"]
    assert (owner["username"], owner["password"]) == ("boss", "correct horse")


def test_an_account_of_another_organization_keeps_its_password():
    first = create("acme")["owner"]
    second = create("beta", "OLGA@acme.example", "--owner-password", "another")["owner"]
    assert second["password"] is None
    assert authenticate(None, email="olga@acme.example", password=first["password"])
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    ("slug", "email", "reason"),
    [
        ("acme", "x@acme.example", "slug 'acme' exists already"),
        ("Not A Slug", "x@acme.example", "valid"),
        ("admin", "x@acme.example", "reserved"),
        ("beta", "no address", "is not an e-mail address"),
    ],
)
def test_a_refused_organization_leaves_nothing_behind(slug, email, reason):
    create("acme")
    with pytest.raises(CommandError, match=reason) as caught:
        create(slug, email)
    assert caught.value.returncode == 1
    assert "\n" not in str(caught.value)
    assert find_organization("beta") is None
    assert User.objects.count() == 1


def test_a_member_without_an_address_logs_in_by_name():
    create("acme")
    run("create_workspace", "--organization", "acme", "--name", "lab")
    answer = run(
        *("create_member", "--organization", "acme", "--username", "anna", "--role", "reviewer"),
        *("--workspace", "lab"),
    )
    member = answer["member"]
    assert list(answer) == ["organization", "slug", "member"]
    assert (member["role"], member["email"], member["workspaces"]) == ("reviewer", None, ["lab"])
    assert authenticate(None, organization="acme", username="anna", password=member["password"])
    assert str(find_api_key(member["api_key"]).membership_id) == member["id"]
    with enter(find_organization("acme")):
        anna = Membership.objects.get(username="anna")
        assert [place.name for place in Workspace.objects.visible_to(anna)] == ["lab"]


def test_a_workspace_is_answered_with_its_id():
    organization = create("acme")
    answer = run("create_workspace", "--organization", "acme", "--name", "lab")
    assert answer["organization"] == organization["organization"]
    assert list(answer["workspace"]) == ["id", "name"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["create_member", "--organization", "none", "--username", "a"], "slug 'none'"),
        (["create_member", "--organization", "acme", "--username", "olga"], "is not unique"),
        (["create_workspace", "--organization", "none", "--name", "lab"], "slug 'none'"),
        (["create_workspace", "--organization", "acme", "--name", "a b"], "letters, digits"),
        (["create_workspace", "--organization", "acme", "--name", "lab"], "is not unique"),
    ],
)
def test_what_cannot_be_made_is_an_error_of_one_line(arguments, reason):
    create("acme")
    run("create_workspace", "--organization", "acme", "--name", "lab")
    with pytest.raises(CommandError, match=reason) as caught:
        run(*arguments)
    assert "\n" not in str(caught.value)


def test_a_member_who_cannot_join_is_not_made():
    create("acme")
    member = ["create_member", "--organization", "acme", "--username", "anna"]
    with pytest.raises(CommandError, match="no workspace called 'lab'"):
        run(*member, "--workspace", "lab")
    with enter(find_organization("acme")):
        assert not Membership.objects.filter(username="anna").exists()


def test_without_json_the_answer_is_lines():
    out = io.StringIO()
    arguments = ["--name", "Acme", "--slug", "acme", "--owner-email", "o@acme.example"]
    call_command("create_organization", *arguments, stdout=out)
    assert "owner username: o\n" in out.getvalue()


def test_a_database_that_does_not_run_is_said_at_once(tmp_path):
    command = ["manage.py", "create_workspace", "--organization", "acme", "--name", "lab", "--json"]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.endswith("_URL")},
        "STONEWARE_DATA_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "config.settings.development",
    }
    result = subprocess.run(
        [sys.executable, *command],
        cwd=PROJECT_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (result.returncode, result.stdout) == (1, "")
    [line] = result.stderr.splitlines()
    assert "manage.py up" in line
