"""Providers of language models over the API: keys that go in and never come out, and the test."""

from typing import Any
from uuid import UUID

import pytest

from apps.llms.models import Provider, ProviderModel
from apps.workspaces.models import WorkspaceMembership
from tests.api.conftest import EVERYBODY, OVERHEAD, Api, Cast
from tests.api.described import check_described
from tests.llm_server.controls import LlmServer

pytestmark = pytest.mark.usefixtures("fresh_dialects")

KEY = "sk-0123456789abcdef"
URL = "https://8.8.8.8/v1"
BODY = {"name": "Hosted", "base_url": URL, "api_key": KEY, "models": ["tiny"]}


@pytest.fixture
def owner(cast: Cast) -> Api:
    return cast["owner"]


@pytest.fixture
def provider(owner: Api) -> dict[str, Any]:
    made: dict[str, Any] = owner.post("/llm/providers", BODY).json()
    return made


def test_a_provider_is_made_and_its_key_never_told(owner: Api, cast: Cast) -> None:
    price = {"input": 2.5, "output": 10, "cached_input": 1.25}
    models = [
        {"name": "large", "prices": price, "rpm": 60, "concurrency": 4},
        {"name": "embedder", "kind": "embedding"},
        "small",
    ]
    response = owner.post("/llm/providers", {**BODY, "models": models, "tpm": 90_000})
    check_described("POST /llm/providers", response)
    assert response.status_code == 201
    made = response.json()
    assert UUID(made["id"])
    assert (made["has_key"], made["key_hint"]) == (True, "sk-…cdef")
    assert (made["default_model"], made["tpm"], made["rpm"]) == ("large", 90_000, None)
    by_name = {model["name"]: model for model in made["models"]}
    assert by_name.keys() == {"large", "embedder", "small"}
    assert by_name["large"]["price"].items() >= {**price, "batch_discount": 50}.items()
    assert (by_name["embedder"]["kind"], by_name["small"]["price"]) == ("embedding", None)
    for answer in (
        response,
        owner.get("/llm/providers"),
        owner.get(f"/llm/providers/{made['id']}"),
        owner.patch(f"/llm/providers/{made['id']}", {"name": "Renamed", "api_key": KEY}),
        owner.delete(f"/llm/providers/{made['id']}"),
    ):
        assert answer.status_code in (200, 201)
        assert KEY not in answer.content.decode()
        assert "api_key" not in answer.content.decode()
    assert owner.get("/llm/providers").json() == {"items": []}


@pytest.mark.parametrize(
    ("change", "loc", "type"),
    [
        ({"name": "  "}, ["name"], "string_too_short"),
        ({"name": "x" * 101}, ["name"], "string_too_long"),
        ({"base_url": "here"}, ["base_url"], "url_parsing"),
        ({"base_url": "ftp://8.8.8.8/"}, ["base_url"], "url_scheme"),
        ({"base_url": "https://8.8.8.8/v1?key=x"}, ["base_url"], "value_error"),
        ({"base_url": "https://8.8.8.8/" + "x" * 2000}, ["base_url"], "value_error"),
        ({"api_key": "two words"}, ["api_key"], "string_pattern_mismatch"),
        ({"api_key": "x\r\nX-Y: z"}, ["api_key"], "string_pattern_mismatch"),
        ({"api_key": 5}, ["api_key"], "string_type"),
        (
            {"models": [{"name": "x", "prices": {"input": 1, "output": 1, "batch_discount": 101}}]},
            ["models", 0, "prices", 0, "batch_discount"],
            "less_than_equal",
        ),
        ({"models": "tiny"}, ["models"], "list_type"),
        ({"models": [{"kind": "chat"}]}, ["models", 0, "name"], "missing"),
        ({"models": [{"name": "a", "kind": "image"}]}, ["models", 0, "kind"], "enum"),
        ({"models": [5]}, ["models", 0], "model_type"),
        ({"models": ["a b"]}, ["models", 0, "name"], "string_pattern_mismatch"),
        (
            {"models": [{"name": "a", "prices": {"input": -1, "output": 1}}]},
            ["models", 0, "prices", 0, "input"],
            "greater_than_equal",
        ),
        (
            {"models": [{"name": "a", "prices": {"input": "NaN", "output": 1}}]},
            ["models", 0, "prices", 0, "input"],
            "finite_number",
        ),
        ({"rpm": 0}, ["rpm"], "greater_than_equal"),
        ({"concurrency": 1001}, ["concurrency"], "less_than_equal"),
        ({"concurrency": None}, ["concurrency"], "int_type"),
        ({"timeout": 601}, ["timeout"], "less_than_equal"),
    ],
)
def test_a_wrong_shape_is_told(
    owner: Api, provider: dict[str, Any], change: Any, loc: list[Any], type: str
) -> None:
    for response in (
        owner.post("/llm/providers", {**BODY, "name": "New", **change}),
        owner.patch(f"/llm/providers/{provider['id']}", change),
    ):
        assert response.status_code == 422
        (problem,) = response.json()["detail"]["params"]["errors"]
        assert (problem["loc"], problem["type"]) == (["body", *loc], type)
    assert owner.get("/llm/providers").json()["items"] == [provider]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:11434/v1",
        "http://localhost/v1",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://[::1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://[64:ff9b::7f00:1]/",
        "http://user:secret@8.8.8.8/",
    ],
)
def test_addresses_inside_are_refused_in_plain_words(
    owner: Api, provider: dict[str, Any], url: str
) -> None:
    for response in (
        owner.post("/llm/providers", {**BODY, "name": "New", "base_url": url}),
        owner.patch(f"/llm/providers/{provider['id']}", {"base_url": url}),
    ):
        assert response.status_code == 422
        assert isinstance(response.json()["detail"], str)
    assert owner.get("/llm/providers").json()["items"] == [provider]


def test_an_operator_may_allow_an_inner_host(owner: Api, settings: Any) -> None:
    settings.OUTBOUND_ALLOW = [("127.0.0.1", 11434)]
    body = {**BODY, "base_url": "http://127.0.0.1:11434/v1/"}
    response = owner.post("/llm/providers", body)
    assert (response.status_code, response.json()["base_url"]) == (201, "http://127.0.0.1:11434/v1")


def test_rules_are_told_in_words(owner: Api, provider: dict[str, Any]) -> None:
    same_name = owner.post("/llm/providers", BODY)
    assert same_name.status_code == 409
    twice = owner.post("/llm/providers", {**BODY, "name": "New", "models": ["a", "a"]})
    assert (twice.status_code, "unique" in twice.json()["detail"]) == (422, True)
    unknown = owner.patch(f"/llm/providers/{provider['id']}", {"default_model": "huge"})
    assert (unknown.status_code, "huge" in unknown.json()["detail"]) == (422, True)
    assert owner.get("/llm/providers").json()["items"] == [provider]


def test_what_is_left_out_stays(owner: Api, provider: dict[str, Any]) -> None:
    path = f"/llm/providers/{provider['id']}"
    changed = owner.patch(path, {"rpm": 60, "models": ["tiny", "small"]}).json()
    assert [model["name"] for model in changed["models"]] == ["small", "tiny"]
    assert (changed["rpm"], changed["has_key"], changed["default_model"]) == (60, True, "tiny")
    assert owner.patch(path, {"rpm": None}).json()["rpm"] is None
    assert owner.patch(path, {"api_key": None}).json()["has_key"] is False


def test_another_host_wipes_the_key(owner: Api, provider: dict[str, Any]) -> None:
    path = f"/llm/providers/{provider['id']}"
    assert owner.patch(path, {"base_url": "https://8.8.8.8/v2"}).json()["has_key"] is True
    moved = owner.patch(path, {"base_url": "https://8.8.4.4/v2"}).json()
    assert (moved["has_key"], moved["key_hint"]) == (False, "")
    again = owner.patch(path, {"base_url": URL, "api_key": KEY}).json()
    assert again["has_key"] is True


def test_who_may(cast: Cast, provider: dict[str, Any]) -> None:
    path = f"/llm/providers/{provider['id']}"
    for name in EVERYBODY:
        api = cast[name]
        seen = {"nobody": 401, "bad_key": 401, "stranger": 404}.get(name, 403)
        reads = 200 if name in ("owner", "admin_in", "admin_out") else seen
        assert api.get(path).status_code == reads, name
        expected = 200 if name == "owner" else seen
        assert api.patch(path, {"enabled": True}).status_code == expected, name
    assert cast["stranger"].get("/llm/providers").json() == {"items": []}


def test_an_admin_of_one_workspace_may_choose_a_provider(cast: Cast, provider: Any) -> None:
    with cast.inside():
        rows = WorkspaceMembership.objects.filter(membership_id=cast.id("annotator_in"))
        rows.update(role="admin")
    assert cast["annotator_in"].get("/llm/providers").json()["items"] == [provider]


def test_a_list_asks_no_more_for_more(
    owner: Api, cast: Cast, provider: Any, django_assert_num_queries: Any
) -> None:
    for number in range(5):
        models = [{"name": "m", "prices": {"input": 1, "output": 2}}, "n"]
        owner.post("/llm/providers", {**BODY, "name": f"P{number}", "models": models})
    with django_assert_num_queries(OVERHEAD + 3):
        assert len(owner.get("/llm/providers").json()["items"]) == 6


# --- The test ------------------------------------------------------------------------------------


@pytest.fixture
def local(owner: Api, llm_server: LlmServer) -> dict[str, Any]:
    price = {"input": 1_000_000, "output": 1_000_000}
    models = [
        {"name": "tiny", "prices": price},
        {"name": "embedder", "kind": "embedding"},
        "missing",
    ]
    body = {**BODY, "name": "Local", "base_url": llm_server.url, "models": models}
    made: dict[str, Any] = owner.post("/llm/providers", body).json()
    return made


def attempt(owner: Api, provider: dict[str, Any], **body: Any) -> Any:
    response = owner.post(f"/llm/providers/{provider['id']}/test", body)
    check_described("POST /llm/providers/{llm_provider_id}/test", response)
    assert response.status_code == 200
    assert KEY not in response.content.decode()
    return response.json()


def test_a_test_that_is_sent_again_is_answered_again(
    owner: Api, local: dict[str, Any], llm_server: LlmServer
) -> None:
    named = {"Idempotency-Key": "once"}
    path = f"/llm/providers/{local['id']}/test"
    first, second = (owner.post(path, {}, **named) for _ in range(2))
    assert (first.status_code, first.json()["ok"]) == (200, True)
    assert (second.json(), second["Idempotent-Replayed"]) == (first.json(), "true")
    assert llm_server.ledger()["answered"] == 1


@pytest.mark.parametrize("mode", ["json_schema", "json_object_schema", "json_object", "text"])
def test_a_test_finds_out_how_the_model_is_asked(
    owner: Api, cast: Cast, local: dict[str, Any], llm_server: LlmServer, mode: str
) -> None:
    llm_server.configure(mode=mode)
    found = attempt(owner, local)
    assert (found["ok"], found["error"], found["model"]) == (True, None, "tiny")
    assert (found["answer_form"], found["keeps_schema"]) == (mode, True)
    assert found["usd"] == found["prompt_tokens"] + found["completion_tokens"]
    assert found["offered_models"] == ["embedder", "small", "tiny"]
    assert llm_server.ledger()["answered"] == 1
    with cast.inside():
        assert ProviderModel.objects.get(name="tiny").answer_form == mode


def test_each_test_is_a_call_of_its_own(
    owner: Api, local: dict[str, Any], llm_server: LlmServer
) -> None:
    for _ in range(2):
        assert attempt(owner, local)["ok"]
    assert llm_server.ledger()["answered"] == 2


def test_an_embedding_is_tried_too(owner: Api, local: dict[str, Any]) -> None:
    found = attempt(owner, local, model="embedder")
    assert (found["ok"], found["dimensions"]) == (True, 64)


def test_what_is_wrong_is_told(
    owner: Api, cast: Cast, local: dict[str, Any], llm_server: LlmServer, settings: Any
) -> None:
    def told(**body: Any) -> str:
        found = attempt(owner, local, **body)
        assert found["ok"] is False
        return str(found["error"])

    assert "no model called huge" in told(model="huge")
    assert "does not exist" in told(model="missing")
    llm_server.configure(keys=["another"])
    assert "Incorrect API key" in told()
    llm_server.configure(keys=None, failure_rate=1, failures=["rate_limit"])
    assert "limits the rate" in told()
    llm_server.configure(failures=["reset"])
    assert "This may pass" in told()
    settings.OUTBOUND_ALLOW = []
    assert "not a public address" in told()
    with cast.inside():
        Provider.objects.update(enabled=False)
    assert "disabled" in told()
