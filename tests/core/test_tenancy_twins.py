"""Two organizations with the same names and the same ids of everything: neither meets the other.

Every statement here forgets the organization, as a careless query would. All run as the
application's role.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

import psycopg
import pytest
from django.apps import apps
from django.db import DatabaseError, DataError, IntegrityError, connection, models, transaction
from django.db.models import NOT_PROVIDED, Model
from django.utils import timezone
from pgvector.django import VectorField

from apps.core.fields import TenantKey, TenantLink
from apps.core.tenancy import OutsideOrganizationError, enter
from apps.organizations.models import Organization
from tests.core.test_tenancy_contract import APPEND_ONLY
from tests.factories import make_organization

pytestmark = pytest.mark.django_db

# What a row needs beyond its columns' types; a new table that needs more is added here.
NUMBERED = {"twin": 1, "only-theirs": 2}
SAMPLES: dict[str, Any] = {
    "event_seal": lambda variant: {"number": NUMBERED[variant], "up_to": NUMBERED[variant]},
    "field": {"settings": {"type": "text"}},
    "question": {"settings": {"type": "text"}},
    "metadata_property": {"settings": {"type": "terms"}},
    "record_metadata": {"term": "a"},
    "record_vector": {"embedding": [1.0, 2.0]},
    "record_search": {"document": "word"},
    "response_version": {"status": None},
    "webhook": {"events": ["record.created"]},
    "webhook_delivery": {"next_attempt_at": timezone.now()},
    "draft": {
        "state": "accepted",
        "decision": UUID(int=1),
        "decided_at": timezone.now(),
        "written": {},
        "edited_at": timezone.now(),
    },
    "llm_batch": {"next_look_at": timezone.now()},
    "usage_month": {"month": date(2026, 1, 1)},
    "support_access": {"ends_at": timezone.now() + timedelta(days=365)},
}


def is_walled(model: type[Model]) -> bool:
    return any(f.column == "organization_id" for f in model._meta.local_fields)


def parents(model: type[Model]) -> list[models.ForeignKey[Any, Any]]:
    return [
        field
        for field in model._meta.local_fields
        if isinstance(field, TenantLink | TenantKey) and field.column != "organization_id"
    ]


def in_order() -> list[type[Model]]:
    """Every walled model, parents first."""
    waiting = [model for model in apps.get_models() if is_walled(model)]
    ordered: list[type[Model]] = []
    while waiting:
        ready = [m for m in waiting if all(f.related_model in [*ordered, m] for f in parents(m))]
        ordered += ready
        waiting = [model for model in waiting if model not in ready]
    return ordered


MODELS = in_order()
ORGANIZATION: type[Model] = Organization
EVERY_MODEL = [ORGANIZATION, *MODELS]


def id_of(model: Any, variant: str) -> UUID:
    """Of a row that lies beside its parent, the parent's."""
    while isinstance(model._meta.pk, TenantKey):
        model = model._meta.pk.related_model
    return uuid5(NAMESPACE_OID, f"{model._meta.db_table} {variant}")


def value_of(field: Any, variant: str) -> Any:
    if isinstance(field, TenantLink | TenantKey):
        return id_of(field.related_model, variant)
    if field.choices:
        return field.choices[0][0]
    if isinstance(field, models.UUIDField):
        return id_of(field.model, variant)
    if isinstance(field, models.DateTimeField):
        return timezone.now()
    if isinstance(field, models.DateField):
        return timezone.now().date()
    if isinstance(field, models.JSONField):
        return {}
    if isinstance(field, models.BinaryField):
        return variant.encode()
    if isinstance(field, VectorField):
        return [1.0]
    return variant if isinstance(field, models.CharField | models.TextField) else 1


def fill(variant: str) -> None:
    """A row in every walled table of the entered organization."""
    for model in MODELS:
        sample = SAMPLES.get(model._meta.db_table, {})
        values = dict(sample(variant) if callable(sample) else sample)
        for field in model._meta.local_concrete_fields:
            optional = field.null or field.default is not NOT_PROVIDED or not field.column
            if field.name not in values and (field.name == "id" or not optional):
                values[field.attname] = value_of(field, variant)
        if (
            "organization" in [f.name for f in model._meta.pk_fields]
            and len(model._meta.pk_fields) == 1
        ):
            continue  # one row an organization, which is there from the start
        model(**values).save(force_insert=True)


@pytest.fixture
def twins() -> tuple[UUID, UUID]:
    """``(ours, theirs)``; theirs has a second row of everything, with ids that ours lacks."""
    ours, theirs = make_organization("Twin").id, make_organization("Twin").id
    with enter(ours):
        fill("twin")
    with enter(theirs):
        fill("twin")
        fill("only-theirs")
    return ours, theirs


@pytest.fixture
def inside(twins: tuple[UUID, UUID]) -> Iterator[UUID]:
    """We are inside our organization; gives the id of theirs."""
    with enter(twins[0]):
        yield twins[1]


def rows(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def tenant_column(model: type[Model]) -> str:
    return "id" if model is ORGANIZATION else "organization_id"


def fingerprints(organization_id: UUID) -> dict[str, str]:
    """What the organization's rows hold, table by table."""
    with enter(organization_id):
        return {
            model._meta.db_table: rows(
                "SELECT coalesce(md5(string_agg(t::text, ',' ORDER BY t::text)), '')"  # noqa: S608
                f' FROM "{model._meta.db_table}" t'
            )[0][0]
            for model in EVERY_MODEL
        }


def test_every_table_has_rows_on_both_sides(twins: tuple[UUID, UUID]) -> None:
    for organization_id in twins:
        with enter(organization_id):
            assert [m for m in EVERY_MODEL if not m._default_manager.exists()] == []


def test_reading_finds_only_ones_own(twins: tuple[UUID, UUID]) -> None:
    ours, _ = twins
    with enter(ours):
        for model in EVERY_MODEL:
            column, table = tenant_column(model), model._meta.db_table
            assert set(rows(f'SELECT {column} FROM "{table}"')) == {(ours,)}  # noqa: S608
            for manager in (model._default_manager, model._base_manager):
                found = manager.values_list(column, flat=True)
                assert set(found) == {ours}
                assert manager.count() == len(list(manager.all())) == len(found)


def test_joins_meet_nothing_foreign(inside: UUID) -> None:
    """Ids are equal on both sides, so a join by id alone would pair them up."""
    for model in MODELS:
        table = model._meta.db_table
        for field in parents(model):
            parent = field.related_model._meta.db_table
            pairs = rows(
                f'SELECT c.organization_id, p.organization_id FROM "{table}" c'  # noqa: S608
                f' JOIN "{parent}" p ON p."{field.target_field.column}" = c."{field.column}"'
            )
            assert {inside} & {id for pair in pairs for id in pair} == set()
    related = "SELECT count(*) FROM record r, suggestion s, response x, dataset d"
    assert rows(related) == [(1,)]


@contextmanager
def attempt_at_a_verb() -> Iterator[None]:
    """A table may also refuse the verb altogether."""
    try:
        with transaction.atomic():
            yield
    except DatabaseError as error:
        assert "permission denied" in str(error) or "append" in str(error), error  # noqa: PT017


def attempt(sql: str) -> None:
    with attempt_at_a_verb(), connection.cursor() as cursor:
        cursor.execute(sql)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def attempt_update(model: type[Model], column: str) -> None:
    with attempt_at_a_verb():
        model._default_manager.filter().update(**{column: models.F(column)})


def test_updates_and_deletes_without_a_condition_change_nothing_foreign(
    twins: tuple[UUID, UUID],
) -> None:
    ours, theirs = twins
    before, mine = fingerprints(theirs), fingerprints(ours)
    for model in EVERY_MODEL:
        table = model._meta.db_table
        field = next(f for f in reversed(model._meta.local_concrete_fields) if f.column)
        with enter(ours):
            attempt(f'UPDATE "{table}" SET "{field.column}" = "{field.column}"')  # noqa: S608
            if isinstance(model._default_manager.first(), Model):
                attempt_update(model, field.attname)
    assert fingerprints(theirs) == before
    assert fingerprints(ours) == mine
    for model in reversed(EVERY_MODEL):
        with enter(ours):
            attempt(f'DELETE FROM "{model._meta.db_table}"')  # noqa: S608
    assert fingerprints(theirs) == before
    assert fingerprints(ours)["record"] == "", "ours are gone"


def refused(sql: str, *parameters: Any) -> None:
    with (
        pytest.raises(DatabaseError, match=r"row-level security|append-only|permission denied"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql, parameters)


@pytest.mark.parametrize("model", EVERY_MODEL, ids=lambda model: model._meta.db_table)
def test_nothing_is_written_to_the_other_side(inside: UUID, model: type[Model]) -> None:
    table, column = model._meta.db_table, tenant_column(model)
    columns = [f.column for f in model._meta.local_concrete_fields if f.column]
    names = ", ".join(f'"{name}"' for name in columns)
    given = ", ".join("%s" if name == column else f'"{name}"' for name in columns)
    refused(
        f'INSERT INTO "{table}" ({names}) SELECT {given} FROM "{table}" LIMIT 1',  # noqa: S608
        inside,
    )
    refused(f'UPDATE "{table}" SET "{column}" = %s', inside)  # noqa: S608


def test_saving_with_the_others_organization_is_refused(inside: UUID) -> None:
    for model in MODELS:
        row = model._default_manager.first()
        assert row is not None
        row.organization_id = inside
        with (
            pytest.raises(DatabaseError, match="row-level security"),
            transaction.atomic(),
        ):
            row.save(force_insert=True)


@pytest.mark.parametrize(
    ("model", "field"),
    [(model, field) for model in MODELS for field in parents(model) if field.constrained],
    ids=lambda part: getattr(part, "column", None) or part._meta.db_table,
)
def test_no_row_refers_to_the_other_side(inside: UUID, model: type[Model], field: Any) -> None:
    statement = f'UPDATE "{model._meta.db_table}" SET "{field.column}" = %s'  # noqa: S608
    with (
        pytest.raises(IntegrityError, match="foreign key constraint"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        point_at(cursor, statement, id_of(field.related_model, "only-theirs"))


def point_at(cursor: Any, statement: str, parent: UUID) -> None:
    cursor.execute(statement, [parent])
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def copied(statement: str) -> bytes:
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        return b"".join(bytes(block) for block in copy)


def test_copy_brings_only_ones_own_and_takes_nothing(inside: UUID) -> None:
    for model in EVERY_MODEL:
        table = model._meta.db_table
        for statement in (f'COPY "{table}" TO STDOUT', f"COPY (TABLE {table}) TO STDOUT"):
            content = copied(statement)
            assert content
            assert str(inside).encode() not in content
        with pytest.raises(psycopg.Error, match="COPY FROM not supported"), transaction.atomic():
            copied(f'COPY "{table}" FROM STDIN')


# --- Outside -------------------------------------------------------------------------------------


def raises_readably(sql: str) -> None:
    with (
        pytest.raises(DataError, match="no organization entered"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)


@pytest.mark.parametrize("filled", [False, True])
def test_outside_every_statement_fails_also_on_an_empty_table(
    filled: bool, request: pytest.FixtureRequest
) -> None:
    if filled:
        request.getfixturevalue("twins")
    for model in EVERY_MODEL:
        table = model._meta.db_table
        raises_readably(f'SELECT * FROM "{table}"')  # noqa: S608
        raises_readably(f'SELECT count(*) FROM "{table}" LIMIT 1')  # noqa: S608
        if table not in APPEND_ONLY:
            raises_readably(f'DELETE FROM "{table}"')  # noqa: S608
        with pytest.raises(psycopg.Error, match="no organization entered"), transaction.atomic():
            copied(f'COPY "{table}" TO STDOUT')
    for model in MODELS:
        for manager in (model._default_manager, model._base_manager):
            with pytest.raises(OutsideOrganizationError):
                manager.all()
    with pytest.raises(DataError, match="no organization entered"), transaction.atomic():
        list(Organization.objects.all())


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.db_table)
def test_what_is_evaluated_too_late_fails(twins: tuple[UUID, UUID], model: type[Model]) -> None:
    ours, theirs = twins
    with enter(ours):
        late = model._default_manager.all()
        iterator = model._default_manager.all().iterator()
        reload = model._default_manager.first()
    for use in (lambda: list(late), late.count, lambda: next(iterator)):
        with pytest.raises(DataError, match="no organization entered"), transaction.atomic():
            use()
    assert reload is not None
    with pytest.raises(OutsideOrganizationError):
        reload.refresh_from_db()
    with enter(theirs):
        assert list(late.all()) == [], "an old filter and a new wall meet nothing"
