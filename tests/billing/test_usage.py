"""Usage by month and workspace, where one stands, and when the limit will be reached."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import DataError
from django.utils import timezone

from apps.annotation.ingest import log_records
from apps.annotation.services import save_response
from apps.billing import usage
from apps.billing.models import NO_WORKSPACE, UsageMonth
from apps.billing.standing import State, pace, standing_in, standing_of
from apps.core import tallies
from apps.core.tenancy import current
from apps.datasets.models import Dataset
from apps.datasets.services import create_vector_settings
from apps.llms.models import LedgerEntry
from apps.organizations.calls import note_call, tally_of
from apps.organizations.models import Membership, Organization, RecordVolume
from apps.records.inputs import RecordInput
from apps.workspaces.models import Workspace
from tests import factories

MONTH = usage.month_of(timezone.now().date())


def spend(usd: str, workspace: Workspace | None = None, at: datetime | None = None) -> None:
    LedgerEntry.objects.create(
        id=uuid4(),
        inserted_at=at or timezone.now(),
        kind="call",
        key=b"k",
        provider_id=uuid4(),
        model="tiny",
        workspace_id=workspace.id if workspace else None,
        usd=Decimal(usd),
    )


@pytest.fixture
def busy(organization: Organization) -> Workspace:
    """Three records, one answer and a dollar and a half; a second workspace is empty."""
    workspace = factories.make_workspace("busy")
    ann: Membership = factories.make_member(workspace=workspace)
    record, *_more = factories.make_records(factories.make_dataset(workspace), 3)
    save_response(
        record=record,
        annotator=ann,
        status="submitted",
        values={"sentiment": {"value": "positive"}},
    )
    factories.make_workspace("idle")
    spend("1.25", workspace)
    spend("0.25")
    spend("9", workspace, at=datetime(2020, 1, 1, tzinfo=UTC))
    return workspace


def test_a_month_is_counted_by_workspace(busy: Workspace) -> None:
    rows = [(row.name, row.records, row.answers, row.usd) for row in usage.count_now(MONTH)]
    assert rows == [
        ("busy", 3, 1, Decimal("1.25")),
        ("", 0, 0, Decimal("0.25")),
        ("idle", 0, 0, Decimal(0)),
    ]
    assert [row.seats for row in usage.count_now(MONTH)] == [0, 1, 0]
    before = usage.count_now(usage.month_after(MONTH, -1))
    assert sum(row.answers for row in before) == 0
    assert usage.held_by_workspace() == [("busy", 3), ("idle", 0)]


def test_a_snapshot_is_taken_again_and_keeps_the_records_of_a_month_that_is_over(
    busy: Workspace,
) -> None:
    usage.snapshot(MONTH)
    usage.snapshot(MONTH)
    assert UsageMonth.objects.count() == 3
    UsageMonth.objects.update(records=7, answers=0)
    usage.snapshot(MONTH, is_over=True)
    row = UsageMonth.objects.get(workspace_id=busy.id)
    assert (row.records, row.answers) == (7, 1)
    Workspace.objects.filter(name="idle").delete()
    usage.snapshot(MONTH)
    assert UsageMonth.objects.filter(workspace_name="idle").exists(), "what was used stays"


@pytest.mark.parametrize("is_over", [True, False])
def test_a_month_knows_nothing_of_what_came_later(busy: Workspace, is_over: bool) -> None:
    """Of the month before the first there is nothing; later, only what was there by then."""
    before = usage.month_after(MONTH, -1)
    usage.snapshot(before, is_over=is_over)
    assert not UsageMonth.objects.exists()
    long_ago = timezone.now() - timedelta(days=100)
    Organization.objects.update(inserted_at=long_ago)
    Workspace.objects.filter(name="idle").update(inserted_at=long_ago)
    usage.snapshot(before, is_over=is_over)
    kept = UsageMonth.objects.order_by("workspace_name")
    assert list(kept.values_list("workspace_name", "records", "seats")) == [
        ("", 0, 0),
        ("idle", 0, 0),
    ]


def test_answers_of_a_month_that_is_over_stay(busy: Workspace) -> None:
    usage.snapshot(MONTH)
    Dataset.objects.all().delete()
    usage.snapshot(MONTH, is_over=True)
    assert UsageMonth.objects.get(workspace_id=busy.id).answers == 1
    usage.snapshot(MONTH)
    assert UsageMonth.objects.get(workspace_id=busy.id).answers == 0, "it goes on, and counts anew"


def test_bytes_are_measured_by_workspace_and_stand_until_the_next_time(busy: Workspace) -> None:
    before = usage.month_after(MONTH, -1)
    long_ago = timezone.now() - timedelta(days=100)
    Workspace.objects.update(inserted_at=long_ago)
    Organization.objects.update(inserted_at=long_ago)
    usage.snapshot(before)
    usage.measure(before)
    sizes = {row.name: row.bytes for row in usage.count_now(MONTH)}
    assert sizes["busy"] > 3 * len('{"text": "…"}')
    assert sizes["idle"] == sizes[""] == 0
    dataset = Dataset.objects.get()
    create_vector_settings(dataset=dataset, name="v", title="V", dimensions=100)
    vectors = {"v": [0.5] * 100}
    log_records(dataset=dataset, items=[RecordInput(fields={"text": "x"}, vectors=vectors)])
    usage.snapshot(MONTH)
    assert usage.bytes_kept(MONTH) == sizes["busy"], "as it was last"
    usage.measure(MONTH)
    assert usage.bytes_kept(MONTH) >= sizes["busy"] + 400
    usage.snapshot(MONTH)
    assert usage.bytes_kept(MONTH) >= sizes["busy"] + 400, "a snapshot leaves them"


def test_calls_of_the_api_go_from_the_tally_to_the_month(busy: Workspace) -> None:
    def calls() -> int:
        return sum(row.api_calls for row in usage.count_now(MONTH))

    for _ in range(3):
        note_call(current())
    tallies.tell()
    assert calls() == 3
    usage.snapshot(MONTH)
    usage.keep_calls(MONTH)
    assert tallies.read(tally_of(current(), MONTH)) == 0
    assert calls() == 3
    note_call(current())
    tallies.tell()
    assert calls() == 4
    usage.snapshot(MONTH)
    usage.keep_calls(MONTH)
    assert UsageMonth.objects.get(workspace_id=NO_WORKSPACE).api_calls == 4


def test_calls_that_cannot_be_kept_are_put_back(busy: Workspace, monkeypatch: Any) -> None:
    usage.snapshot(MONTH)
    note_call(current())
    tallies.tell()
    monkeypatch.setattr(usage, "_ADD_CALLS", "SELECT 1 / 0")
    with pytest.raises(DataError):
        usage.keep_calls(MONTH)
    assert tallies.read(tally_of(current(), MONTH)) == 1


def test_twelve_months_have_no_hole(busy: Workspace) -> None:
    usage.snapshot(MONTH)
    months = usage.by_month(usage.kept_since(date(2000, 1, 1), date(2100, 1, 1)), MONTH)
    assert len(months) == 12
    assert [row.records for row in months] == [0] * 11 + [3]
    assert months[-1].usd == Decimal("1.5")
    assert usage.month_after(date(2026, 1, 1), -1) == date(2025, 12, 1)
    assert usage.month_after(date(2026, 12, 1)) == date(2027, 1, 1)


def test_counting_is_one_statement(busy: Workspace, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        usage.count_now(MONTH)
    with django_assert_num_queries(1):
        usage.snapshot(MONTH)


SOON, PAST = timedelta(days=3), timedelta(days=-3)


@pytest.mark.parametrize(
    ("values", "state", "percent"),
    [
        ({"records": 10**9}, State.FINE, 0),
        ({"records": 79, "record_limit": 100}, State.FINE, 79),
        ({"records": 80, "record_limit": 100}, State.NEAR, 80),
        ({"records": 999, "record_limit": 1000}, State.NEAR, 99),
        ({"records": 100, "record_limit": 100}, State.FULL, 100),
        ({"records": 101, "record_limit": 100, "former_until": SOON}, State.GRACE, 101),
        ({"records": 101, "record_limit": 100, "former_until": PAST}, State.OVER, 101),
        ({"records": 101, "record_limit": 100}, State.OVER, 101),
        ({"records": 1, "record_limit": 100, "closes_at": SOON}, State.OVERDUE, 1),
        ({"records": 1, "record_limit": 100, "closes_at": PAST}, State.CLOSED, 1),
        ({"records": 0, "record_limit": 0}, State.FULL, 0),
    ],
)
def test_where_one_stands(
    organization: Organization, values: dict[str, Any], state: State, percent: int
) -> None:
    now = timezone.now()
    values = {k: now + v if isinstance(v, timedelta) else v for k, v in values.items()}
    RecordVolume.objects.update(**values)
    found = standing_in(organization)
    assert (found.state, found.percent) == (state, percent)
    assert standing_of(RecordVolume.objects.get(), timezone.now()) == found


def test_the_day_of_the_limit_follows_from_the_months_pace() -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    grows = pace(held=2_460_000, before=1_580_000, now=now, since=long_ago)
    assert (grows.added, grows.per_day) == (880_000, 44_000)
    assert grows.reaches(3_000_000) == date(2026, 12, 3)
    assert grows.reaches(None) is grows.reaches(2_000_000) is None
    assert grows.reaches(10**12) is None, "nobody looks that far"
    still = pace(held=5, before=9, now=now, since=long_ago)
    assert still.reaches(100) is None
    young = pace(held=500, before=0, now=now, since=now - timedelta(days=5))
    assert young.reaches(1_000) == date(2026, 11, 26)


def test_ids_of_a_month_are_found_by_its_first_moment() -> None:
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    lowest = usage._lowest_id(moment)
    assert lowest.int >> 80 == int(moment.timestamp() * 1000)
