"""``Idempotency-Key``: a write sent twice is done once and answered twice."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, connections
from django.utils import timezone

from apps.core.tenancy import enter
from apps.organizations.directory import find_api_key
from apps.organizations.models import IdempotentRequest
from apps.organizations.services import create_api_key
from apps.organizations.tasks import sweep_idempotent_requests
from apps.workspaces.models import Workspace
from tests.api.conftest import OVERHEAD, Api, Cast
from tests.factories import make_dataset, make_member, make_organization, make_records
from tests.meanwhile import waiting

REPLAYED = "Idempotent-Replayed"


def named(key: str | None = None) -> dict[str, str]:
    return {"Idempotency-Key": key or str(uuid4())}


def test_a_write_sent_again_is_answered_again(cast: Cast) -> None:
    owner, key = cast["owner"], named()
    first = owner.post("/workspaces", {"name": "new"}, **key)
    again = owner.post("/workspaces", {"name": "new"}, **key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert (REPLAYED in first, again[REPLAYED]) == (False, "true")
    assert again["Content-Type"] == first["Content-Type"] == "application/json"
    assert again["Cache-Control"] == "no-store"
    assert owner.post("/workspaces", {"name": "new"}).status_code == 409
    assert owner.post("/workspaces", {"name": "new"}, **named()).status_code == 409


def test_every_method_that_writes_has_it(cast: Cast) -> None:
    owner = cast["owner"]
    with cast.inside():
        dataset = make_dataset(cast.workspace)
        records = make_records(dataset, 2)
    path = f"/datasets/{dataset.id}"
    bulk = {"items": [{"fields": {"text": "once"}}]}
    ids = f"{path}/records?ids={records[0].id}"
    for method, where, body, status in [
        ("PATCH", path, {"guidelines": "Be kind."}, 200),
        ("POST", f"{path}/records/bulk", bulk, 201),
        ("PUT", f"{path}/records/bulk", bulk, 200),
        ("DELETE", ids, None, 204),
        ("DELETE", f"/records/{records[1].id}", None, 200),
        ("DELETE", path, None, 200),
    ]:
        key = named()
        answers = [owner.send(method, where, body, **key) for _ in range(2)]
        assert [one.status_code for one in answers] == [status, status], (method, where)
        assert answers[0].content == answers[1].content
        assert [one.get(REPLAYED) for one in answers] == [None, "true"]


def test_a_bulk_sent_twice_makes_its_records_once(cast: Cast) -> None:
    with cast.inside():
        dataset = make_dataset(cast.workspace)
    path, key = f"/datasets/{dataset.id}/records/bulk", named()
    body = {"items": [{"fields": {"text": f"text {n}"}} for n in range(20)]}
    first, again = (cast["owner"].post(path, body, **key) for _ in range(2))
    assert [one["id"] for one in again.json()["items"]] == [
        one["id"] for one in first.json()["items"]
    ]
    total = cast["owner"].get(f"/datasets/{dataset.id}/progress").json()["total"]
    assert total == 20


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/workspaces", {"name": "other"}),
        ("POST", "/workspaces?x=1", {"name": "new"}),
        ("POST", "/me/api-keys", {"name": "new"}),
        ("DELETE", "/workspaces/{id}", None),
    ],
)
def test_a_key_stands_for_one_request(cast: Cast, method: str, path: str, body: Any) -> None:
    owner, key = cast["owner"], named()
    made = owner.post("/workspaces", {"name": "new"}, **key).json()
    answer = owner.send(method, path.format(id=made["id"]), body, **key)
    assert (answer.status_code, answer.json()) == (
        422,
        {"detail": "This Idempotency-Key was used for another request"},
    )
    assert owner.get(f"/workspaces/{made['id']}").status_code == 200


def test_a_failed_write_may_be_tried_again_under_its_key(cast: Cast) -> None:
    owner, key = cast["owner"], named()
    assert owner.post("/workspaces", {"name": "no spaces"}, **key).status_code == 422
    assert owner.post("/workspaces", {}, **key).status_code == 422
    assert owner.post("/workspaces", {"name": "spaceless"}, **key).status_code == 201
    assert cast["annotator_in"].post("/workspaces", {"name": "x"}, **key).status_code == 403


def test_keys_are_each_members_own(cast: Cast) -> None:
    key, body = named(), {"name": "mine"}
    first = cast["owner"].post("/me/api-keys", body, **key).json()
    for name in ("admin_in", "stranger"):
        other = cast[name].post("/me/api-keys", body, **key)
        assert (other.status_code, REPLAYED in other) == (201, False)
        assert other.json()["api_key"] != first["api_key"]
    again = cast["owner"].post("/me/api-keys", body, **key)
    assert again.json() == first


def test_a_key_that_is_shown_once_is_not_kept_readable(cast: Cast) -> None:
    made = cast["owner"].post("/me/api-keys", {}, **named()).json()
    with cast.inside():
        kept = bytes(IdempotentRequest.objects.get().body)
    assert made["api_key"].encode() not in kept
    assert made["id"].encode() not in kept


def test_a_member_who_lost_the_key_or_the_scope_gets_no_replay(cast: Cast) -> None:
    key = named()
    cast["owner"].post("/workspaces", {"name": "new"}, **key)
    with cast.inside():
        reader = Api(create_api_key(member=cast.people["owner"], scopes=["read"])[1])
    assert reader.post("/workspaces", {"name": "new"}, **key).status_code == 403
    assert cast["nobody"].post("/workspaces", {"name": "new"}, **key).status_code == 401


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "é", "a\x00b", "tab\tbed"])
def test_what_is_no_key_is_a_422(cast: Cast, key: str) -> None:
    answer = cast["owner"].post("/workspaces", {"name": "new"}, **{"Idempotency-Key": key})
    assert answer.status_code == 422
    (problem,) = answer.json()["detail"]["params"]["errors"]
    assert problem["loc"] == ["header", "Idempotency-Key"]
    assert cast["owner"].post("/workspaces", {"name": "new"}).status_code == 201


def test_any_text_is_a_key(cast: Cast) -> None:
    for key in ("1", "order-4711", "x" * 255, "!#$%&'*+-.^_`|~"):
        sent = [cast["owner"].post("/me/api-keys", {}, **named(key)) for _ in range(2)]
        assert sent[0].json() == sent[1].json()


def test_reading_takes_no_notice(cast: Cast) -> None:
    owner = cast["owner"]
    for path in ("/me", "/me/workspaces", "/version"):
        for _ in range(2):
            answer = owner.get(path, **named("same"))
            assert (answer.status_code, REPLAYED in answer) == (200, False)


def test_a_kept_answer_ends_after_a_day_and_is_swept(cast: Cast) -> None:
    owner, key = cast["owner"], named()
    owner.post("/me/api-keys", {}, **key)
    owner.post("/me/api-keys", {}, **named())
    with cast.inside():
        row = IdempotentRequest.objects.get(key=key["Idempotency-Key"])
        left = row.expires_at - timezone.now()
        assert timedelta(hours=23) < left <= timedelta(hours=24)
        IdempotentRequest.objects.filter(key=row.key).update(
            expires_at=timezone.now() - timedelta(seconds=1)
        )
    anew = owner.post("/me/api-keys", {"name": "another body"}, **key)
    assert (anew.status_code, REPLAYED in anew) == (201, False)
    assert owner.post("/me/api-keys", {"name": "another body"}, **key)[REPLAYED] == "true"


@pytest.mark.django_db(databases=["default", "operator"], transaction=True)
def test_the_sweep_deletes_what_has_expired_of_everybody() -> None:
    places = [make_organization("One"), make_organization("Two")]
    for place in places:
        with enter(place.id):
            key = create_api_key(member=make_member(role="owner"))[1]
        for name in ("old", "young"):
            Api(key).post("/me/api-keys", {}, **named(name))
        with enter(place.id):
            IdempotentRequest.objects.filter(key="old").update(
                expires_at=timezone.now() - timedelta(minutes=1)
            )
    assert sweep_idempotent_requests() == 2
    for place in places:
        with enter(place.id):
            assert [row.key for row in IdempotentRequest.objects.all()] == ["young"]


def test_without_the_header_nothing_costs_more(cast: Cast, django_assert_num_queries: Any) -> None:
    owner = cast["owner"]
    owner.get("/me")
    with django_assert_num_queries(OVERHEAD + 4):  # savepoint, key, event, its release
        owner.post("/me/api-keys", {})
    with django_assert_num_queries(OVERHEAD + 7):  # and hold, find, keep
        owner.post("/me/api-keys", {}, **named())


# --- At the same time ----------------------------------------------------------------------------


@pytest.fixture
def owner_key(transactional_db: None) -> str:
    with enter(make_organization().id):
        return create_api_key(member=make_member(role="owner"))[1]


def test_while_the_first_is_running_the_second_is_a_409(owner_key: str) -> None:
    """The first waits for a lock in the middle of its work."""
    api, key, answers = Api(owner_key), named(), []
    with enter(_organization_of(owner_key)):
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE workspace IN SHARE MODE")
        first = threading.Thread(
            target=_run, args=(answers, lambda: api.post("/workspaces", {"name": "w"}, **key))
        )
        first.start()
        _wait_for_a_waiter()
        second = threading.Thread(
            target=_run, args=(answers, lambda: api.post("/workspaces", {"name": "w"}, **key))
        )
        second.start()
        second.join(timeout=20)
        assert [one.status_code for one in answers] == [409]
        assert answers[0].json() == {
            "detail": "A request with this Idempotency-Key is still running"
        }
    first.join(timeout=20)
    assert answers[1].status_code == 201
    replay = api.post("/workspaces", {"name": "w"}, **key)
    assert (replay.status_code, replay[REPLAYED]) == (201, "true")
    assert replay.json() == answers[1].json()


def test_many_at_once_do_it_once(owner_key: str) -> None:
    api, key, answers = Api(owner_key), named(), []
    threads = [
        threading.Thread(
            target=_run, args=(answers, lambda: api.post("/workspaces", {"name": "w"}, **key))
        )
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    statuses = [one.status_code for one in answers]
    assert len(statuses) == 6
    assert set(statuses) <= {201, 409}
    assert len({one.content for one in answers if one.status_code == 201}) == 1
    with enter(_organization_of(owner_key)):
        assert Workspace.objects.filter(name="w").count() == 1


def _organization_of(key: str) -> Any:
    holder = find_api_key(key)
    assert holder is not None
    return holder.organization_id


def _run(answers: list[Any], send: Callable[[], Any]) -> None:
    answers.append(send())
    connections.close_all()


def _wait_for_a_waiter() -> None:
    for _ in range(400):
        if waiting():
            return
        threading.Event().wait(0.025)
    raise AssertionError("Nobody waits.")
