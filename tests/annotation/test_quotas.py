"""Quotas of people, their pace, and the days a team still needs."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.annotation import distribution, progress, quotas
from apps.annotation.models import Response
from apps.annotation.services import save_response
from apps.datasets.models import Dataset
from apps.events.models import Event
from apps.organizations.models import Membership
from apps.records.models import Record
from apps.workspaces.models import Workspace
from tests.factories import make_dataset, make_member, make_records

ANSWER = {"sentiment": {"value": "positive"}}


@pytest.fixture
def ann(workspace: Workspace) -> Membership:
    return make_member(workspace=workspace, username="ann")


def answer(record: Record, member: Membership) -> None:
    save_response(record=record, annotator=member, status="submitted", values=ANSWER)


def claim(dataset: Dataset, member: Membership, limit: int = 9) -> int:
    return len(distribution.claim(dataset=dataset, annotator=member, limit=limit))


def test_a_total_quota_stops_the_hand_out_for_good_and_not_the_saving(
    workspace: Workspace, ann: Membership
) -> None:
    dataset = make_dataset(workspace, total_quota=2)
    records = make_records(dataset, 5)
    assert claim(dataset, ann) == 2
    for record in records[:3]:
        answer(record, ann)
    assert Response.objects.count() == 3
    assert claim(dataset, ann) == 0
    state = distribution.queue_state(dataset=dataset, annotator=ann)
    assert (state.open, state.quota_reached, state.total_reached) == (2, True, True)
    mine = progress.my_progress(dataset=dataset, annotator=ann)
    assert (mine.total_quota, mine.total_reached, mine.today_reached) == (2, True, False)


def test_ones_own_quotas_count_before_the_datasets(workspace: Workspace, ann: Membership) -> None:
    dataset = make_dataset(workspace, total_quota=1, daily_quota=1)
    make_records(dataset, 5)
    quotas.set_quotas(dataset=dataset, annotator=ann, daily_quota=4, total_quota=3)
    assert claim(dataset, ann) == 3
    quotas.set_quotas(dataset=dataset, annotator=ann, daily_quota=None, total_quota=None)
    other = make_member(workspace=workspace)
    assert claim(dataset, other) == 1
    assert Event.objects.filter(kind="dataset.quotas_set").count() == 2


def test_people_are_those_who_answered_or_have_quotas(
    workspace: Workspace, ann: Membership
) -> None:
    dataset = make_dataset(workspace)
    (record, _) = make_records(dataset, 2)
    bo, cy = (make_member(workspace=workspace, username=name) for name in ("bo", "cy"))
    quotas.set_quotas(dataset=dataset, annotator=bo, daily_quota=7, total_quota=None)
    claim(dataset, cy, 1)
    answer(record, ann)
    rows = [
        (row.member.username, row.submitted, row.submitted_today, row.daily_quota)
        for row in quotas.people(dataset=dataset)
    ]
    assert rows == [("ann", 1, 1, None), ("bo", 0, 0, 7)]


def test_a_median_leaves_breaks_out_and_few_answers_unsaid(
    workspace: Workspace, ann: Membership
) -> None:
    dataset = make_dataset(workspace)
    at = timezone.now() - timedelta(hours=9)
    pace = []
    for record, gap in zip(make_records(dataset, 6), (0, 10, 12, 3600, 20, 14), strict=True):
        answer(record, ann)
        at += timedelta(seconds=gap)
        Response.objects.filter(record=record).update(inserted_at=at)
        pace.append(quotas.median_seconds(dataset=dataset, annotator=ann))
    assert pace[0] is None  # one answer has no gap
    assert pace[-1] == 13  # of 10, 12, 20, 14


def test_reached_quotas_are_counted_for_all_datasets_at_once(
    workspace: Workspace, ann: Membership, django_assert_num_queries: Any
) -> None:
    one, two, three = (make_dataset(workspace, daily_quota=quota) for quota in (1, 2, None))
    for dataset in (one, two, three):
        answer(make_records(dataset, 1)[0], ann)
    with django_assert_num_queries(1):
        assert quotas.quotas_reached(datasets=[one, two, three]) == {one.id: 1}
