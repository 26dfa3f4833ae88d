"""Two organizations to look for leaks with: ours is as people use one, theirs is full of marks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Final
from uuid import UUID

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore

from apps.annotation.ingest import log_records
from apps.annotation.services import save_response
from apps.core.tenancy import enter
from apps.datasets.models import Dataset
from apps.datasets.services import create_dataset, create_field, create_question, publish_dataset
from apps.datasets.settings import LabelQuestion, TextField
from apps.exchange import specimens
from apps.labeling.http import ORGANIZATION_KEY
from apps.organizations.models import Membership, Role
from apps.organizations.services import create_api_key, create_member, create_organization
from apps.records.inputs import RecordInput
from apps.records.models import Record
from apps.records.services import prepare_dataset
from apps.users.models import User
from apps.workspaces.models import Workspace
from apps.workspaces.services import add_workspace_member, create_workspace

BACKEND: Final = "allauth.account.auth_backends.AuthenticationBackend"
_TEXT: Final = TextField(type="text")
_OPTIONS: Final = [{"value": "yes", "text": "Yes"}, {"value": "no", "text": "No"}]
_LABELS: Final = LabelQuestion.model_validate({"type": "label_selection", "options": _OPTIONS})


@dataclass
class Caller:
    """Somebody with a role: how they call the API, and how a browser of theirs is signed in."""

    role: str
    api_key: str = ""
    user: User | None = None
    organization_id: UUID | None = None

    def new_session(self) -> str:
        """The cookie of a browser that has just signed in; empty for a stranger."""
        if self.user is None:
            return ""
        session = SessionStore()
        session[SESSION_KEY] = str(self.user.pk)
        session[BACKEND_SESSION_KEY] = BACKEND
        session[HASH_SESSION_KEY] = self.user.get_session_auth_hash()
        session[ORGANIZATION_KEY] = str(self.organization_id)
        session.create()
        return str(session.session_key)


@dataclass
class Planted:
    """An organization, its people by role, and the id of one row of each table."""

    organization_id: UUID
    mark: str
    callers: list[Caller] = field(default_factory=list)
    ids: Mapping[str, UUID] = field(default_factory=dict)


def plant(name: str, *, fill: bool = False) -> Planted:
    """Make an organization whose every text has a mark in it.

    ``fill`` adds a row of each table that nothing made, as far as the table allows one.
    """
    mark = f"planted-{token_hex(6)}"
    organization = create_organization(name=f"{name} {mark}", slug=f"fuzz-{token_hex(5)}")
    found = Planted(organization.id, mark)
    with enter(organization.id):
        workspace = create_workspace(name=f"workspace-{mark}")
        for role in (Role.ANNOTATOR, Role.REVIEWER, Role.ADMIN, Role.OWNER):
            member = create_member(
                username=f"{role}-{mark}", role=role, email=f"{role}-{mark}@example.com"
            )
            add_workspace_member(workspace=workspace, member=member)
            key = create_api_key(member=member, name=f"key-{mark}"[:100])[1]
            found.callers.append(Caller(role, key, member.user, organization.id))
        dataset = _dataset(workspace, member, mark)
        _answers(dataset, member, mark)
        if fill:
            specimens.fill(mark)
        found.ids = specimens.find_ids()
    return found


def uproot(planted: Planted) -> None:
    """Delete the organization with everything in it, and its accounts."""
    users = [caller.user.pk for caller in planted.callers if caller.user]
    specimens.forget(planted.organization_id, users)


def _dataset(workspace: Workspace, author: Membership, mark: str) -> Dataset:
    dataset = create_dataset(
        workspace=workspace,
        name=f"dataset-{mark}",
        guidelines=f"Guidelines {mark}",
        author=author,
    )
    prepare_dataset(dataset=dataset)
    create_field(dataset=dataset, name="text", title=f"Text {mark}", settings=_TEXT, required=True)
    create_question(
        dataset=dataset, name="fine", title=f"Fine {mark}", settings=_LABELS, required=True
    )
    return publish_dataset(dataset=dataset)


def _answers(dataset: Dataset, member: Membership, mark: str) -> None:
    log_records(
        dataset=dataset,
        items=[RecordInput(fields={"text": f"Record {n} {mark}"}) for n in range(4)],
    )
    record = Record.objects.filter(dataset=dataset).in_order()[0]
    save_response(
        record=record, annotator=member, status="submitted", values={"fine": {"value": "yes"}}
    )
