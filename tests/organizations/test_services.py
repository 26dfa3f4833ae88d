"""Use cases of organizations, members and keys."""

import threading
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connections
from django.utils import timezone

from apps.annotation.models import Response
from apps.core.errors import ConflictError, InvalidError, NotFoundError
from apps.core.tenancy import enter
from apps.events.models import Event
from apps.organizations import directory, services
from apps.organizations.models import ApiKey, Membership, Organization, RecordVolume
from apps.users.models import User
from tests.conftest import ALL_DATABASES
from tests.factories import PASSWORD, make_dataset, make_member, make_organization, make_records
from tests.meanwhile import meanwhile


def kinds() -> list[str]:
    return list(Event.objects.order_by("id").values_list("kind", flat=True))


# --- Organizations -------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("plan", "limit"), [("self_hosted", None), ("starter", 1_000_000), ("large", 6_000_000)]
)
def test_an_organization_begins_with_its_plans_volume(plan: str, limit: int | None) -> None:
    made = services.create_organization(name="Acme", slug="acme", plan=plan)
    assert directory.find_organization("acme") == made.id
    with enter(made.id):
        volume = RecordVolume.objects.get()
        assert (volume.records, volume.record_limit) == (0, limit)
        assert kinds() == ["organization.created"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "values",
    [
        {"slug": "Acme"},
        {"slug": "acme\n"},
        {"slug": "a" * 64},
        {"slug": "-a"},
        {"slug": ""},
        {"slug": "api"},
        {"slug": "www"},
        {"name": ""},
        {"name": "n" * 201},
        {"plan": "gold"},
    ],
)
def test_an_organization_needs_a_good_name(values: dict[str, str]) -> None:
    with pytest.raises(InvalidError):
        services.create_organization(**{"name": "Acme", "slug": "acme", **values})


@pytest.mark.django_db
def test_a_slug_is_taken_once() -> None:
    services.create_organization(name="Acme", slug="acme")
    with pytest.raises(ConflictError, match="'acme' exists already"):
        services.create_organization(name="Other", slug="acme")


@pytest.mark.django_db(transaction=True, databases=ALL_DATABASES)
def test_of_two_at_once_with_one_slug_the_second_gets_a_word_of_it() -> None:
    outcomes: list[Any] = []
    barrier = threading.Barrier(4)

    def create() -> None:
        barrier.wait(timeout=10)
        try:
            outcomes.append(services.create_organization(name="Acme", slug="acme").id)
        except ConflictError as error:
            outcomes.append(error.message)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("An organization with the slug 'acme' exists already.") == 3


@pytest.mark.django_db(transaction=True, databases=ALL_DATABASES)
def test_deleting_an_organization_takes_everything_along() -> None:
    kept, gone = make_organization(), make_organization()
    for organization in (kept, gone):
        with enter(organization.id):
            dataset, member = make_dataset(), make_member()
            (record,) = make_records(dataset, 1)
            Response.objects.create(
                record=record,
                user=member,
                dataset=dataset,
                status="draft",
                updated_at=timezone.now(),
            )
    with enter(gone.id):
        Organization.objects.filter(id=gone.id).delete()
    with connections["operator"].cursor() as cursor:
        for table in ("organization", "membership", "record", "response", "event"):
            column = "id" if table == "organization" else "organization_id"
            cursor.execute(f"SELECT DISTINCT {column} FROM {table}")  # noqa: S608
            assert cursor.fetchall() == [(kept.id,)]


# --- Members -------------------------------------------------------------------------------------


def test_a_member_without_address_gets_an_account_of_the_organization(organization: Any) -> None:
    member = services.create_member(username="ann", password=PASSWORD, first_name="Ann")
    assert member.user is not None
    assert member.user.email is None
    assert member.user.check_password(PASSWORD)
    assert (member.role, member.is_active) == ("annotator", True)
    assert kinds()[-1] == "member.created"


def test_an_account_that_exists_is_joined_and_keeps_its_password(organization: Any) -> None:
    known = User.objects.create_user("Ann@example.org", "her own password")
    member = services.create_member(username="ann", email="ann@EXAMPLE.org", password="another one")
    assert member.user == known
    known.refresh_from_db()
    assert known.check_password("her own password")


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"username": "  "}, InvalidError),
        ({"username": "new", "role": "king"}, InvalidError),
        ({"username": "new", "email": "not an address"}, InvalidError),
        ({"username": "olga"}, ConflictError),
    ],
)
def test_a_bad_member_is_refused(
    owner: Membership, values: dict[str, str], error: type[Exception]
) -> None:
    with pytest.raises(error):
        services.create_member(**values)
    assert Membership.objects.count() == 1


def test_id_and_account_are_taken_once(owner: Membership) -> None:
    with pytest.raises(ConflictError, match="User with id"):
        services.create_member(username="new", id=owner.id)
    services.create_member(username="first", email="a@example.org")
    with pytest.raises(ConflictError):
        services.create_member(username="second", email="a@example.org")


def test_a_member_is_changed_as_far_as_said(owner: Membership) -> None:
    member = make_member(username="ann", first_name="Ann", password="before")
    services.update_member(
        member=member, changes={"last_name": "Lee", "role": "reviewer", "password": "after"}
    )
    member.refresh_from_db()
    assert (member.username, member.first_name, member.last_name) == ("ann", "Ann", "Lee")
    assert member.role == "reviewer"
    assert member.user is not None
    assert member.user.check_password("after")
    event = Event.objects.get(kind="member.updated")
    assert event.payload["changes"] == {
        "last_name": [None, "Lee"],
        "role": ["annotator", "reviewer"],
        "password": ["***", "***"],
    }


@pytest.mark.parametrize("changes", [{"username": "olga"}, {"username": " "}, {"role": "king"}])
def test_a_bad_change_is_refused(owner: Membership, changes: dict[str, str]) -> None:
    member = make_member(username="ann")
    with pytest.raises(InvalidError):
        services.update_member(member=member, changes=changes)
    member.refresh_from_db()
    assert (member.username, member.role) == ("ann", "annotator")


def test_an_organization_keeps_an_owner(owner: Membership) -> None:
    for leave in (
        lambda: services.update_member(member=owner, changes={"role": "admin"}),
        lambda: services.remove_member(member=owner),
    ):
        with pytest.raises(InvalidError, match="at least one owner"):
            leave()
    services.update_member(member=owner, changes={"first_name": "Olga"})
    second = make_member(role="owner")
    services.remove_member(member=owner)
    with pytest.raises(InvalidError, match="at least one owner"):
        services.remove_member(member=second)


@pytest.mark.django_db(transaction=True, databases=ALL_DATABASES)
def test_two_owners_who_leave_at_once_take_turns() -> None:
    organization = make_organization()
    with enter(organization.id):
        owners = [make_member(role="owner") for _ in range(2)]
    refused: list[str] = []
    barrier = threading.Barrier(2)

    def leave(member: Membership) -> None:
        barrier.wait(timeout=10)
        try:
            with enter(organization.id):
                services.remove_member(member=member)
        except InvalidError as error:
            refused.append(error.message)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=leave, args=(member,)) for member in owners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    with enter(organization.id):
        assert Membership.objects.active().filter(role="owner").count() == 1


@pytest.mark.django_db(transaction=True, databases=ALL_DATABASES)
def test_a_change_does_not_bring_back_who_was_removed_meanwhile() -> None:
    organization = make_organization()
    with enter(organization.id):
        member = make_member(username="ann", role="admin")
    with enter(organization.id):
        seen = Membership.objects.get(pk=member.pk)
        meanwhile(organization.id, lambda: services.remove_member(member=member))
        with pytest.raises(NotFoundError):
            services.update_member(member=seen, changes={"first_name": "Ann"})
    with enter(organization.id):
        member.refresh_from_db()
    assert (member.username, member.is_active) == (f"former-{member.id}", False)
    assert (member.role, member.user) == ("annotator", None)


@pytest.mark.django_db(transaction=True, databases=ALL_DATABASES)
def test_a_change_leaves_alone_what_another_changed_meanwhile() -> None:
    organization = make_organization()
    with enter(organization.id):
        member = make_member(username="ann", role="admin")
    with enter(organization.id):
        seen = Membership.objects.get(pk=member.pk)
        demotion = {"role": "annotator"}
        meanwhile(organization.id, lambda: services.update_member(member=member, changes=demotion))
        changed = services.update_member(member=seen, changes={"first_name": "Ann"})
    assert (changed.first_name, changed.role) == ("Ann", "annotator")
    with enter(organization.id):
        member.refresh_from_db()
    assert (member.first_name, member.role) == ("Ann", "annotator")


def test_the_password_of_an_account_with_an_address_is_its_own(owner: Membership) -> None:
    member = make_member(email="ann@example.org")
    with pytest.raises(InvalidError, match="its owner sets the password"):
        services.set_password(member=member, password="another")
    assert member.user is not None
    assert not member.user.check_password("another")


def test_a_member_without_account_gets_one_with_the_password(owner: Membership) -> None:
    member = Membership.objects.create(username="imported")
    services.set_password(member=member, password=PASSWORD)
    member.refresh_from_db()
    assert member.user is not None
    assert member.user.check_password(PASSWORD)


def test_who_leaves_is_forgotten_and_their_answers_stay(owner: Membership) -> None:
    member = make_member(username="ann", first_name="Ann", last_name="Lee")
    dataset = make_dataset()
    (record,) = make_records(dataset, 1)
    Response.objects.create(
        record=record, user=member, dataset=dataset, status="draft", updated_at=timezone.now()
    )
    _, key = services.create_api_key(member=member)
    services.remove_member(member=member)
    member.refresh_from_db()
    assert member.username == f"former-{member.id}"
    assert (member.first_name, member.last_name, member.user, member.is_active) == (
        *("", None, None),
        False,
    )
    assert directory.find_api_key(key) is None
    assert Response.objects.get().user == member
    assert make_member(username="ann").id != member.id, "the name is free again"


# --- API keys ------------------------------------------------------------------------------------


def test_a_key_is_shown_once_and_known_by_its_digest(owner: Membership) -> None:
    row, key = services.create_api_key(member=owner, name="notebook")
    assert key.startswith("sw_")
    assert len(key) > 40
    assert row.prefix == key[:10]
    stored = [str(value) for value in ApiKey.objects.values_list().get()]
    assert not [value for value in stored if key in value]
    holder = directory.find_api_key(key)
    assert holder is not None
    assert (holder.organization_id, holder.key_id) == (owner.organization_id, row.id)
    assert holder.membership_id == owner.id


@pytest.mark.parametrize("key", ["", "sw_wrong", "sw_" + "x" * 5000, "\x00", "\ud800"])
def test_a_wrong_key_is_nobodys(owner: Membership, key: str) -> None:
    services.create_api_key(member=owner)
    assert directory.find_api_key(key) is None


def test_a_key_ends_by_time_by_word_and_with_its_member(owner: Membership) -> None:
    soon = timezone.now() + timedelta(minutes=1)
    row, key = services.create_api_key(member=owner, expires_at=soon)
    assert directory.find_api_key(key)
    ApiKey.objects.update(expires_at=timezone.now() - timedelta(hours=1))
    assert directory.find_api_key(key) is None
    ApiKey.objects.update(expires_at=None)
    Membership.objects.update(is_active=False)
    assert directory.find_api_key(key) is None
    Membership.objects.update(is_active=True)
    services.revoke_api_key(key_id=row.id)
    assert directory.find_api_key(key) is None
    services.revoke_api_key(key_id=row.id)
    assert kinds().count("api_key.revoked") == 1
    with pytest.raises(NotFoundError):
        services.revoke_api_key(key_id=uuid4())


def test_the_use_of_a_key_is_noted_every_five_minutes(owner: Membership) -> None:
    _, key = services.create_api_key(member=owner)

    def use() -> Any:
        holder = directory.find_api_key(key)
        assert holder is not None
        services.note_key_use(holder)
        return ApiKey.objects.get().last_used_at

    first = use()
    assert first is not None
    assert use() == first
    ApiKey.objects.update(last_used_at=timezone.now() - timedelta(minutes=6))
    assert use() > first


@pytest.mark.django_db
def test_the_same_id_may_exist_elsewhere() -> None:
    """Ids are unique in an organization: a guessed one tells nothing about others."""
    id = uuid4()
    for organization in (make_organization(), make_organization()):
        with enter(organization.id):
            assert services.create_member(username="ann", id=id).id == id
