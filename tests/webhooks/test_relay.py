"""From what people do to what each webhook is told."""

import json
import threading
from collections import Counter
from typing import Any
from uuid import UUID

import pytest
from django.db import connections, transaction
from pydantic import TypeAdapter

from apps.annotation.recompute import recompute_dataset
from apps.annotation.services import delete_response, save_response
from apps.core.tenancy import enter
from apps.datasets.edits import read_edit
from apps.datasets.models import Dataset
from apps.datasets.services import (
    archive_dataset,
    create_dataset,
    create_field,
    delete_dataset,
    publish_dataset,
    restore_dataset,
    trash_dataset,
    update_dataset,
)
from apps.datasets.settings import FieldSettings
from apps.events.log import emit
from apps.events.models import Event, WaitingEvent
from apps.organizations.models import Membership, Organization
from apps.quality.schema_changes.services import apply_edit, undo_change
from apps.records.models import Record
from apps.records.services import delete_records, update_record
from apps.webhooks.models import Webhook, WebhookDelivery, WebhookEvent
from apps.webhooks.relay import relay
from apps.webhooks.services import create_webhook, delete_webhook
from tests.factories import (
    make_dataset,
    make_member,
    make_organization,
    make_records,
    make_workspace,
)

pytestmark = pytest.mark.django_db

URL = "https://8.8.8.8/hook"
ANSWER = {"sentiment": {"value": "mixed"}}


def listen(*events: str) -> Webhook:
    return create_webhook(url=URL, events=list(events or WebhookEvent.values))


def told(organization: Organization) -> list[tuple[str, Any]]:
    """``(type, data)`` of all that is told of what happened since the last call."""
    relay(organization.id)
    rows = list(WebhookDelivery.objects.order_by("id").values_list("type", "body"))
    WebhookDelivery.objects.all().delete()
    return [(type, json.loads(body)["data"]) for type, body in rows]


def types(messages: list[tuple[str, Any]]) -> list[str]:
    return [type for type, _ in messages]


def test_the_life_of_a_dataset(organization: Organization) -> None:
    listen()
    workspace = make_workspace()
    dataset = create_dataset(workspace=workspace, name="reviews", guidelines="Be fair.")
    ((type, data),) = told(organization)
    assert type == "dataset.created"
    assert data["workspace"]["name"] == workspace.name
    assert (data["name"], data["guidelines"], data["status"]) == ("reviews", "Be fair.", "draft")
    assert data["questions"] == data["fields"] == []
    assert data["metadata_properties"] == data["vectors_settings"] == []

    create_field(
        dataset=dataset,
        name="text",
        title="Text",
        required=True,
        settings=_text_settings(),
    )
    ((type, data),) = told(organization)
    assert type == "dataset.updated"
    assert [field["name"] for field in data["fields"]] == ["text"]
    assert "dataset_id" not in data["fields"][0]
    assert "workspace_id" not in data

    update_dataset(dataset=dataset, changes={"name": "reviews 2"})
    assert [(t, d["name"]) for t, d in told(organization)] == [("dataset.updated", "reviews 2")]

    delete_dataset(dataset=dataset)
    ((type, data),) = told(organization)
    assert (type, data["id"], data["name"]) == ("dataset.deleted", str(dataset.id), "reviews 2")
    assert [field["name"] for field in data["fields"]] == ["text"]


def test_the_trash_is_told_as_a_deletion_and_only_once(organization: Organization) -> None:
    dataset = make_dataset(name="mails")
    listen()
    archive_dataset(dataset=dataset)
    trash_dataset(dataset=dataset)
    assert sorted(types(told(organization))) == ["dataset.deleted", "dataset.updated"]
    trash_dataset(dataset=dataset)
    assert told(organization) == []
    restore_dataset(dataset=dataset, name="letters")
    ((type, data),) = told(organization)
    assert (type, data["id"], data["name"]) == ("dataset.created", str(dataset.id), "letters")
    trash_dataset(dataset=dataset)
    assert types(told(organization)) == ["dataset.deleted"]
    delete_dataset(dataset=dataset)
    assert told(organization) == []


def test_changed_questions_are_told(organization: Organization) -> None:
    dataset = make_dataset()
    listen("dataset.updated")
    added = {"value": "neutral", "text": "Neutral"}
    edit = read_edit({"kind": "add_label", "question": "sentiment", "label": added})
    change = apply_edit(dataset=dataset, edit=edit)
    ((type, data),) = told(organization)
    assert type == "dataset.updated"
    options = data["questions"][0]["settings"]["options"]
    assert options[-1]["value"] == "neutral"
    undo_change(change=change)
    assert types(told(organization)) == ["dataset.updated"]


def _text_settings() -> Any:
    return TypeAdapter(FieldSettings).validate_python({"type": "text", "use_markdown": False})


def test_publishing_is_told(organization: Organization) -> None:
    dataset = make_dataset()
    Dataset.objects.filter(id=dataset.id).update(status="draft")
    listen("dataset.published")
    publish_dataset(dataset=dataset)
    ((type, data),) = told(organization)
    assert (type, data["status"]) == ("dataset.published", "ready")
    assert [question["name"] for question in data["questions"]] == ["sentiment"]


def test_the_life_of_a_record(organization: Organization) -> None:
    listen()
    dataset = make_dataset()
    first, second = make_records(dataset, 2, metadata={"source": "shop"})
    messages = told(organization)
    assert types(messages) == ["record.created"] * 2
    assert [data["id"] for _, data in messages] == [str(first.id), str(second.id)]
    data = messages[0][1]
    assert data["fields"] == first.fields
    assert data["metadata"] == {"source": "shop"}
    assert data["dataset"]["id"] == str(dataset.id)
    assert data["inserted_at"] == first.inserted_at.replace(tzinfo=None).isoformat(
        timespec="microseconds"
    )

    update_record(record=first, fields={"text": "changed"})
    ((type, data),) = told(organization)
    assert (type, data["fields"]) == ("record.updated", {"text": "changed"})

    delete_records(dataset=dataset, ids=[first.id, UUID(int=0)])
    ((type, data),) = told(organization)
    assert (type, data["fields"]) == ("record.deleted", {"text": "changed"})
    assert data["dataset"]["name"] == dataset.name


def test_an_answer_tells_of_record_completion_and_itself(
    organization: Organization, owner: Membership
) -> None:
    listen()
    (record,) = make_records(make_dataset())
    told(organization)

    save_response(record=record, annotator=owner, status="draft", values=ANSWER)
    messages = told(organization)
    assert types(messages) == ["record.updated", "response.created"]

    save_response(record=record, annotator=owner, status="submitted", values=ANSWER)
    messages = dict(told(organization))
    assert set(messages) == {"record.updated", "response.updated", "record.completed"}
    assert messages["record.completed"]["status"] == "completed"
    response = messages["response.updated"]
    assert response["values"] == ANSWER
    assert response["record"]["dataset"]["id"] == str(record.dataset_id)
    assert response["record"]["status"] == "completed", "not the status before the answer"
    assert response["user"]["username"] == "olga"
    assert set(response["user"]) >= {"id", "first_name", "last_name", "role", "inserted_at"}
    assert "api_key" not in response["user"]

    saved = save_response(record=record, annotator=owner, status="submitted", values=ANSWER)
    assert types(told(organization)) == ["record.updated", "response.updated"], "completed once"

    delete_response(response=saved.response)
    messages = dict(told(organization))
    assert set(messages) == {"record.updated", "response.deleted"}
    assert messages["response.deleted"]["values"] == ANSWER
    assert messages["record.updated"]["status"] == "pending"


def test_records_completed_by_a_new_rule_are_told(
    organization: Organization, owner: Membership
) -> None:
    dataset = make_dataset(min_submitted=2)
    records = make_records(dataset, 3)
    for record in records[:2]:
        save_response(record=record, annotator=owner, status="submitted", values=ANSWER)
    listen("record.completed")
    dataset = update_dataset(dataset=dataset, changes={"min_submitted": 1})
    recompute_dataset(dataset=dataset)
    messages = told(organization)
    assert {data["id"] for _, data in messages} == {str(record.id) for record in records[:2]}
    assert types(messages) == ["record.completed"] * 2


def test_each_is_told_what_it_wants_and_nothing_from_before(organization: Organization) -> None:
    listen("record.created")
    dataset = make_dataset()
    make_records(dataset)
    late = listen("record.created")
    make_records(dataset)
    both = listen("record.created", "record.deleted")
    relay(organization.id)
    counts = Counter(WebhookDelivery.objects.values_list("webhook_id", flat=True))
    assert counts[late.id] == 1, "what happened before it was there is not its business"
    assert counts[both.id] == 0
    assert sorted(counts.values()) == [1, 2]


def test_what_is_gone_meanwhile_is_told_by_its_deletion(organization: Organization) -> None:
    listen("record.created", "record.deleted")
    dataset = make_dataset()
    (record,) = make_records(dataset)
    delete_records(dataset=dataset, ids=[record.id])
    assert types(told(organization)) == ["record.deleted"]
    delete_records(dataset=dataset, ids=[record.id])
    assert told(organization) == []


def test_an_event_nobody_wants_any_more_leaves_the_outbox(organization: Organization) -> None:
    webhook = listen("record.created")
    make_records(make_dataset())
    delete_webhook(webhook=webhook)
    assert WaitingEvent.objects.exists()
    assert told(organization) == []
    assert not WaitingEvent.objects.exists()


def test_an_event_that_is_gone_does_not_stop_the_others(organization: Organization) -> None:
    listen("record.created")
    WaitingEvent.objects.create(event_id=UUID(int=1))
    make_records(make_dataset())
    assert types(told(organization)) == ["record.created"]


def test_many_events_are_relayed_page_by_page(
    organization: Organization, django_assert_max_num_queries: Any
) -> None:
    listen("record.created")
    dataset = make_dataset()
    for _ in range(5):
        make_records(dataset, 300)
    for _ in range(150):
        emit("record.created", dataset_id=dataset.id, payload={"records": []})
    with django_assert_max_num_queries(160):
        assert relay(organization.id) == 1500
    assert not WaitingEvent.objects.exists()
    assert Record.objects.count() == 1500


# --- Between organizations, and between transactions ---------------------------------------------


@pytest.mark.django_db(transaction=True, databases=["default", "owner", "operator"])
def test_one_organization_is_told_nothing_of_another() -> None:
    ours, theirs = make_organization("Ours"), make_organization("Theirs")
    for organization in (ours, theirs):
        with enter(organization.id):
            listen("record.created")
            make_records(make_dataset(), 2)
    assert relay(ours.id) == 2
    with enter(theirs.id):
        assert WebhookDelivery.objects.count() == 0
        assert WaitingEvent.objects.count() == 1
    with enter(ours.id):
        ids = {str(id) for id in Record.objects.values_list("id", flat=True)}
        bodies = [json.loads(d.body)["data"]["id"] for d in WebhookDelivery.objects.all()]
        assert set(bodies) == ids


@pytest.mark.django_db(transaction=True, databases=["default", "owner", "operator"])
def test_what_commits_late_is_not_passed_over() -> None:
    """Its id is older than one that was relayed before."""
    organization = make_organization("Late")
    with enter(organization.id):
        listen("record.created")
        dataset = make_dataset()
    emitted, committed = threading.Event(), threading.Event()

    def slow() -> None:
        try:
            with enter(organization.id):
                make_records(dataset)
                emitted.set()
                committed.wait(20)
        finally:
            connections.close_all()

    thread = threading.Thread(target=slow)
    thread.start()
    assert emitted.wait(20)
    with enter(organization.id):
        emit("record.created", dataset_id=dataset.id, payload={"records": []})
    assert relay(organization.id) == 0
    committed.set()
    thread.join()
    with enter(organization.id):
        first, second = Event.objects.filter(kind="record.created").order_by("id")
        assert (len(first.payload["records"]), len(second.payload["records"])) == (1, 0)
    assert relay(organization.id) == 1


@pytest.mark.django_db(transaction=True, databases=["default", "owner", "operator"])
def test_several_relays_tell_each_thing_once() -> None:
    organization = make_organization("Crowded")
    with enter(organization.id):
        listen("record.created")
        dataset = make_dataset()
        for _ in range(60):
            make_records(dataset)

    def run() -> None:
        try:
            relay(organization.id)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    relay(organization.id)
    with enter(organization.id):
        told_of = [json.loads(d.body)["data"]["id"] for d in WebhookDelivery.objects.all()]
        assert len(told_of) == len(set(told_of)) == 60


@pytest.mark.django_db(transaction=True, databases=["default", "owner", "operator"])
def test_what_is_rolled_back_was_never_told() -> None:
    organization = make_organization("Undone")
    with enter(organization.id):
        listen()
        dataset = make_dataset()
        (record,) = make_records(dataset)
        member = make_member()
    relay(organization.id)
    with enter(organization.id):
        save_response(record=record, annotator=member, status="submitted", values=ANSWER)
        delete_records(dataset=dataset, ids=[record.id])
        transaction.set_rollback(True)
    assert relay(organization.id) == 0
    with enter(organization.id):
        assert types(told(organization)) == ["record.created"]


def test_a_transaction_calls_for_its_relay_once(
    organization: Organization, django_capture_on_commit_callbacks: Any
) -> None:
    listen("response.created")
    dataset, member = make_dataset(), make_member()
    records = make_records(dataset, 3)
    with django_capture_on_commit_callbacks() as calls:
        for record in records:
            save_response(record=record, annotator=member, status="submitted", values=ANSWER)
    assert len(calls) == 1


def test_a_call_that_was_taken_back_is_made_by_the_next_event(
    organization: Organization, django_capture_on_commit_callbacks: Any
) -> None:
    listen("response.created")
    with django_capture_on_commit_callbacks() as calls:
        with transaction.atomic():
            emit("response.created")
            transaction.set_rollback(True)
        emit("response.created")
    assert len(calls) == 1
    assert WaitingEvent.objects.count() == 1
