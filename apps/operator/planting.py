"""Two organizations to look for leaks with: ours is as people use one, theirs is full of marks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any, Final
from uuid import UUID, uuid4

from django.apps import apps
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db import DatabaseError, connections, models, transaction
from django.utils import timezone

from apps.annotation.ingest import log_records
from apps.annotation.services import save_response
from apps.core.fields import TenantKey, TenantLink
from apps.core.tenancy import enter
from apps.datasets.models import Dataset, DatasetStatus, Field, Question
from apps.labeling.http import ORGANIZATION_KEY
from apps.organizations.models import Membership, Role
from apps.organizations.services import create_api_key, create_member, create_organization
from apps.records.inputs import RecordInput
from apps.records.models import Record
from apps.records.services import prepare_dataset
from apps.users.models import User
from apps.workspaces.services import add_workspace_member, create_workspace

BACKEND: Final = "allauth.account.auth_backends.AuthenticationBackend"
_LABELS: Final = {
    "type": "label_selection",
    "options": [
        {"value": "yes", "text": "Yes", "description": None},
        {"value": "no", "text": "No", "description": None},
    ],
    "visible_options": None,
}


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
        dataset = _dataset(workspace, mark)
        _answers(dataset, member, mark)
        if fill:
            _fill(mark)
        found.ids = _ids()
    return found


def uproot(planted: Planted) -> None:
    """Delete the organization with everything in it, and its accounts."""
    users = [caller.user.pk for caller in planted.callers if caller.user]
    with connections["operator"].cursor() as cursor:
        cursor.execute("DELETE FROM organization WHERE id = %s", [planted.organization_id])
    _delete_accounts(users)


def _delete_accounts(users: list[Any]) -> None:
    """With what hangs on them; their memberships have gone with the organization."""
    with transaction.atomic(), connections["default"].cursor() as cursor:
        for relation in User._meta.related_objects:
            table, column = relation.related_model._meta.db_table, relation.field.column
            if table != "membership":
                cursor.execute(f'DELETE FROM "{table}" WHERE "{column}" = ANY(%s)', [users])
        cursor.execute("DELETE FROM user_account WHERE id = ANY(%s)", [users])


def _dataset(workspace: Any, mark: str) -> Dataset:
    dataset = Dataset.objects.create(
        workspace=workspace,
        name=f"dataset-{mark}",
        guidelines=f"Guidelines {mark}",
        status=DatasetStatus.READY,
    )
    prepare_dataset(dataset=dataset)
    Field.objects.create(
        dataset=dataset,
        name="text",
        title=f"Text {mark}",
        required=True,
        settings={"type": "text", "use_markdown": False},
    )
    Question.objects.create(
        dataset=dataset, name="fine", title=f"Fine {mark}", required=True, settings=_LABELS
    )
    return dataset


def _answers(dataset: Dataset, member: Membership, mark: str) -> None:
    log_records(
        dataset=dataset,
        items=[RecordInput(fields={"text": f"Record {n} {mark}"}) for n in range(4)],
    )
    record = Record.objects.filter(dataset=dataset).in_order()[0]
    save_response(
        record=record, annotator=member, status="submitted", values={"fine": {"value": "yes"}}
    )


# --- A row of each table -------------------------------------------------------------------------
def _tables() -> list[type[models.Model]]:
    """Models of tenants whose rows have an id of their own."""
    return [
        model
        for model in apps.get_models()
        if any(one.column == "organization_id" for one in model._meta.local_fields)
        and model._meta.pk_fields
        and model._meta.pk_fields[0].name == "id"
    ]


def _ids() -> dict[str, UUID]:
    found = {}
    for model in _tables():
        row = model._default_manager.order_by("pk").values_list("pk", flat=True).first()
        if row is not None:
            found[model._meta.db_table] = row
    return found


def _fill(mark: str) -> None:
    """Twice over all tables: the first round may make what the second needs."""
    for _ in range(2):
        ids = _ids()
        for model in _tables():
            if model._meta.db_table not in ids:
                _try_row(model, mark, ids)


def _try_row(model: type[models.Model], mark: str, ids: Mapping[str, UUID]) -> None:
    values = {}
    for one in model._meta.local_concrete_fields:
        optional = one.null or one.has_default() or not one.column
        if not optional:
            values[one.attname] = _value(one, mark, ids)
    try:
        with transaction.atomic():
            model(**values).save(force_insert=True)
    except (DatabaseError, ValueError, TypeError):
        return  # it has rules of its own; an id that nobody has will stand for its rows


def _value(one: Any, mark: str, ids: Mapping[str, UUID]) -> Any:
    """Something of the column's type, with the mark where there is room for it."""
    if isinstance(one, TenantLink | TenantKey):
        return ids.get(one.related_model._meta.db_table, uuid4())
    if one.choices:
        return one.choices[0][0]
    return next(
        (make(mark) for kind, make in _MADE if isinstance(one, kind)),
        mark[: one.max_length] if getattr(one, "max_length", None) else mark,
    )


_MADE: Final[tuple[tuple[Any, Any], ...]] = (
    (models.UUIDField, lambda mark: uuid4()),
    (models.DateTimeField, lambda mark: timezone.now()),
    (models.DateField, lambda mark: timezone.now().date()),
    (models.JSONField, lambda mark: {"text": mark}),
    (models.BinaryField, lambda mark: mark.encode()),
    (models.BooleanField, lambda mark: False),
    (models.DecimalField | models.IntegerField | models.FloatField, lambda mark: 1),
)
