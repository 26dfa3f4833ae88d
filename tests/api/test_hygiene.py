"""Wire hygiene: JSON everywhere, no redirects, naive times, nothing hostile gives a 500."""

import json
import re
from typing import Any

import pytest
from django.test import Client

from apps.datasets.models import Dataset
from tests import factories
from tests.api.conftest import Api, Cast

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")
NOT_FOUND = {"detail": "Not Found"}
UNKNOWN = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def dataset(cast: Cast) -> Dataset:
    with cast.inside():
        return factories.make_dataset(cast.workspace)


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize(
    "path",
    ["/me/", "/datasets/", "/nothing", "/", "", "/me//", "/%00", "/me%0a", "/..", "/users/a/b/c"],
)
def test_a_path_that_is_not_there_is_a_404_in_json(settings: Any, path: str, debug: bool) -> None:
    settings.DEBUG = debug
    for method in ("GET", "POST", "OPTIONS"):
        answer = Api().send(method, path)
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND)


def test_no_answer_is_a_redirect(cast: Cast) -> None:
    for path in ("/me", "/me/", "/users/", "//me", "/version/"):
        assert cast["owner"].get(path).status_code in {200, 404}


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/me"), ("GET", "/workspaces"), ("DELETE", "/datasets"), ("OPTIONS", "/me")],
)
def test_a_wrong_method_is_a_405_in_json_before_the_key(db: None, method: str, path: str) -> None:
    answer = Api().send(method, path)
    assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})
    assert answer.headers["Allow"]


def test_an_unexpected_error_is_json_and_tells_its_type_only(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise TypeError("secret")

    monkeypatch.setattr("apps.api.v1.users.user_document", crash)
    answer = cast["owner"].get("/me")
    assert answer.status_code == 500
    assert answer.json() == {
        "detail": {
            "code": "argilla.api.errors::GenericServerError",
            "params": {"type": "builtins.TypeError", "message": "Internal server error"},
        }
    }


def test_an_answer_that_cannot_be_written_takes_the_change_back(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.api.v1.workspaces.workspace_document", lambda _: {"a": object()})
    assert cast["owner"].post("/workspaces", {"name": "new"}).status_code == 500
    monkeypatch.undo()
    assert cast["owner"].post("/workspaces", {"name": "new"}).status_code == 201


@pytest.mark.parametrize("debug", [True, False])
def test_what_django_refuses_itself_is_json(settings: Any, debug: bool) -> None:
    settings.ALLOWED_HOSTS, settings.DEBUG = ["here"], debug
    answer = Client(raise_request_exception=False).get("/api/v1/version", headers={"Host": "x"})
    assert (answer.status_code, answer.json()) == (400, {"detail": "Bad Request"})


def test_headers_say_json_and_keep_answers_out_of_caches(cast: Cast) -> None:
    for name, path in (("owner", "/me"), ("nobody", "/me"), ("owner", "/nothing")):
        answer = cast[name].get(path)
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Set-Cookie" not in answer.headers


def test_the_accept_header_does_not_matter(cast: Cast) -> None:
    for accept in ("text/html", "application/xml", "nonsense", "image/*;q=2"):
        assert cast["owner"].get("/me", Accept=accept).json()["username"] == "owner"


def test_times_are_naive_and_ids_lower_case(cast: Cast, dataset: Dataset) -> None:
    owner = cast["owner"]
    found = [
        owner.get("/me").json(),
        owner.get(f"/workspaces/{cast.workspace.id}").json(),
        owner.get(f"/datasets/{dataset.id}").json(),
        owner.get(f"/datasets/{dataset.id}/fields").json()["items"][0],
    ]
    for document in found:
        times = [value for key, value in document.items() if key.endswith("_at")]
        assert len(times) >= 2
        assert all(TIMESTAMP.fullmatch(time) for time in times)
        assert document["id"] == document["id"].lower()
        assert len(document["id"]) == 36


HOSTILE = {
    "deep": b"[" * 1_000 + b"]" * 1_000,
    "deep object": b'{"name":' * 1_000 + b"1" + b"}" * 1_000,
    "deep value": b'{"name": "x", "metadata": {"a": ' + b"[" * 100 + b"]" * 100 + b"}}",
    "nul": b'{"name": "a\\u0000b"}',
    "nul key": b'{"name": "x", "metadata": {"a\\u0000": 1}}',
    "surrogate": b'{"name": "\\ud800"}',
    "surrogate key": b'{"name": "x", "metadata": {"\\udfff": 1}}',
    "nan": b'{"name": "x", "metadata": {"a": NaN}}',
    "infinity": b'{"name": "x", "metadata": {"a": -Infinity}}',
    "overflow": b'{"name": "x", "metadata": {"a": 1e999}}',
    "huge integer": b'{"name": "x", "metadata": {"a": ' + b"9" * 5_000 + b"}}",
    "large integer": b'{"name": "x", "metadata": {"a": ' + b"9" * 400 + b"}}",
    "utf-16": '{"name": "x"}'.encode("utf-16"),
    "latin": b'{"name": "\xe9"}',
    "no json": b"name=x",
    "empty": b"",
    "null": b"null",
    "list": b"[]",
    "string": b'"x"',
    "long name": b'{"name": "' + b"x" * 9_000_000 + b'"}',
    "wrong types": b'{"name": {"a": []}, "distribution": [], "metadata": "x", "daily_quota": -1}',
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_bodies_are_422_with_the_contracts_body(
    cast: Cast, dataset: Dataset, raw: bytes
) -> None:
    answer = cast["owner"].patch(f"/datasets/{dataset.id}", raw=raw)
    assert answer.status_code == 422
    detail = answer.json()["detail"]
    assert detail["code"] == "argilla.api.errors::ValidationError"
    for problem in detail["params"]["errors"]:
        assert problem.keys() == {"type", "loc", "msg"}
        assert problem["loc"][0] == "body"
    assert len(answer.content) < 10_000


def test_a_body_beyond_the_limit_is_a_413(cast: Cast, dataset: Dataset) -> None:
    raw = b'{"name": "' + b"x" * (10 * 1024 * 1024) + b'"}'
    answer = cast["owner"].patch(f"/datasets/{dataset.id}", raw=raw)
    assert answer.status_code == 413
    assert answer.json() == {"detail": "The request body is too large."}


def test_a_compressed_body_is_a_415(cast: Cast) -> None:
    answer = cast["owner"].post("/workspaces", {"name": "x"}, **{"Content-Encoding": "gzip"})
    assert answer.status_code == 415
    assert "Compressed" in answer.json()["detail"]


def test_a_form_is_no_json(cast: Cast) -> None:
    client = Client(headers={"X-Argilla-Api-Key": cast.keys["owner"]})
    assert client.post("/api/v1/workspaces", {"name": "x"}).status_code == 422
    answer = client.post("/api/v1/workspaces", json.dumps({"name": "x"}), content_type="text/plain")
    assert answer.status_code == 201


@pytest.mark.parametrize("id", ["x", "1", "../../me", "%00", "é", "x" * 5_000, f"{UNKNOWN}0"])
def test_a_bad_id_in_the_path_is_a_422(cast: Cast, id: str) -> None:
    answer = cast["owner"].get(f"/datasets/{id}")
    if "/" in id:
        assert answer.status_code == 404
        return
    (problem,) = answer.json()["detail"]["params"]["errors"]
    assert (answer.status_code, problem["type"]) == (422, "uuid_parsing")
    assert problem["loc"] == ["path", "dataset_id"]


def test_ids_are_accepted_in_any_case(cast: Cast, dataset: Dataset) -> None:
    answer = cast["owner"].get(f"/datasets/{str(dataset.id).upper()}")
    assert answer.json()["id"] == str(dataset.id)


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("workspace_id=x", "workspace_id"),
        ("status=done", "status"),
        ("name=%00", "name"),
    ],
)
def test_a_bad_query_is_a_422(cast: Cast, query: str, place: str) -> None:
    answer = cast["owner"].get(f"/me/datasets?{query}")
    (problem,) = answer.json()["detail"]["params"]["errors"]
    assert (answer.status_code, problem["loc"]) == (422, ["query", place])


def test_strange_queries_do_no_harm(cast: Cast, dataset: Dataset) -> None:
    for query in ("offset=-1", "name=%ff", "name[]=x", "a=b&a=c", "name__startswith=d", "%", "&&="):
        assert cast["owner"].get(f"/me/datasets?{query}").status_code == 200
    found = cast["owner"].get("/me/datasets?name__startswith=zzz").json()["items"]
    assert len(found) == 1  # an unknown key is ignored, never a filter


def test_a_missing_object_is_told_by_its_class(cast: Cast) -> None:
    rows = {
        "/users/": "User",
        "/workspaces/": "Workspace",
        "/datasets/": "Dataset",
    }
    for path, name in rows.items():
        answer = cast["owner"].get(f"{path}{UNKNOWN}")
        assert answer.status_code == 404
        assert answer.json() == {"detail": f"{name} with id `{UNKNOWN}` not found"}
    parts = {
        "/fields/": "Field",
        "/questions/": "Question",
        "/metadata-properties/": "MetadataProperty",
        "/vectors-settings/": "VectorSettings",
    }
    for path, name in parts.items():
        answer = cast["owner"].delete(f"{path}{UNKNOWN}")
        assert answer.json() == {"detail": f"{name} with id `{UNKNOWN}` not found"}


def test_a_long_list_of_problems_gets_a_short_answer(cast: Cast, dataset: Dataset) -> None:
    body = {
        "name": "q",
        "title": "Q",
        "settings": {"type": "rating", "options": [{"value": "x"}] * 50_000},
    }
    answer = cast["owner"].post(f"/datasets/{dataset.id}/questions", body)
    assert answer.status_code == 422
    assert len(answer.content) < 50_000
