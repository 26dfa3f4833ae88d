"""A real worker, a real Redis and real receivers, all treated badly."""

import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from celery import Celery
from django.utils import timezone

from apps.core import doorbell
from apps.core.embedded.paths import redis_socket
from apps.core.embedded.services import Services
from apps.core.tenancy import enter
from apps.events.models import WaitingEvent
from apps.organizations.models import Organization
from apps.organizations.operating import suspend, unsuspend
from apps.records.models import Record
from apps.records.services import delete_records
from apps.webhooks import sending
from apps.webhooks.doorbell import find_unsent
from apps.webhooks.models import Webhook, WebhookDelivery
from apps.webhooks.services import create_webhook, update_webhook
from apps.webhooks.tasks import KEPT_DAYS, prune
from tests.factories import make_dataset, make_organization, make_records
from tests.jobs.test_worker import Worker
from tests.webhooks.receiver import Receiver

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner", "operator"])


class Sender(Worker):
    script = "tests/webhooks/worker.py"


@pytest.fixture
def worker(receiver: Receiver) -> Iterator[Sender]:
    # A short path: it holds a socket.
    with tempfile.TemporaryDirectory(prefix="sw-") as directory:
        data_dir = Path(directory)
        with Services(data_dir, with_postgres=False):
            worker = Sender(data_dir, redis_socket(data_dir))
            worker.environment["OUTBOUND_ALLOW"] = f"127.0.0.1:{receiver.port}"
            try:
                yield worker
            finally:
                worker.kill()


@pytest.fixture
def tenant() -> Organization:
    return make_organization("Told")


def listen(organization: Organization, receiver: Receiver, path: str = "/hook") -> Webhook:
    events = ["record.created", "record.deleted"]
    with enter(organization.id):
        return create_webhook(url=receiver.url(path), events=events)


def log(organization: Organization, *sizes: int) -> set[str]:
    """Records in a new dataset, one bulk write a size; their ids."""
    with enter(organization.id):
        dataset = make_dataset()
    ids = set()
    for size in sizes:
        with enter(organization.id):
            ids |= {str(record.id) for record in make_records(dataset, size)}
    return ids


def wait(until: Callable[[], bool], worker: Worker) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if until():
            return
        time.sleep(0.02)
    pytest.fail(worker.log())


def statuses(organization: Organization) -> list[str]:
    with enter(organization.id):
        return sorted(WebhookDelivery.objects.values_list("status", flat=True))


def told_of(receiver: Receiver) -> set[str]:
    return {message.data["id"] for message in receiver.messages}


def test_kill_and_flushall_lose_nothing_and_invent_nothing(
    worker: Sender, tenant: Organization, receiver: Receiver
) -> None:
    webhook = listen(tenant, receiver)
    records = log(tenant, 1, 40, 1, 100, 1, 60)
    worker.start()
    wait(lambda: len(receiver.messages) > 5, worker)
    receiver.hanging.add("/hook")
    seen = len(receiver.messages)
    wait(lambda: len(receiver.messages) > seen, worker)
    worker.kill()  # in the middle of a delivery
    worker.redis.flushall()
    receiver.hanging.clear()
    receiver.go_on.set()
    records |= log(tenant, 100)
    worker.start()
    wait(lambda: len(told_of(receiver)) > 60, worker)
    worker.redis.flushall()  # with the worker alive
    wait(lambda: len(told_of(receiver)) > 120, worker)
    worker.kill()
    worker.start()
    wait(lambda: statuses(tenant) == ["delivered"] * len(records), worker)
    assert told_of(receiver) == records
    by_id: dict[str, set[bytes]] = {}
    for message in receiver.messages:
        by_id.setdefault(message.id, set()).add(message.body)
        message.verify(webhook.secret)
    assert len(by_id) == len(records), "a repeated message has the id of the first"
    assert all(len(bodies) == 1 for bodies in by_id.values())
    assert len(receiver.messages) > len(records), "what was in hand came twice"
    with enter(tenant.id):
        assert not WaitingEvent.objects.exists()


def test_what_is_deleted_is_told_after_a_kill_too(
    worker: Sender, tenant: Organization, receiver: Receiver
) -> None:
    listen(tenant, receiver)
    records = log(tenant, 5)
    with enter(tenant.id):
        dataset = Record.objects.select_related("dataset").first().dataset  # type: ignore[union-attr]
        delete_records(dataset=dataset, ids=list(Record.objects.values_list("id", flat=True)))
    worker.start()
    wait(lambda: len(receiver.of_type("record.deleted")) == 5, worker)
    assert {message.data["id"] for message in receiver.of_type("record.deleted")} == records
    assert receiver.of_type("record.created") == [], "there was nothing to describe any more"


def test_the_doorbell_tells_without_the_sweep(
    worker: Sender, tenant: Organization, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = worker.environment["REDIS_URL"].replace("unix://", "redis+socket://")
    monkeypatch.setattr(doorbell, "current_app", Celery(broker=broker, set_as_current=False))
    listen(tenant, receiver)
    records = log(tenant, 3)
    worker.start(sweep=3600)
    wait(lambda: told_of(receiver) == records, worker)


def test_failing_hanging_and_leaving_receivers_do_not_keep_from_the_others(
    worker: Sender, tenant: Organization, receiver: Receiver
) -> None:
    receiver.statuses |= {"/broken": 500, "/gone": 410, "/elsewhere": 302}
    receiver.hanging.add("/hanging")
    other = make_organization("Other")
    webhooks = {
        path: listen(tenant, receiver, path)
        for path in ("/broken", "/gone", "/elsewhere", "/hanging", "/good")
    }
    listen(other, receiver, "/other")
    worker.start()
    ours, theirs = log(tenant, 30), log(other, 30)

    def heard_by(path: str) -> set[str]:
        return {m.data["id"] for m in receiver.messages if m.path == path}

    wait(lambda: heard_by("/good") == ours and heard_by("/other") == theirs, worker)

    def state(path: str) -> tuple[bool, set[str]]:
        with enter(tenant.id):
            webhook = Webhook.objects.get(id=webhooks[path].id)
            rows = WebhookDelivery.objects.filter(webhook=webhook)
            return webhook.enabled, set(rows.values_list("status", flat=True))

    wait(lambda: state("/gone") == (False, {"dead"}), worker)
    wait(lambda: state("/broken") == (True, {"dead"}), worker)  # after ten attempts each
    wait(lambda: state("/elsewhere") == (True, {"dead"}), worker)
    assert len([m for m in receiver.messages if m.path == "/broken"]) == 300
    receiver.hanging.clear()
    receiver.go_on.set()
    wait(lambda: heard_by("/hanging") == ours, worker)
    assert heard_by("/other") == theirs


def test_nothing_is_sent_while_the_organization_is_suspended(
    worker: Sender, tenant: Organization, receiver: Receiver
) -> None:
    webhook = listen(tenant, receiver)
    with enter(tenant.id):
        suspend(organization=tenant, reason="Unpaid")
    records = log(tenant, 3)
    other = make_organization("Other")
    listen(other, receiver, "/other")
    theirs = log(other, 3)
    worker.start()
    wait(lambda: told_of(receiver) == theirs, worker)
    wait(lambda: statuses(tenant) == ["pending"] * 3, worker)
    assert (tenant.id, webhook.id) not in find_unsent()
    sending.run_slice(organization_id=tenant.id, webhook_id=webhook.id)
    assert told_of(receiver) == theirs
    with enter(tenant.id):
        unsuspend(organization=tenant)
    wait(lambda: statuses(tenant) == ["delivered"] * 3, worker)
    assert told_of(receiver) == theirs | records


def test_messages_that_ended_long_ago_are_forgotten(receiver: Receiver) -> None:
    now = timezone.now()
    for name in ("Old", "Older"):
        organization = make_organization(name)
        webhook = listen(organization, receiver)
        with enter(organization.id):
            for status, days in (("delivered", 6), ("delivered", 8), ("dead", 29), ("dead", 31)):
                row = WebhookDelivery.objects.create(
                    webhook=webhook, type="record.created", body="{}", status=status
                )
                rows = WebhookDelivery.objects.filter(id=row.id)
                rows.update(updated_at=now - timedelta(days=days))
    prune()
    assert KEPT_DAYS == {"delivered": 7, "dead": 30}
    with enter(organization.id):
        left = WebhookDelivery.objects.values_list("status", "updated_at")
        assert sorted((status, (now - at).days) for status, at in left) == [
            ("dead", 29),
            ("delivered", 6),
        ]


def test_what_came_too_late_for_a_disabled_webhook_is_given_up(
    tenant: Organization, receiver: Receiver
) -> None:
    webhooks = [listen(tenant, receiver, path) for path in ("/on", "/off")]
    with enter(tenant.id):
        update_webhook(webhook=webhooks[1], changes={"enabled": False})
        rows = [
            WebhookDelivery.objects.create(
                webhook=webhook, type="record.created", body="{}", next_attempt_at=timezone.now()
            )
            for webhook in webhooks
        ]
    prune()
    with enter(tenant.id):
        stored = [WebhookDelivery.objects.get(id=row.id).status for row in rows]
    assert stored == ["pending", "dead"]
