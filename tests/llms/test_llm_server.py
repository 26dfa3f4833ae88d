"""The scripted server, by the real client: its answers, its failures, and its ledger."""

import io
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.llm_server.controls import LlmServer

SCHEMA = {
    "type": "object",
    "properties": {
        "label": {"enum": ["refund", "card_lost"]},
        "quality": {"type": "integer", "minimum": 1, "maximum": 5},
        "quote": {"type": "string"},
    },
    "required": ["label", "quality", "quote"],
}
FORMAT: Any = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}


@pytest.fixture
def client(llm_server: LlmServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=llm_server.url, api_key="key-1", max_retries=0, timeout=10) as client:
        yield client


def ask(client: OpenAI, text: str, **values: Any) -> Any:
    return client.chat.completions.create(
        model="tiny", messages=[{"role": "user", "content": text}], **values
    )


def test_answers_satisfy_the_schema_and_repeat(client: OpenAI, llm_server: LlmServer) -> None:
    text = "<text>My card was stolen</text> Which?"
    first, second = (ask(client, text, response_format=FORMAT) for _ in range(2))
    value = json.loads(first.choices[0].message.content)
    assert value["label"] in ("refund", "card_lost")
    assert value["quality"] in range(1, 6)
    assert value["quote"] in ("My", "card", "was", "stolen")
    assert first.choices[0].message.content == second.choices[0].message.content
    assert first.usage.prompt_tokens == -(-len(text) // 4)
    ledger = llm_server.ledger()
    assert ledger["keys"] == {"key-1": 2}
    assert (ledger["answered"], ledger["distinct"], ledger["double_paid"]) == (2, 1, 1)


def test_failures_are_chance_that_repeats(client: OpenAI, llm_server: LlmServer) -> None:
    def outcomes() -> list[str]:
        llm_server.reset()
        llm_server.configure(failure_rate=0.5, seed=7)
        seen = []
        for number in range(20):
            try:
                ask(client, f"text {number}")
                seen.append("ok")
            except openai.APIError as error:
                seen.append(type(error).__name__)
        return seen

    first = outcomes()
    assert first == outcomes()
    assert set(first) == {"ok", "RateLimitError", "InternalServerError", "APIConnectionError"}
    assert llm_server.ledger()["double_paid"] == 0


@pytest.mark.parametrize(
    ("form", "header"),
    [("seconds", "retry-after"), ("date", "retry-after"), ("ms", "retry-after-ms")],
)
def test_a_limit_says_how_long_to_wait(
    client: OpenAI, llm_server: LlmServer, form: str, header: str
) -> None:
    llm_server.configure(rpm=1, retry_after_form=form)
    ask(client, "first")
    with pytest.raises(openai.RateLimitError) as refused:
        ask(client, "second")
    assert header in refused.value.response.headers


@pytest.mark.parametrize(
    ("mode", "understood"),
    [
        ("json_schema", {"json_schema", "json_object"}),
        ("json_object_schema", {"json_object", "json_object_schema"}),
        ("json_object", {"json_object"}),
        ("text", set()),
    ],
)
def test_modes_understand_some_forms(
    client: OpenAI, llm_server: LlmServer, mode: str, understood: set[str]
) -> None:
    forms: dict[str, Any] = {
        "json_schema": FORMAT,
        "json_object_schema": {"type": "json_object", "schema": SCHEMA},
        "json_object": {"type": "json_object"},
    }
    llm_server.configure(mode=mode)
    seen = set()
    for name, form in forms.items():
        try:
            ask(client, "x", response_format=form)
            seen.add(name)
        except (openai.BadRequestError, openai.InternalServerError):
            continue
    assert seen - {"json_object_schema"} == understood - {"json_object_schema"}
    if mode != "json_schema":
        assert seen == understood


def test_scripts_decide(client: OpenAI, llm_server: LlmServer) -> None:
    llm_server.script("banana", answers=[{"label": "no"}, {"label": "yes"}], shape="fenced")
    llm_server.script("quota", status=429, error={"code": "insufficient_quota", "message": "x"})
    llm_server.script("break", failure="reset", times=1)
    said = [ask(client, f"banana {n}").choices[0].message.content for n in range(3)]
    assert said[0] == '```json\n{"label": "no"}\n```'
    assert "yes" in said[1]
    assert "yes" in said[2]
    with pytest.raises(openai.RateLimitError) as refused:
        ask(client, "quota")
    assert refused.value.code == "insufficient_quota"
    with pytest.raises(openai.APIConnectionError):
        ask(client, "break")
    assert ask(client, "break").choices


def test_embeddings_and_batches(client: OpenAI, llm_server: LlmServer) -> None:
    made = client.embeddings.create(model="embedder", input=["stolen card", "card stolen", "rain"])
    a, b, c = (row.embedding for row in made.data)
    assert a == pytest.approx(b, abs=1e-6)
    assert sum(x * y for x, y in zip(a, c, strict=True)) < 0.7
    body = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}
    line = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": body}
    file = client.files.create(
        file=("x.jsonl", io.BytesIO(json.dumps(line).encode())), purpose="batch"
    )
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    states = [client.batches.retrieve(batch.id).status for _ in range(2)]
    assert states == ["in_progress", "completed"]
    output = client.batches.retrieve(batch.id).output_file_id
    assert output is not None
    row = json.loads(client.files.content(output).content)
    assert row["custom_id"] == "1"
    assert row["response"]["body"]["usage"]["completion_tokens"] > 0
    assert llm_server.ledger()["double_paid"] == 0


def test_a_key_that_is_not_known_is_refused(client: OpenAI, llm_server: LlmServer) -> None:
    llm_server.configure(keys=["another"])
    with pytest.raises(openai.AuthenticationError):
        client.models.list()
