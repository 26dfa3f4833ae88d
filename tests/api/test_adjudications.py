"""Reviewers' decisions over the API."""

from typing import Any

from apps.events.models import Event
from apps.quality.models import Adjudication, Feedback
from apps.records.models import Record
from tests.api.conftest import Scene


def test_a_decision_is_put_and_read(scene: Scene) -> None:
    path = f"/records/{scene.ids['record']}/adjudication"
    reviewer = scene.cast["reviewer_in"]
    assert reviewer.get(path).status_code == 404
    body = {"values": {"sentiment": {"value": "positive"}}, "note": "Praise."}
    put = reviewer.put(path, body)
    assert put.status_code == 200, put.content
    found = reviewer.get(path).json()
    assert found == put.json()
    assert found["values"] == body["values"]
    assert (found["note"], found["ambiguous"]) == ("Praise.", [])
    assert found["reviewer_id"] == str(scene.cast.id("reviewer_in"))
    with scene.cast.inside():
        assert Feedback.objects.get().user_id == scene.cast.id("annotator_in")
        event = Event.objects.order_by("-id")[0]
        assert event.kind == "adjudication.created"
        assert event.actor_id == scene.cast.id("reviewer_in")
    again = scene.cast["owner"].put(path, {"ambiguous": ["sentiment"]})
    assert again.json()["values"] == {}
    with scene.cast.inside():
        assert Adjudication.objects.count() == 1
        assert Event.objects.order_by("-id")[0].kind == "adjudication.updated"


def test_a_wrong_decision_is_422(scene: Scene) -> None:
    path = f"/records/{scene.ids['record']}/adjudication"
    wrong: list[Any] = [
        {},
        [],
        {"values": {"sentiment": "mixed"}},
        {"values": {"sentiment": {"value": "happy"}}},
        {"values": {"gone": {"value": "x"}}},
        {"ambiguous": ["gone"]},
        {"ambiguous": "sentiment"},
        {"note": "x" * 10_001},
        {"note": "nul \0", "ambiguous": ["sentiment"]},
    ]
    for body in wrong:
        assert scene.cast["owner"].put(path, body).status_code == 422, body
    with scene.cast.inside():
        Record.objects.all().delete()
    assert scene.cast["owner"].put(path, {"ambiguous": ["sentiment"]}).status_code == 404
