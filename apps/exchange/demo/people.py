"""The demo's organization and people, and the file that tells how to log in as them."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from apps.organizations import directory
from apps.organizations.management.members import add_member
from apps.organizations.management.operator import new_password
from apps.organizations.models import Membership, Role
from apps.organizations.services import create_api_key, create_organization
from apps.workspaces.models import Workspace
from apps.workspaces.services import add_workspace_member, create_workspace

SLUG: Final = "demo"
WORKSPACE: Final = "demo"
OWNER: Final = "owner"
REVIEWER: Final = "robin"
ADDRESSES: Final = {
    "owner": "owner@demo.example",
    "robin": "robin@demo.example",
    "anna": "anna@demo.example",
}
ROLES: Final = {
    OWNER: Role.OWNER,
    REVIEWER: Role.REVIEWER,
    "anna": Role.ANNOTATOR,
    "ben": Role.ANNOTATOR,
    "cleo": Role.ANNOTATOR,
}
_SHOWN: Final = ("email", "password", "username", "api_key")


def find_or_create_organization() -> UUID:
    """The demo organization's id."""
    return directory.find_organization(SLUG) or create_organization(name="Demo", slug=SLUG).id


def find_or_create_workspace() -> Workspace:
    """The workspace of the entered demo organization."""
    return Workspace.objects.filter(name=WORKSPACE).first() or create_workspace(name=WORKSPACE)


def renew_people(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """Everyone with a new password and a new API key, by username; created where missing.

    Runs inside the organization. The accounts are the demo's own: their addresses lie in a
    domain that nobody can have.
    """
    return {username: _renew(username, workspace) for username in ROLES}


def _renew(username: str, workspace: Workspace) -> dict[str, Any]:
    member = Membership.objects.select_related("user").filter(username=username).first()
    email = ADDRESSES.get(username)
    if member is None:
        person = add_member(username=username, role=ROLES[username], email=email)
        member = Membership.objects.select_related("user").get(username=username)
        if username != OWNER:
            add_workspace_member(workspace=workspace, member=member)
    else:
        person = {"email": email, "username": username}
        person["api_key"] = create_api_key(member=member, name="demo")[1]
        person["password"] = None
    if person["password"] is None and member.user is not None:
        person["password"] = new_password()
        member.user.set_password(person["password"])
        member.user.save(update_fields=["password"])
    return {name: person[name] for name in _SHOWN}


def write_credentials(file: Path, *, url: str, people: Mapping[str, Mapping[str, Any]]) -> None:
    """Write who is who, readable by the owner of the instance only (mode 0600)."""
    credentials = {
        "url": url,
        "organization": SLUG,
        "owner": people[OWNER],
        "reviewer": people[REVIEWER],
        "annotators": [people[name] for name, role in ROLES.items() if role == Role.ANNOTATOR],
    }
    part = file.with_name(f"{file.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as target:
        target.write(json.dumps(credentials, indent=2, ensure_ascii=False) + "\n")
    part.replace(file)


def is_known(file: Path) -> bool:
    """Whether the file tells of an organization that is there, whose owner's key works."""
    try:
        credentials = json.loads(file.read_text())
        key = credentials["owner"]["api_key"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return False
    holder = directory.find_api_key(key)
    return holder is not None and holder.organization_id == directory.find_organization(SLUG)
