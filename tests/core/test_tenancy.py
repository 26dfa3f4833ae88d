"""Entering an organization: what holds inside, and that nothing of it is left afterwards."""

import threading
from collections.abc import Callable
from contextvars import copy_context
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from celery import shared_task
from django.db import DataError, IntegrityError, ProgrammingError, connection, connections
from django.db import transaction as tx
from django.utils import timezone

from apps.annotation import distribution
from apps.annotation.models import Lease
from apps.annotation.tasks import return_expired_leases
from apps.core.tenancy import (
    OutsideOrganizationError,
    WrongOrganizationError,
    current,
    enter,
    enter_found,
    entered,
)
from apps.organizations.models import Membership, Organization
from apps.organizations.services import create_organization
from apps.workspaces.models import Workspace
from tests.conftest import ALL_DATABASES
from tests.factories import make_dataset, make_member, make_organization, make_records

real = pytest.mark.django_db(transaction=True, databases=ALL_DATABASES)
NOT_ENTERED = "no organization entered"


def setting(alias: str = "default") -> str:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT current_setting('app.organization_id')")
        return str(cursor.fetchone()[0])


def backend() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def add_member_and_fail(organization_id: UUID) -> None:
    with enter(organization_id):
        make_member(username="lost")
        raise ZeroDivisionError


@pytest.fixture
def two(db: None) -> tuple[UUID, UUID]:
    return make_organization("One").id, make_organization("Two").id


# --- Inside one another --------------------------------------------------------------------------


def test_inside_the_organization_is_known_to_code_and_database(two: tuple[UUID, UUID]) -> None:
    assert entered() is None
    with enter(two[0]):
        assert current() == entered() == two[0]
        assert setting() == str(two[0])
    assert entered() is None
    with pytest.raises(OutsideOrganizationError):
        current()


def test_the_same_organization_nests(two: tuple[UUID, UUID]) -> None:
    with enter(two[0]):
        with enter(two[0]):
            make_member(username="inner")
        assert setting() == str(two[0])
        assert Membership.objects.get().username == "inner"


def test_another_organization_inside_is_refused(two: tuple[UUID, UUID]) -> None:
    with enter(two[0]):
        with pytest.raises(WrongOrganizationError), enter(two[1]):
            pass
        assert current() == two[0]
        assert setting() == str(two[0])


def test_an_inner_error_undoes_the_inner_block_only(two: tuple[UUID, UUID]) -> None:
    with enter(two[0]):
        make_member(username="outer")
        with pytest.raises(ZeroDivisionError):
            add_member_and_fail(two[0])
        assert setting() == str(two[0])
        assert [member.username for member in Membership.objects.all()] == ["outer"]


@pytest.mark.parametrize(
    ("statement", "error"),
    [("SELECT * FROM nowhere", ProgrammingError), ("SELECT 'x'::uuid", DataError)],
)
def test_the_error_that_happened_is_the_one_that_comes_out(
    two: tuple[UUID, UUID], statement: str, error: type[Exception]
) -> None:
    """Not the one of cleaning up in a transaction that has failed already."""
    with pytest.raises(error), enter(two[0]), connection.cursor() as cursor:
        cursor.execute(statement)
    assert setting() == NOT_ENTERED
    assert entered() is None


def test_after_a_nested_block_nothing_is_entered(two: tuple[UUID, UUID]) -> None:
    with tx.atomic():
        with enter(two[0]):
            pass
        assert setting() == NOT_ENTERED
        with enter(two[1]):
            assert setting() == str(two[1])
        assert setting() == NOT_ENTERED


@pytest.mark.django_db(databases=["default", "owner"])
def test_two_connections_are_entered_and_left_each_for_itself() -> None:
    organization_id = make_organization().id
    with enter(organization_id, using="owner"):
        assert setting() == NOT_ENTERED
        with enter(organization_id):
            assert setting() == setting("owner") == str(organization_id)
        assert (setting(), setting("owner")) == (NOT_ENTERED, str(organization_id))
    assert setting("owner") == NOT_ENTERED


@pytest.mark.django_db(databases=["default", "owner"])
def test_the_owner_of_the_tables_is_walled_in_too() -> None:
    first, second = make_organization().id, make_organization().id
    with pytest.raises(DataError, match=NOT_ENTERED), tx.atomic(using="owner"):
        Organization.objects.using("owner").count()
    for organization_id in (first, second):
        with enter(organization_id, using="owner"):
            assert Organization.objects.using("owner").count() == 0  # not committed yet


# --- Entering what a look-up finds ---------------------------------------------------------------


class Finding:
    """As a key's look-up does: sets the organization in the statement that finds it."""

    def __init__(self, organization_id: UUID) -> None:
        self.organization_id = organization_id

    def __call__(self) -> "Finding":
        with connection.cursor() as cursor:
            text = str(self.organization_id)
            cursor.execute("SELECT set_config('app.organization_id', %s, true)", [text])
        return self


def test_what_a_look_up_finds_is_entered_and_left(two: tuple[UUID, UUID]) -> None:
    with enter_found(Finding(two[0])) as found:
        assert found is not None
        assert current() == found.organization_id == two[0]
        assert Organization.objects.get().id == two[0]
    assert (entered(), setting()) == (None, NOT_ENTERED)


def test_a_look_up_that_finds_nothing_enters_nothing(two: tuple[UUID, UUID]) -> None:
    with enter_found(lambda: None) as found:
        assert found is None
        assert (entered(), setting()) == (None, NOT_ENTERED)


def test_a_look_up_inside_another_organization_is_refused(two: tuple[UUID, UUID]) -> None:
    with enter(two[0]):
        with pytest.raises(WrongOrganizationError), enter_found(Finding(two[1])):
            pass
        assert (current(), setting()) == (two[0], str(two[0]))


def test_an_error_after_a_look_up_leaves_nothing(two: tuple[UUID, UUID]) -> None:
    with pytest.raises(DataError), enter_found(Finding(two[0])), connection.cursor() as cursor:
        cursor.execute("SELECT 'x'::uuid")
    assert (entered(), setting()) == (None, NOT_ENTERED)


# --- Reused connections --------------------------------------------------------------------------


@real
def test_a_connection_keeps_nothing_after_commit_and_after_rollback() -> None:
    organization_id = make_organization().id
    before = backend()
    with enter(organization_id):
        make_member(username="kept")
    assert setting() == NOT_ENTERED
    with pytest.raises(ZeroDivisionError):
        add_member_and_fail(organization_id)
    assert setting() == NOT_ENTERED
    with enter(organization_id):
        Workspace.objects.create(name="same")
    with pytest.raises(IntegrityError), enter(organization_id):
        Workspace.objects.create(name="same")
    assert setting() == NOT_ENTERED
    with pytest.raises(DataError, match=NOT_ENTERED):
        Organization.objects.count()
    assert backend() == before, "it was one connection all the time"
    with enter(organization_id):
        assert [member.username for member in Membership.objects.all()] == ["kept"]
        assert Workspace.objects.count() == 1


@real
def test_a_connection_serves_one_organization_after_the_other() -> None:
    first, second = make_organization().id, make_organization().id
    for organization_id in (first, second, first):
        with enter(organization_id):
            assert Organization.objects.get().id == organization_id


@real
def test_a_block_that_is_marked_for_rollback_leaves_nothing() -> None:
    organization_id = make_organization().id
    with enter(organization_id):
        make_member()
        tx.set_rollback(True)
    assert setting() == NOT_ENTERED
    with enter(organization_id):
        assert not Membership.objects.exists()


# --- Threads and tasks ---------------------------------------------------------------------------


def run_in_thread(work: Callable[[], Any]) -> Any:
    outcome: list[Any] = []

    def body() -> None:
        try:
            outcome.append(work())
        except Exception as error:  # noqa: BLE001  (the test looks at it)
            outcome.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=body)
    thread.start()
    thread.join(timeout=20)
    return outcome[0]


@real
def test_a_thread_starts_outside() -> None:
    organization_id = make_organization().id
    with enter(organization_id):
        assert isinstance(run_in_thread(current), OutsideOrganizationError)
        assert isinstance(run_in_thread(lambda: Membership.objects.count()), RuntimeError)
        assert run_in_thread(setting) == NOT_ENTERED
        # Taking the context along names the organization to the code, never to the database.
        context = copy_context()
        error = run_in_thread(lambda: context.run(lambda: Membership.objects.count()))
        assert isinstance(error, DataError)


@real
def test_threads_at_the_same_time_each_see_their_own() -> None:
    organizations = [make_organization() for _ in range(6)]
    barrier = threading.Barrier(len(organizations))
    seen: dict[UUID, set[UUID]] = {}

    def work(organization_id: UUID) -> None:
        barrier.wait(timeout=20)
        try:
            for _ in range(20):
                with enter(organization_id):
                    Workspace.objects.create(name=f"w-{uuid4()}")
                    owners = Workspace.objects.values_list("organization_id", flat=True)
                    seen.setdefault(organization_id, set()).update(owners)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(one.id,)) for one in organizations]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert seen == {one.id: {one.id} for one in organizations}


@real
def test_a_task_works_for_each_organization_in_turn() -> None:
    held = {}
    for name in ("One", "Two"):
        organization_id = make_organization(name).id
        with enter(organization_id):
            dataset = make_dataset()
            make_records(dataset, 2)
            distribution.claim(dataset=dataset, annotator=make_member(), limit=2)
            Lease.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        held[organization_id] = dataset
    assert return_expired_leases() == 4
    assert (entered(), setting()) == (None, NOT_ENTERED)
    for organization_id in held:
        with enter(organization_id):
            assert not Lease.objects.exists()


@real
def test_a_task_that_forgets_its_organization_fails() -> None:
    def careless() -> None:
        list(Membership.objects.all())

    def late() -> None:
        Organization.objects.count()

    for work, error in ((careless, OutsideOrganizationError), (late, DataError)):
        task = shared_task(name=f"tests.{work.__name__}")(work)
        assert isinstance(run_in_thread(task.apply).result, error)


# --- Creating ------------------------------------------------------------------------------------


def test_an_organization_is_made_from_outside_or_not_at_all(two: tuple[UUID, UUID]) -> None:
    with enter(two[0]), pytest.raises(WrongOrganizationError):
        create_organization(name="Third", slug="third")
