"""What a member sees first: their queues and the datasets of their workspaces."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.annotation.distribution import claim, release
from apps.annotation.models import Response
from apps.annotation.services import delete_response, save_response
from apps.datasets.models import Dataset, DatasetStatus
from apps.jobs import kinds
from apps.jobs.models import Job
from apps.labeling import work
from apps.organizations.models import Membership
from apps.quality.models import Feedback, ReviewItem
from apps.records.models import DatasetCounter
from apps.workspaces.models import Workspace, WorkspaceMembership
from tests import factories

SignIn = Callable[[Membership], Client]


def test_home_counts_what_is_pending_and_done(workspace: Workspace, sign_in: SignIn) -> None:
    dataset = factories.make_dataset(workspace, name="reviews", daily_quota=5)
    first, _ = factories.make_records(dataset, 2)
    client = sign_in(factories.make_member(workspace=workspace, username="mara"))
    assert "Start" in client.get("/").content.decode()
    client.post(
        reverse("labeling:save", args=[dataset.id, first.id]),
        {"do": "submit", "q.sentiment": "positive"},
    )
    text = client.get("/").content.decode()
    assert "Hello, mara" in text
    assert "1 record submitted today." in text
    assert "1 of 5 today" in text
    assert '<b class="num">1</b>' in text
    assert "Continue" in text


def test_only_datasets_of_ones_workspaces_are_listed(workspace: Workspace, sign_in: SignIn) -> None:
    factories.make_dataset(workspace, name="mine")
    factories.make_dataset(name="theirs")
    annotator = sign_in(factories.make_member(workspace=workspace))
    owner = sign_in(factories.make_member(role="owner"))
    for path in ("/", "/datasets/"):
        assert "theirs" not in annotator.get(path).content.decode()
        assert "mine" in annotator.get(path).content.decode()
        assert "theirs" in owner.get(path).content.decode()


def test_a_draft_dataset_is_no_queue(workspace: Workspace, sign_in: SignIn) -> None:
    dataset = factories.make_dataset(workspace, name="unfinished")
    Dataset.objects.filter(pk=dataset.pk).update(status=DatasetStatus.DRAFT)
    client = sign_in(factories.make_member(workspace=workspace))
    assert "unfinished" not in client.get("/").content.decode()
    assert "not published yet" in client.get("/datasets/").content.decode()


def test_without_datasets_the_page_says_whom_to_ask(sign_in: SignIn) -> None:
    client = sign_in(factories.make_member())
    for path in ("/", "/datasets/"):
        assert "No datasets yet" in client.get(path).content.decode()


def test_search_answers_a_script_with_the_table_alone(
    workspace: Workspace, sign_in: SignIn
) -> None:
    factories.make_dataset(workspace, name="film-reviews")
    client = sign_in(factories.make_member(workspace=workspace))
    found = client.get("/datasets/?q=FILM", headers={"HX-Request": "true"}).content.decode()
    assert "film-reviews" in found
    assert "<html" not in found
    missing = client.get("/datasets/?q=%3Cb%3E").content.decode()
    assert "No dataset has “&lt;b&gt;” in its name." in missing


def test_the_list_costs_the_same_however_long_it_is(
    workspace: Workspace, sign_in: SignIn, django_assert_num_queries: Any
) -> None:
    client = sign_in(factories.make_member(workspace=workspace))
    for _ in range(2):
        factories.make_dataset(workspace)
    client.get("/")
    pages = {"/": 12, "/datasets/": 9}
    for path, queries in pages.items():
        with django_assert_num_queries(queries):
            client.get(path)
    for _ in range(8):
        factories.make_dataset(workspace)
    for path, queries in pages.items():
        with django_assert_num_queries(queries):
            client.get(path)


def test_a_managers_home_costs_the_same_in_many_workspaces(
    workspace: Workspace, sign_in: SignIn, django_assert_num_queries: Any
) -> None:
    admin = factories.make_member(role="admin", workspace=workspace)
    client = sign_in(admin)
    for _ in range(2):
        factories.make_records(factories.make_dataset(workspace), 2)
    client.get("/")
    with django_assert_num_queries(16):
        client.get("/")
    for number in range(4):
        other = factories.make_workspace(f"more-{number}")
        WorkspaceMembership.objects.create(workspace=other, membership=admin)
        factories.make_records(factories.make_dataset(other), 2)
    with django_assert_num_queries(16):
        client.get("/")


def test_a_manager_is_told_what_stands_still_failed_or_waits(
    workspace: Workspace, sign_in: SignIn
) -> None:
    ann, admin = (
        factories.make_member(role=role, workspace=workspace) for role in ("annotator", "admin")
    )
    stalled = factories.make_dataset(workspace, name="stalled")
    busy = factories.make_dataset(workspace, name="busy", daily_quota=1)
    factories.make_records(stalled, 2)
    first, second = factories.make_records(busy, 2)
    long_ago = timezone.now() - timedelta(days=5)
    Dataset.objects.filter(pk=stalled.pk).update(last_activity_at=long_ago)
    DatasetCounter.objects.update(last_activity_at=None)
    save_response(
        record=first,
        annotator=ann,
        status="submitted",
        values={"sentiment": {"value": "positive"}},
    )
    Job.objects.create(
        kind="suggest_few_shot", workspace=workspace, dataset_id=busy.id, total=9, done=6, failed=3
    )
    ReviewItem.objects.create(record=second, dataset=busy)
    text = sign_in(admin).get("/").content.decode()
    assert "<b>stalled</b> stands still: 2 records are pending, the last activity was" in text
    assert "<b>busy</b> stands still" not in text
    assert "A job in <b>busy</b> left 3 of 9 out (training of the suggestions)." in text
    assert "1 person has reached today’s quota in <b>busy</b>." in text
    assert "1 record of <b>busy</b> waits for a review." in text
    assert "Needs you as manager" not in sign_in(ann).get("/").content.decode()


def test_every_kind_of_job_has_a_name() -> None:
    offered = {name for name, (path, _queue) in kinds._paths.items() if path.startswith("apps.")}
    assert offered - set(work.JOB_NAMES) == set()


def test_home_says_what_reviewers_changed_and_what_the_week_brought(
    workspace: Workspace, sign_in: SignIn
) -> None:
    dataset = factories.make_dataset(workspace)
    ann = factories.make_member(workspace=workspace)
    records = factories.make_records(dataset, 3)
    client = sign_in(ann)
    empty = client.get("/").content.decode()
    assert "This week" not in empty
    assert "Changed by reviewers" not in empty
    values = {"sentiment": {"value": "positive"}}
    for record in records:
        save_response(record=record, annotator=ann, status="submitted", values=values)
    weeks = [timedelta(days=1), timedelta(days=8), timedelta(days=15)]
    for record, ago in zip(records, weeks, strict=True):
        Response.objects.filter(record=record).update(updated_at=timezone.now() - ago)
    for kind, word in (("changed", "negative"), ("confirmed", "positive")):
        Feedback.objects.create(
            record=records[0],
            dataset=dataset,
            user=ann,
            kind=kind,
            before=values,
            after={"sentiment": {"value": word}},
            note=f"Why it is {kind}.",
        )
    page = client.get("/").content.decode()
    assert "0 more than in the week before" in page
    assert "Why it is changed." in page
    assert "Why it is confirmed." not in page
    Response.objects.filter(record=records[0]).update(updated_at=timezone.now() - weeks[1])
    assert "2 fewer than in the week before" in client.get("/").content.decode()


def test_a_reached_quota_is_no_queue_to_continue(workspace: Workspace, sign_in: SignIn) -> None:
    dataset = factories.make_dataset(workspace, name="reviews", total_quota=1)
    other = factories.make_dataset(workspace, name="other")
    factories.make_records(other, 3)
    first, _ = factories.make_records(dataset, 2)
    ann = factories.make_member(workspace=workspace)
    values = {"sentiment": {"value": "positive"}}
    save_response(record=first, annotator=ann, status="submitted", values=values)
    client = sign_in(ann)
    text = client.get("/").content.decode()
    assert "your share is done" in text
    assert "1 of 1 in all" in text
    page = client.get(reverse("labeling:annotate", args=[dataset.id])).content.decode()
    assert "Your share is done" in page
    assert "Go on with other, 3 pending" in page


def submit(records: list[Any], *people: Membership) -> None:
    for record in records:
        for person in people:
            values = {"sentiment": {"value": "positive"}}
            save_response(record=record, annotator=person, status="submitted", values=values)


def test_what_others_completed_is_not_pending(workspace: Workspace, sign_in: SignIn) -> None:
    dataset = factories.make_dataset(workspace, name="reviews", daily_quota=8)
    records = factories.make_records(dataset, 10)
    mine, other = (factories.make_member(workspace=workspace) for _ in range(2))
    submit(records[:9], other)
    (row,) = work.find_queues(mine)
    assert (row.overview.pending, row.to_go, row.has_work) == (1, 1, True)
    client = sign_in(mine)
    assert "1 record to go today." in client.get("/").content.decode()
    page = client.get(reverse("labeling:annotate", args=[dataset.id])).content.decode()
    assert re.search(r'<option data-part="pending"[^>]*>Pending 1</option>', page)


def test_a_queue_found_empty_is_no_work_until_something_is_free(workspace: Workspace) -> None:
    """The one record that is not completed waits for somebody else."""
    dataset = factories.make_dataset(workspace, min_submitted=2)
    records = factories.make_records(dataset, 5)
    mine, other, third = (factories.make_member(workspace=workspace) for _ in range(3))
    submit(records[:3], other, third)
    submit(records[3:4], mine)

    def state() -> tuple[int, bool]:
        (row,) = work.find_queues(mine)
        return row.overview.pending, row.has_work

    (lease,) = claim(dataset=dataset, annotator=mine)
    assert claim(dataset=dataset, annotator=mine, limit=2) == [lease]
    assert state() == (2, True), "in hand"
    submit([lease.record], other)
    release(record_id=lease.record_id, annotator=mine)
    submit([lease.record], third)
    assert claim(dataset=dataset, annotator=mine) == []
    assert state() == (0, False)
    delete_response(response=Response.objects.get(user=third, record=lease.record_id))
    assert state() == (2, True)


def test_a_queue_held_by_others_says_so_and_looks_again(
    workspace: Workspace, sign_in: SignIn
) -> None:
    dataset = factories.make_dataset(workspace)
    factories.make_records(dataset, 1)
    claim(dataset=dataset, annotator=factories.make_member(workspace=workspace))
    reviewer = sign_in(factories.make_member(role="reviewer", workspace=workspace))
    path = reverse("labeling:annotate", args=[dataset.id])
    page = reviewer.get(path).content.decode()
    assert "with a colleague now" in page
    assert f'data-waits="{path}"' in page
    assert "Look again" in page


def test_who_answered_everything_waits_for_nothing(workspace: Workspace, sign_in: SignIn) -> None:
    """What a colleague holds never comes to the one who has answered it."""
    dataset = factories.make_dataset(workspace, min_submitted=3)
    mine = factories.make_member(workspace=workspace)
    submit(factories.make_records(dataset, 4), mine)
    claim(dataset=dataset, annotator=factories.make_member(workspace=workspace))
    page = sign_in(mine).get(reverse("labeling:annotate", args=[dataset.id])).content.decode()
    assert "You answered every record that was yours. 4 still wait" in page
    assert "data-waits" not in page


def test_who_asks_too_often_is_told_to_wait(sign_in: SignIn, settings: Any) -> None:
    settings.ORGANIZATION_RATE_LIMIT_PER_SECOND = 0.1
    settings.ORGANIZATION_RATE_LIMIT_BURST = 2
    client = sign_in(factories.make_member(username="mara"))
    assert [client.get("/").status_code for _ in range(2)] == [200, 200]
    answer = client.get("/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "10")
    assert "Too many requests" in answer.content.decode()
    assert client.get("/", headers={"HX-Request": "true"}).content == b""


def test_without_datasets_one_is_told_what_one_can_do(
    workspace: Workspace, sign_in: SignIn
) -> None:
    owner = sign_in(factories.make_member(role="owner", username="olga")).get("/")
    assert "Choose a file" in owner.content.decode()
    assert "Ask an admin" not in owner.content.decode()
    annotator = sign_in(factories.make_member(workspace=workspace, username="ann")).get("/")
    assert "Choose a file" not in annotator.content.decode()
    assert "Ask an admin" in annotator.content.decode()
