"""What events mean, how messages are written and signed, and when they are sent again."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook as Verifier

from apps.events.models import Event
from apps.webhooks.messages import MEANINGS, compose, kinds_behind, notices_of, sign
from apps.webhooks.models import DeliveryStatus, WebhookEvent
from apps.webhooks.sending import DELAYS, after_failure

NOW = datetime(2026, 11, 21, 12, 0, 0, 5, tzinfo=UTC)
DELETED = {type for type in WebhookEvent if type.endswith(".deleted")}


def happened(**values: Any) -> Event:
    return Event(organization_id=uuid4(), inserted_at=NOW, **values)


def test_every_type_comes_from_somewhere() -> None:
    told = {type for meanings in MEANINGS.values() for type in meanings}
    assert told | DELETED == set(WebhookEvent)
    assert told & DELETED == set(), "written by the deleting transaction"


def test_an_answer_tells_of_its_record_first_and_then_of_itself() -> None:
    record, response, dataset = uuid4(), uuid4(), uuid4()
    event = happened(
        kind="response.created",
        dataset_id=dataset,
        object_id=response,
        payload={"record": str(record), "status": "draft"},
    )
    told = [(notice.type, notice.object_id) for notice in notices_of(event, {*WebhookEvent})]
    assert told == [("record.updated", record), ("response.created", response)]
    assert [n.type for n in notices_of(event, {"response.created"})] == ["response.created"]
    assert list(notices_of(event, set())) == []


def test_a_bulk_write_tells_of_each_record_and_a_part_of_its_dataset() -> None:
    ids = [uuid4() for _ in range(3)]
    bulk = happened(kind="record.created", payload={"records": [*map(str, ids)]})
    assert [n.object_id for n in notices_of(bulk, {*WebhookEvent})] == ids
    part = happened(kind="question.updated", dataset_id=ids[0], object_id=ids[1])
    (notice,) = notices_of(part, {*WebhookEvent})
    assert (notice.type, notice.object_id) == ("dataset.updated", ids[0])
    assert list(notices_of(happened(kind="job.done"), {*WebhookEvent})) == []


@given(st.sets(st.sampled_from(WebhookEvent.values)))
def test_what_is_subscribed_is_what_can_mean_it(types: set[str]) -> None:
    kinds = kinds_behind(types)
    for kind in MEANINGS:
        event = happened(
            kind=kind,
            dataset_id=uuid4(),
            object_id=uuid4(),
            payload={"record": str(uuid4())},
        )
        assert (kind in kinds) == bool(list(notices_of(event, types)))


def test_a_message_is_written_as_the_contract_says() -> None:
    body = compose("record.created", NOW, b'{"id":1}')
    assert body == (
        '{"type":"record.created","version":1,'
        '"timestamp":"2026-11-21T12:00:00.000005Z","data":{"id":1}}'
    )


@given(secrets=st.lists(st.binary(min_size=1, max_size=64), min_size=1, max_size=2), body=st.text())
def test_each_secret_verifies_alone_with_the_receivers_library(
    secrets: list[bytes], body: str
) -> None:
    keys = [b64encode(secret).decode() for secret in secrets]
    document = compose("ping", NOW, b'{"x":0}').encode() + b" " * len(body)
    now = int(datetime.now(UTC).timestamp())
    headers = {
        "webhook-id": "msg_x",
        "webhook-timestamp": str(now),
        "webhook-signature": sign(keys, message_id="msg_x", timestamp=now, body=document),
    }
    for key in keys:
        assert Verifier(key).verify(document, headers)["type"] == "ping"


@given(st.integers(min_value=1, max_value=40))
def test_the_next_attempt_is_due_within_a_fifth_of_the_table(failures: int) -> None:
    after = after_failure(failures, NOW)
    if failures > len(DELAYS):
        assert after == {
            "failures": failures,
            "status": DeliveryStatus.DEAD,
            "next_attempt_at": None,
        }
        return
    wait = (after["next_attempt_at"] - NOW).total_seconds()
    assert DELAYS[failures - 1] * 0.8 <= wait <= DELAYS[failures - 1] * 1.2
    assert "status" not in after


def test_the_table_ends_within_four_days() -> None:
    assert DELAYS == (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
    assert timedelta(days=3) < timedelta(seconds=sum(DELAYS) * 1.2) < timedelta(days=4)


@pytest.mark.parametrize("failures", [1, 5, 9])
def test_attempts_of_many_messages_spread(failures: int) -> None:
    due: set[Any] = {after_failure(failures, NOW)["next_attempt_at"] for _ in range(50)}
    assert len(due) > 25
