"""The record volume: where it stops, what a grace lets through, and many writers at once."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connections, transaction
from django.utils import timezone

from apps.annotation.services import save_response
from apps.core.errors import LimitReachedError
from apps.core.tenancy import enter
from apps.events.models import Event
from apps.organizations.models import Organization, Plan, RecordVolume
from apps.organizations.volume import (
    GRACE,
    close_at,
    count_records,
    end_needless_grace,
    set_plan,
)
from apps.records.bulk import upsert_records
from apps.records.inputs import RecordInput
from apps.records.models import Record
from apps.records.services import delete_records
from tests import factories

WRITERS = 16


def volume() -> RecordVolume:
    return RecordVolume.objects.get()


def test_the_volume_is_counted_up_to_the_limit(organization: Organization) -> None:
    RecordVolume.objects.update(record_limit=10)
    count_records(10)
    with pytest.raises(LimitReachedError, match="limit is reached"):
        count_records(1)
    count_records(-4)
    count_records(4)
    assert volume().records == 10
    count_records(-99)
    assert volume().records == 0


def test_over_a_lowered_limit_one_may_still_delete(organization: Organization) -> None:
    RecordVolume.objects.update(record_limit=5, records=8)
    count_records(-1)
    assert volume().records == 7


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"records": -1}, "record_volume_not_negative"),
        ({"record_limit": -1}, "record_volume_not_negative"),
        ({"former_limit": 5}, "record_volume_former_limit_ends"),
    ],
)
def test_the_database_refuses(
    organization: Organization, values: dict[str, Any], constraint: str
) -> None:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        RecordVolume.objects.update(**values)


def test_a_smaller_plan_leaves_a_month_of_the_former_limit(organization: Organization) -> None:
    set_plan(organization=organization, plan=Plan.BASE)
    RecordVolume.objects.update(records=1_500_000)
    set_plan(organization=organization, plan=Plan.STARTER)
    row = volume()
    assert (row.record_limit, row.former_limit) == (1_000_000, 3_000_000)
    assert row.former_until is not None
    assert timedelta(0) <= timezone.now() + GRACE - row.former_until < timedelta(minutes=1)
    count_records(1_500_000)
    with pytest.raises(LimitReachedError):
        count_records(1)
    RecordVolume.objects.update(records=1_500_000, former_until=timezone.now())
    with pytest.raises(LimitReachedError):
        count_records(1)
    count_records(-1)
    changes = [event.payload["changes"] for event in Event.objects.filter(kind__endswith="n_set")]
    assert changes == [{"plan": ["self_hosted", "base"]}, {"plan": ["base", "starter"]}]


def test_a_grace_is_not_renewed_by_another_change(organization: Organization) -> None:
    set_plan(organization=organization, plan=Plan.LARGE)
    RecordVolume.objects.update(records=3_500_000)
    set_plan(organization=organization, plan=Plan.BASE)
    RecordVolume.objects.update(former_until=timezone.now())
    set_plan(organization=organization, plan=Plan.STARTER)
    with pytest.raises(LimitReachedError):
        count_records(1)
    set_plan(organization=organization, plan=Plan.MEDIUM)
    assert volume().former_until is None
    count_records(1)


def test_a_grace_ends_early_when_there_is_room_again(organization: Organization) -> None:
    set_plan(organization=organization, plan=Plan.BASE)
    RecordVolume.objects.update(records=1_000_001)
    set_plan(organization=organization, plan=Plan.STARTER)
    end_needless_grace()
    assert volume().former_until is not None
    count_records(-1)
    end_needless_grace()
    assert (volume().former_until, volume().former_limit) == (None, None)


def test_from_an_unlimited_plan_the_grace_is_without_a_limit(organization: Organization) -> None:
    RecordVolume.objects.update(records=9_000_000)
    set_plan(organization=organization, plan=Plan.LARGE)
    count_records(1_000_000)
    assert volume().records == 10_000_000


def test_a_closed_organization_adds_nothing_until_it_is_opened(organization: Organization) -> None:
    close_at(timezone.now() + timedelta(hours=1))
    count_records(1)
    close_at(timezone.now())
    with pytest.raises(LimitReachedError, match="overdue"):
        count_records(1)
    count_records(-1)
    close_at(None)
    count_records(1)


def test_without_room_people_go_on_answering(organization: Organization) -> None:
    dataset = factories.make_dataset()
    ann = factories.make_member(workspace=dataset.workspace)
    (record,) = factories.make_records(dataset)
    RecordVolume.objects.update(record_limit=0, closes_at=timezone.now())
    with pytest.raises(LimitReachedError):
        factories.make_records(dataset)
    values = {"sentiment": {"value": "positive"}}
    save_response(record=record, annotator=ann, status="submitted", values=values)
    item = RecordInput(fields={"text": "changed"}, external_id=record.external_id)
    upsert_records(dataset=dataset, items=[item])
    assert Record.objects.get().fields == {"text": "changed"}


def at_once(work: Callable[[int], None]) -> list[str]:
    """What became of ``WRITERS`` threads, each with a connection of its own."""
    start, outcomes = threading.Barrier(WRITERS), []

    def run(number: int) -> None:
        try:
            start.wait(timeout=60)
            while True:
                work(number)
                outcomes.append("stored")
        except LimitReachedError:
            outcomes.append("refused")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[number]) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    return outcomes


@pytest.mark.django_db(transaction=True)
def test_sixteen_writers_stop_exactly_at_the_limit() -> None:
    """Bulks of three into a volume of a hundred: 33 fit, whoever is first; then single ones."""
    organization = factories.make_organization()
    with enter(organization.id):
        dataset = factories.make_dataset()
        RecordVolume.objects.update(record_limit=100)

    def write(number: int, size: int = 3) -> None:
        items = [RecordInput(fields={"text": f"text of {number}"}) for _ in range(size)]
        with enter(organization.id):
            upsert_records(dataset=dataset, items=items)

    outcomes = at_once(write)
    assert (outcomes.count("stored"), outcomes.count("refused")) == (33, WRITERS)
    with enter(organization.id):
        assert Record.objects.count() == volume().records == 99
    outcomes = at_once(lambda number: write(number, size=1))
    assert (outcomes.count("stored"), outcomes.count("refused")) == (1, WRITERS)
    with enter(organization.id):
        assert Record.objects.count() == volume().records == 100


@pytest.mark.django_db(transaction=True)
def test_writers_who_update_count_nothing_and_deletes_make_room() -> None:
    organization = factories.make_organization()
    with enter(organization.id):
        dataset = factories.make_dataset()
        RecordVolume.objects.update(record_limit=20)
        items = [RecordInput(fields={"text": f"n {n}"}, external_id=str(n)) for n in range(20)]
        upsert_records(dataset=dataset, items=items)
        assert volume().records == 20
        upsert_records(dataset=dataset, items=items)  # at the limit, and nothing new
        assert volume().records == 20

    def update_and_add(number: int) -> None:
        known = RecordInput(fields={"text": "changed"}, external_id=str(number))
        with enter(organization.id):
            upsert_records(dataset=dataset, items=[known])
            upsert_records(dataset=dataset, items=[RecordInput(fields={"text": "new"})])

    outcomes = at_once(update_and_add)
    assert outcomes == ["refused"] * WRITERS
    with enter(organization.id):
        assert not Record.objects.filter(fields__text="changed").exists(), "all or nothing"
        ids = list(Record.objects.in_order().values_list("id", flat=True)[:5])
        assert delete_records(dataset=dataset, ids=ids) == 5
        assert volume().records == 15
    outcomes = at_once(lambda number: _add_one(organization, dataset))
    assert (outcomes.count("stored"), outcomes.count("refused")) == (5, WRITERS)
    with enter(organization.id):
        assert Record.objects.count() == volume().records == 20


def _add_one(organization: Organization, dataset: Any) -> None:
    with enter(organization.id):
        upsert_records(dataset=dataset, items=[RecordInput(fields={"text": "one"})])
