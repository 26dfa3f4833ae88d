"""The chain of seals: it holds over everything that is written, and shows whatever is changed."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, connection, connections, transaction
from django.test import override_settings
from django.utils import timezone

from apps.core.errors import InvalidError
from apps.core.tenancy import enter
from apps.events import retention, seals, tasks
from apps.events.log import Origin, acting_as, changes, emit
from apps.events.models import Event, EventCheck, EventRetention, EventSeal
from apps.organizations.models import Organization
from tests.factories import make_organization
from tests.meanwhile import meanwhile
from tests.trouble import refusing

pytestmark = [
    pytest.mark.alone,  # seals wait for every older transaction of the server
    pytest.mark.django_db(transaction=True, databases=["default", "owner", "operator"]),
]


@pytest.fixture
def acme() -> Organization:
    """An organization whose first event is sealed, and which nobody has entered."""
    organization = make_organization()
    seals.seal(organization_id=organization.id)
    return organization


def tell(organization: Organization, count: int, **payload: Any) -> None:
    """``count`` events, a transaction each."""
    for number in range(count):
        with enter(organization.id):
            emit("test.told", payload={"number": number, **payload})


@contextmanager
def tampering(organization: Organization, table: str = "event") -> Iterator[Any]:
    """The owner of the tables, with the triggers out of the way, inside the organization."""
    with transaction.atomic(using="owner"), connections["owner"].cursor() as cursor:
        cursor.execute("SELECT set_config('app.organization_id', %s, true)", [str(organization.id)])
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield cursor
        cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def verdict(organization: Organization) -> seals.Verdict:
    seals.seal(organization_id=organization.id)
    return seals.verify(organization_id=organization.id)


def test_every_event_is_sealed_once(acme: Organization) -> None:
    tell(acme, 12, text="naïve \u2028 \\ 0.1", figures=[1e300, 0.1, -0.0, 12345678901234567890])
    found = verdict(acme)
    assert found.is_valid
    assert found.events == found.sealed == 13
    assert seals.seal(organization_id=acme.id) == 0
    assert verdict(acme).head == found.head


def test_a_seal_ends_with_a_transaction(acme: Organization, monkeypatch: Any) -> None:
    """A bulk that wrote more than a seal holds is not cut in two."""
    monkeypatch.setattr(seals, "SEAL_SIZE", 3)
    monkeypatch.setattr(seals, "PAGE", 2)
    tell(acme, 2)
    with enter(acme.id):
        for _ in range(7):
            emit("test.bulk")
    tell(acme, 2)
    assert verdict(acme).is_valid
    with enter(acme.id):
        assert list(EventSeal.objects.order_by("number").values_list("count", flat=True)) == [
            1,
            9,
            2,
        ]


def test_what_commits_late_is_not_passed_over(acme: Organization) -> None:
    """While a transaction that has begun earlier runs, nothing after it is sealed."""
    begun, go_on = threading.Event(), threading.Event()

    def late() -> None:
        with enter(acme.id):
            emit("test.late")
            begun.set()
            go_on.wait(20)
        connection.close()

    thread = threading.Thread(target=late)
    thread.start()
    assert begun.wait(20)
    tell(acme, 3)
    assert seals.seal(organization_id=acme.id) == 0
    go_on.set()
    thread.join()
    assert verdict(acme).sealed == 5


def test_two_who_seal_make_one_chain(acme: Organization) -> None:
    tell(acme, 5)
    made: list[int] = []

    def seal() -> None:
        made.append(seals.seal(organization_id=acme.id))
        connection.close()

    threads = [threading.Thread(target=seal) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [0, 0, 0, 1]
    assert verdict(acme).is_valid


CHANGE = """UPDATE event SET payload = '{"number": 99}' WHERE payload->>'number' = '3'"""
ANOTHER_ACTOR = "UPDATE event SET actor_id = uuidv7() WHERE payload->>'number' = '3'"
ANOTHER_TIME = "UPDATE event SET inserted_at = inserted_at - interval '1 second'"
REMOVE = "DELETE FROM event WHERE payload->>'number' = '3'"
INSERT = """INSERT INTO event (organization_id, id, inserted_at, kind, payload, xact)
    SELECT organization_id, uuidv7(), inserted_at, 'test.forged', '{}', xact FROM event
    WHERE payload->>'number' = '3'"""
SWAP = """UPDATE event SET xact = CASE payload->>'number' WHEN '3' THEN other.b ELSE other.a END
    FROM (SELECT min(xact) FILTER (WHERE payload->>'number' = '3') a,
                 min(xact) FILTER (WHERE payload->>'number' = '4') b FROM event) other
    WHERE payload->>'number' IN ('3', '4')"""
ALL_OF_A_SEAL = "DELETE FROM event WHERE xact <= (SELECT up_to FROM event_seal WHERE number = 1)"


@pytest.mark.parametrize(
    "harm", [CHANGE, ANOTHER_ACTOR, ANOTHER_TIME, REMOVE, INSERT, SWAP, ALL_OF_A_SEAL]
)
def test_a_tampered_event_is_found(acme: Organization, harm: str) -> None:
    tell(acme, 6)
    assert verdict(acme).is_valid
    with tampering(acme) as cursor:
        cursor.execute(harm)
        assert cursor.rowcount > 0
    found = verdict(acme)
    assert not found.is_valid
    assert found.bad_seal == (1 if harm in {ANOTHER_TIME, ALL_OF_A_SEAL} else 2)


REMOVED_SEAL = "DELETE FROM event_seal WHERE number = 2"
SHORTENED = "UPDATE event_seal SET up_to = up_to - 1 WHERE number = 2"


@pytest.mark.parametrize("harm", [REMOVED_SEAL, SHORTENED])
def test_a_tampered_seal_is_found(acme: Organization, harm: str) -> None:
    for _ in range(3):
        tell(acme, 1)
        seals.seal(organization_id=acme.id)
    with tampering(acme, "event_seal") as cursor:
        cursor.execute(harm)
    assert "seal 2" in verdict(acme).problem


def test_a_chain_that_was_computed_anew_lacks_our_signature(acme: Organization) -> None:
    """Whoever has the database alone cannot write seals."""
    tell(acme, 4)
    seals.seal(organization_id=acme.id)
    with tampering(acme) as cursor:
        cursor.execute(CHANGE)
    with tampering(acme, "event_seal") as cursor:
        cursor.execute("DELETE FROM event_seal")
    with override_settings(SECRET_KEY="another one that is long enough to be a secret"):
        seals.seal(organization_id=acme.id)
        assert seals.verify(organization_id=acme.id).is_valid
    found = verdict(acme)
    assert found.problem == "seal 1 has no signature of ours"


def test_seals_outlive_a_change_of_the_key(acme: Organization, settings: Any) -> None:
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "the next key, which is as long as the other one was"
    tell(acme, 1)
    assert verdict(acme).is_valid


@pytest.mark.parametrize("alias", ["default", "operator", "owner"])
@pytest.mark.parametrize("table", ["event", "event_seal"])
@pytest.mark.parametrize("verb", ["UPDATE {} SET organization_id = NULL", "DELETE FROM {}"])
def test_nobody_changes_the_log(acme: Organization, alias: str, table: str, verb: str) -> None:
    """Not the application, not the operator, not the owner of the tables."""
    reason = "append-only" if alias == "owner" else "permission denied"
    refused = pytest.raises(DatabaseError, match=reason)
    with refused, enter(acme.id, using=alias), connections[alias].cursor() as cursor:
        cursor.execute(verb.format(table))


def test_the_constraints_hold(acme: Organization) -> None:
    def refused(name: str) -> Any:
        return pytest.raises(IntegrityError, match=name)

    facts = {"hash": "a", "signature": "b", "sealed_at": timezone.now()}
    with enter(acme.id):
        up_to = EventSeal.objects.get().up_to
    with refused("event_seal_up_to_once"), enter(acme.id):
        EventSeal.objects.create(number=2, up_to=up_to, count=1, **facts)
    with refused("event_seal_covers_something"), enter(acme.id):
        EventSeal.objects.create(number=2, up_to=10**9, count=0, **facts)
    with refused("event_retention_a_month"), enter(acme.id):
        EventRetention.objects.create(set_at=timezone.now(), days=29)


def test_an_organization_takes_its_log_along(acme: Organization) -> None:
    tell(acme, 2)
    with enter(acme.id):
        Organization.objects.filter(id=acme.id).delete()
    with connections["operator"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM event WHERE organization_id = %s", [acme.id])
        assert cursor.fetchone() == (0,)


# --- Retention ------------------------------------------------------------------------------------


def age(organization: Organization, days: int) -> None:
    """Let the seals there are be so many days older; they say when, but the hash does not."""
    with tampering(organization, "event_seal") as cursor:
        cursor.execute("UPDATE event_seal SET sealed_at = sealed_at - %s", [timedelta(days=days)])


def test_old_events_go_and_the_rest_still_verifies(acme: Organization) -> None:
    for _ in range(3):
        tell(acme, 2)
        seals.seal(organization_id=acme.id)
    age(acme, 100)
    tell(acme, 1)
    seals.seal(organization_id=acme.id)
    with enter(acme.id):
        retention.set_retention(days=60)
    assert retention.prune(organization_id=acme.id) == 7
    found = verdict(acme)
    assert (found.is_valid, found.events, found.seals) == (True, 3, 6)
    with enter(acme.id):
        pruned = Event.objects.get(kind="audit.pruned")
        assert pruned.payload == {"through": 4, "events": 7}
    assert retention.prune(organization_id=acme.id) == 0
    with tampering(acme) as cursor:
        cursor.execute("DELETE FROM event WHERE kind = 'test.told'")
    assert verdict(acme).bad_seal == 5


def test_a_check_beside_the_retention_sees_one_moment(acme: Organization) -> None:
    """Events that go while it runs have not been tampered with."""
    tell(acme, 3)
    seals.seal(organization_id=acme.id)
    age(acme, 100)
    with enter(acme.id):
        retention.set_retention(days=60)
    removed: list[int] = []

    def prune() -> int:
        return retention.prune(organization_id=acme.id)

    def prune_before_seals(execute: Any, sql: str, *arguments: Any) -> Any:
        if '"event_seal"' in sql and not removed:
            removed.append(meanwhile(acme.id, prune))
        return execute(sql, *arguments)

    with connection.execute_wrapper(prune_before_seals):
        during = seals.check(organization_id=acme.id)
    assert removed == [4]
    assert (during.problem, during.events, during.sealed) == ("", 5, 4)
    assert verdict(acme).is_valid


def test_without_a_retention_everything_stays(acme: Organization) -> None:
    age(acme, 4000)
    assert tasks.prune() == 0
    with enter(acme.id):
        retention.set_retention(days=30)
        retention.set_retention(days=None)
    assert retention.prune(organization_id=acme.id) == 0
    with enter(acme.id):
        told = Event.objects.filter(kind="audit.retention_set").order_by("id")
        assert [event.payload["changes"]["days"] for event in told] == [[None, 30], [30, None]]


@pytest.mark.parametrize("days", [29, 0, -1, 10**6])
def test_nobody_keeps_less_than_a_month(acme: Organization, days: int) -> None:
    with enter(acme.id), pytest.raises(InvalidError):
        retention.set_retention(days=days)


def test_young_events_stay_whatever_the_table_says(acme: Organization) -> None:
    tell(acme, 3)
    seals.seal(organization_id=acme.id)
    with enter(acme.id):
        EventRetention.objects.create(set_at=timezone.now(), days=30)
    assert retention.prune(organization_id=acme.id) == 0


# --- The command and the rounds -------------------------------------------------------------------


def run_command(capsys: Any, *arguments: str) -> Any:
    call_command("verify_audit", "--json", *arguments)
    return json.loads(capsys.readouterr().out)


def test_the_command_says_whether_the_log_is_whole(acme: Organization, capsys: Any) -> None:
    tell(acme, 4)
    found = run_command(capsys, "--organization", acme.slug)
    assert (found["valid"], found["events"], found["sealed"]) == (True, 5, 5)
    assert len(found["head"]) == 64
    assert run_command(capsys)["valid"] is True
    with tampering(acme) as cursor:
        cursor.execute(CHANGE)
    with pytest.raises(CommandError, match="an event under seal 2 was changed"):
        call_command("verify_audit", "--json")
    told = json.loads(capsys.readouterr().out)
    assert (told["valid"], told["organization"], told["seal"]) == (False, acme.slug, 2)


def test_the_rounds_seal_and_check_every_organization(acme: Organization) -> None:
    other = make_organization("Other")
    tell(acme, 2)
    assert tasks.seal() == 2
    assert tasks.check() == 0
    for organization in (acme, other):
        with enter(organization.id):
            assert EventCheck.objects.get().problem == ""


def test_what_fails_for_one_organization_keeps_no_other_from_its_round(
    acme: Organization, caplog: Any
) -> None:
    other = make_organization("Other")
    tell(acme, 2)
    with refusing(acme, "INSERT", "event_seal"):
        assert tasks.seal() == 1
    assert tasks.seal() == 1
    with refusing(acme, "INSERT", "event_check"):
        assert tasks.check() == 0
    for organization, checks in ((acme, 0), (other, 1)):
        age(organization, 100)
        with enter(organization.id):
            assert EventCheck.objects.count() == checks
            retention.set_retention(days=30)
    with refusing(acme, "INSERT", "event"):
        assert tasks.prune() == 1
    assert tasks.prune() == 3
    failed = [text for text in caplog.messages if "failed for" in text]
    whose = ("seals.seal", "seals.check", "retention.prune")
    assert failed == [f"apps.events.{name} failed for organization {acme.id}" for name in whose]


# --- What an event says of where it comes from ----------------------------------------------------


def test_an_event_says_who_and_from_where(acme: Organization) -> None:
    who, key, support = (acme.id,) * 3
    with enter(acme.id):
        with acting_as(Origin(who, key, "192.0.2.7", support)):
            emit("test.acted", payload=changes({"a": 1, "b": 2}, {"a": 1, "b": 3}))
        emit("test.by_itself")
        acted, alone = Event.objects.filter(kind__startswith="test.").order_by("id")
    assert (acted.actor_id, acted.key_id, acted.support_id) == (who, key, support)
    assert acted.address == "192.0.2.7"
    assert acted.payload == {"changes": {"b": [2, 3]}}
    assert (alone.actor_id, alone.key_id, alone.address) == (None, None, None)
