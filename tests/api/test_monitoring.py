"""Live predictions over the API, and the webhook that says when to retrain."""

from typing import Any

import pytest

from apps.datasets.models import Dataset, Question
from apps.events.models import Event, WaitingEvent
from apps.monitoring.models import Prediction
from apps.monitoring.services import configure_monitor, notice_retrain
from apps.records.models import Record
from apps.webhooks.documents import build
from apps.webhooks.messages import notices_of
from apps.webhooks.models import CONTRACT, WebhookEvent
from apps.webhooks.services import create_webhook
from tests.api.conftest import Api, Cast
from tests.factories import make_dataset, make_records

pytestmark = pytest.mark.django_db


@pytest.fixture
def dataset(cast: Cast) -> Dataset:
    with cast.inside():
        return make_dataset(cast.workspace)


@pytest.fixture
def api(cast: Cast) -> Api:
    return cast["admin_in"]


def item(n: int, **values: Any) -> dict[str, Any]:
    given = {"external_id": f"p{n}", "fields": {"text": f"sentence {n}"}, "value": "mixed"}
    return {**given, "score": 0.4, "model": "intent-7", **values}


def log(api: Api, dataset: Dataset, *items: dict[str, Any]) -> Any:
    body = {"question": "sentiment", "items": list(items)}
    return api.post(f"/datasets/{dataset.id}/predictions", body)


def test_an_application_logs_and_people_are_asked(api: Api, cast: Cast, dataset: Dataset) -> None:
    rules = {"question": "sentiment", "threshold": 0.5, "retrain_every": 10}
    saved = api.put(f"/datasets/{dataset.id}/monitoring", rules).json()
    assert (saved["threshold"], saved["retrain_every"], saved["daily_limit"]) == (0.5, 10, 500)
    items = [item(1), item(2, score=0.9), item(3, predicted_at="2020-01-01T00:00:00")]
    refused = log(api, dataset, *items)
    assert refused.status_code == 422, "too old"
    told = log(api, dataset, *items[:2]).json()
    assert told == {"created": 2, "known": 0, "routed": {"score": 1}, "is_full": False}
    assert log(api, dataset, *items[:2]).json()["known"] == 2
    page = api.get(f"/datasets/{dataset.id}/predictions?question=sentiment").json()
    assert page["total"] == 2
    routed = api.get(f"/datasets/{dataset.id}/predictions?question=sentiment&routed=score").json()
    (only,) = routed["items"]
    assert (only["external_id"], only["routed"], only["value"]) == ("p1", "score", "mixed")
    record = api.get(f"/records/{only['record_id']}").json()
    assert record["fields"] == {"text": "sentence 1"}
    watched = api.get(f"/datasets/{dataset.id}/monitoring?question=sentiment&days=7").json()
    assert watched["monitor"]["threshold"] == 0.5
    assert watched["series"]["total"]["n"] == 2
    assert len(watched["series"]["points"]) == 7
    with cast.inside():
        assert Record.objects.count() == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"value": "purple"},
        {"value": None},
        {"fields": {}},
        {"fields": {"text": "a\0b"}},
        {"score": 2},
        {"score": "NaN"},
        {"external_id": ""},
        {"external_id": "x" * 401},
        {"model": "x" * 201},
        {"predicted_at": "yesterday"},
        {"predicted_at": "0001-01-01T00:00:00+14:00"},
        {"predicted_at": "9999-12-31T23:59:59-12:00"},
    ],
)
def test_bad_predictions_leave_nothing_behind(
    api: Api, cast: Cast, dataset: Dataset, wrong: dict[str, Any]
) -> None:
    answer = log(api, dataset, item(1), item(2, **wrong))
    assert answer.status_code == 422, answer.content
    with cast.inside():
        assert not Prediction.objects.exists()


def test_a_call_takes_five_hundred(api: Api, dataset: Dataset) -> None:
    assert log(api, dataset, *[item(n) for n in range(501)]).status_code == 422
    assert log(api, dataset).status_code == 422
    body = {"question": "nothing", "items": [item(1)]}
    assert api.post(f"/datasets/{dataset.id}/predictions", body).status_code == 422


def test_nothing_is_watched_before_there_is_a_monitor(api: Api, dataset: Dataset) -> None:
    watched = api.get(f"/datasets/{dataset.id}/monitoring?question=sentiment&by=week").json()
    assert watched["monitor"]["random_percent"] == 0
    assert watched["series"]["total"]["n"] == 0
    for query in ("question=nothing", "question=sentiment&days=0", "days=7"):
        assert api.get(f"/datasets/{dataset.id}/monitoring?{query}").status_code == 422


# --- The webhook ---------------------------------------------------------------------------------
def test_a_subscriber_hears_when_it_is_time_to_retrain(cast: Cast, dataset: Dataset) -> None:
    with cast.inside():
        create_webhook(url="https://8.8.8.8/", events=["monitor.retrain_due"])
        question = Question.objects.select_related("dataset").get(dataset=dataset)
        configure_monitor(question=question, retrain_every=1)
        (record,) = make_records(dataset)
    body = {"status": "submitted", "values": {"sentiment": {"value": "mixed"}}}
    assert cast["annotator_in"].post(f"/records/{record.id}/responses", body).status_code == 201
    with cast.inside():
        assert notice_retrain(question_id=question.id)
        waiting = WaitingEvent.objects.values_list("event_id", flat=True)
        (event,) = Event.objects.filter(id__in=list(waiting))
        (notice,) = notices_of(event, {"monitor.retrain_due"})
        (document,) = build(notice.resource, [notice.object_id]).values()
    for text in (b'"answers":1', b'"retrain_every":1', b'"name":"sentiment"', b'"dataset":{'):
        assert text in document.replace(b": ", b":")


def test_clients_of_the_contract_meet_no_name_they_do_not_know(cast: Cast) -> None:
    body = {"url": "https://8.8.8.8/", "events": ["record.created", "monitor.retrain_due"]}
    made = cast["owner"].post("/webhooks", body).json()
    assert made["events"] == ["record.created"]
    assert made["stoneware_events"] == ["record.created", "monitor.retrain_due"]
    path = f"/webhooks/{made['id']}"
    kept = cast["owner"].patch(path, {"events": ["record.updated"]}).json()
    assert kept["stoneware_events"] == ["record.updated", "monitor.retrain_due"]
    alone = cast["owner"].patch(path, {"events": []}).json()
    assert (alone["events"], alone["stoneware_events"]) == ([], ["monitor.retrain_due"])
    every = {"stoneware_events": ["record.created"]}
    assert cast["owner"].patch(path, every).json()["stoneware_events"] == ["record.created"]
    assert cast["owner"].patch(path, {"events": []}).status_code == 422
    assert set(WebhookEvent) - CONTRACT == {WebhookEvent.MONITOR_RETRAIN_DUE}
