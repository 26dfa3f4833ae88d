"""Calls to the scripted server: answers, failures with their meaning, what is learned of it."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from apps.llms import client, dialects, refusals
from apps.llms.client import complete
from apps.llms.connections import ProviderConnection
from apps.llms.errors import (
    CredentialError,
    ProviderError,
    QuotaError,
    RateLimitedError,
    RefusedError,
    SetupError,
    TransientError,
)
from apps.llms.wire import Reply, Request
from tests.llm_server.controls import LlmServer

pytestmark = pytest.mark.usefixtures("fresh_dialects")

SCHEMA = {
    "type": "object",
    "properties": {"label": {"enum": ["refund", "card_lost"]}, "why": {"type": "string"}},
    "required": ["label", "why"],
    "additionalProperties": False,
}


def request(text: str = "Which?", schema: Any = SCHEMA, **values: Any) -> Request:
    return Request("tiny", ({"role": "user", "content": text},), schema, **values)


def run(*calls: Callable[[], Any], together: bool = False) -> list[Any]:
    """What the calls came to, one after the other or at once; errors are results too."""

    async def main() -> list[Any]:
        async with client.closing():
            if together:
                return await asyncio.gather(*(call() for call in calls), return_exceptions=True)
            return [(await asyncio.gather(call(), return_exceptions=True))[0] for call in calls]

    return asyncio.run(main())


def ask(connection: ProviderConnection, *asked: Request, together: bool = False) -> list[Any]:
    return run(*(lambda one=one: complete(connection, one) for one in asked), together=together)


def test_an_answer_with_its_tokens(connection: ProviderConnection, llm_server: LlmServer) -> None:
    (reply,) = ask(connection, request("x" * 400, max_tokens=100))
    assert isinstance(reply, Reply)
    assert json.loads(reply.text)["label"] in ("refund", "card_lost")
    assert (reply.finish_reason, reply.prompt_tokens, reply.cached_tokens) == ("stop", 100, 0)
    assert reply.completion_tokens > 0
    assert reply.raw["usage"]["prompt_tokens"] == 100
    (call,) = llm_server.calls()
    assert call["key"] == connection.api_key
    body = call["body"]
    assert body["response_format"]["json_schema"]["strict"] is True
    assert (body["max_tokens"], "seed" in body) == (100, False)


def test_samples_are_different_calls(connection: ProviderConnection, llm_server: LlmServer) -> None:
    asked = [request(schema=None, temperature=1.0, sample_index=n) for n in range(3)]
    replies = ask(connection, *asked)
    assert len({reply.text for reply in replies}) == 3
    assert llm_server.ledger()["double_paid"] == 0


# --- Forms -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "calls"),
    [("json_schema", 1), ("json_object_schema", 2), ("json_object", 3), ("text", 4)],
)
def test_the_form_is_found_out_once(
    connection: ProviderConnection, llm_server: LlmServer, mode: str, calls: int
) -> None:
    llm_server.configure(mode=mode)
    replies = ask(connection, *(request(f"text {n}") for n in range(12)), together=True)
    assert all(isinstance(reply, Reply) for reply in replies)
    assert all("refund" in reply.text or "card_lost" in reply.text for reply in replies)
    assert dialects.memory_of(connection).dialect.form == mode
    ledger = llm_server.ledger()
    assert ledger["calls"] == 12 + calls - 1, "one call found out, the others waited for it"
    assert ledger["answered"] == 12


def test_those_who_waited_for_the_form_are_asked_together(
    connection: ProviderConnection, llm_server: LlmServer
) -> None:
    llm_server.configure(latency_ms=200)
    ask(connection, *(request(f"text {n}") for n in range(12)), together=True)
    assert llm_server.ledger()["max_in_flight"] > 1


def test_what_is_known_already_is_not_tried(
    connection: ProviderConnection, llm_server: LlmServer
) -> None:
    llm_server.configure(mode="text")
    ask(replace(connection, answer_form="text"), request())
    assert llm_server.ledger()["calls"] == 1


def test_a_servers_bad_moment_says_nothing_about_the_form(
    connection: ProviderConnection, llm_server: LlmServer
) -> None:
    llm_server.script("Which", failure="server_error", times=2)
    first, second, third = ask(connection, *[request()] * 3)
    assert isinstance(first, TransientError)
    assert isinstance(second, TransientError)
    assert isinstance(third, Reply)
    assert dialects.memory_of(connection).dialect.form == "json_schema"


def test_a_server_that_fails_without_a_word_is_asked_otherwise_in_the_end(
    connection: ProviderConnection, llm_server: LlmServer
) -> None:
    llm_server.script("Which", failure="server_error", times=3)
    for _ in range(2):  # the surest form fails each time, the next one does not
        llm_server.script("again", failure="server_error", times=1)
        llm_server.script("again", answer="{}", times=1)
    asked = [*[request()] * 3, *[request("again")] * 2]
    results = ask(connection, *asked[:4])
    assert [type(one) for one in results] == [TransientError, TransientError, Reply, Reply]
    assert dialects.memory_of(connection).dialect.form is None
    assert isinstance(ask(connection, asked[4])[0], Reply)
    assert dialects.memory_of(connection).dialect.form == "json_object_schema"


def test_a_form_that_a_bad_moment_led_to_is_not_learned(
    connection: ProviderConnection, llm_server: LlmServer
) -> None:
    llm_server.script("Which", failure="server_error", times=5)
    results = ask(connection, *[request()] * 3)
    assert [type(one) for one in results] == [TransientError, TransientError, Reply]
    assert dialects.memory_of(connection).dialect.form is None
    ask(connection, request())
    assert dialects.memory_of(connection).dialect.form == "json_schema"


@pytest.mark.parametrize("param", ["temperature", None])
def test_a_value_that_is_refused_says_nothing_about_its_parameter(
    connection: ProviderConnection, llm_server: LlmServer, param: str | None
) -> None:
    told = {"message": "temperature must be between 0 and 1", "code": "invalid_value"}
    llm_server.script("hot", status=400, times=1, error={**told, "param": param})
    hot, cold = ask(
        connection,
        request("hot", schema=None, temperature=1.5),
        request("cold", schema=None),
    )
    assert (type(hot), type(cold)) == (RefusedError, Reply)
    assert [call["body"]["temperature"] for call in llm_server.calls()] == [1.5, 0]


def test_a_refusal_of_one_schema_changes_that_call_alone(
    connection: ProviderConnection, llm_server: LlmServer
) -> None:
    message = "Invalid schema for response_format 'answer': 'uniqueItems' is not permitted."
    llm_server.script("odd", status=400, error={"message": message}, times=1)
    replies = ask(connection, request("even"), request("odd"), request("even too"))
    assert all(isinstance(reply, Reply) for reply in replies)
    formats = [call["body"]["response_format"]["type"] for call in llm_server.calls()]
    assert formats == ["json_schema", "json_schema", "json_object", "json_schema"]


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ("max_tokens", "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."),
        ("temperature", "Unsupported value: 'temperature' does not support 0; only the default."),
        ("seed", "Extra inputs are not permitted: seed"),
        ("top_p", "Unknown parameter top_p"),
    ],
)
def test_parameters_that_a_model_refuses_are_left_out_from_then_on(
    connection: ProviderConnection, llm_server: LlmServer, parameter: str, message: str
) -> None:
    llm_server.script(".", status=400, error={"message": message}, times=1)
    asked = request(max_tokens=50, seed=1, top_p=0.5)
    assert all(isinstance(reply, Reply) for reply in ask(connection, asked, asked))
    first, *later = [call["body"] for call in llm_server.calls()]
    assert parameter in first
    assert [parameter in body for body in later] == [False, False]
    assert all(body["response_format"]["type"] == "json_schema" for body in later)
    if parameter == "max_tokens":
        assert later[0]["max_completion_tokens"] == 50


# --- Refusals and failures -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error", "meaning"),
    [
        (400, {"message": "too long", "code": "context_length_exceeded"}, RefusedError),
        (401, {"message": "Incorrect API key"}, CredentialError),
        (402, {"message": "Payment required"}, QuotaError),
        (400, {"message": "Your credit balance is too low to access the API."}, QuotaError),
        (403, {"message": "Not for you"}, CredentialError),
        (403, {"message": "Your account has been flagged"}, CredentialError),
        (403, {"message": "It requires moderation and your input was flagged."}, RefusedError),
        (403, {"message": "No", "code": "content_policy_violation"}, RefusedError),
        (404, {"message": "No such model"}, SetupError),
        (408, {"message": "Too slow"}, TransientError),
        (409, {"message": "Conflict"}, TransientError),
        (413, {"message": "Too large"}, RefusedError),
        (422, {"message": "Not valid"}, RefusedError),
        (425, {"message": "Too early"}, TransientError),
        (429, {"message": "Slow down"}, RateLimitedError),
        (429, {"message": "You exceeded your quota", "code": "insufficient_quota"}, QuotaError),
        (429, {"message": "x", "type": "insufficient_quota"}, QuotaError),
        (429, {"message": "x", "code": "billing_hard_limit_reached"}, QuotaError),
        (500, {"message": "Oops"}, TransientError),
        (503, {"message": "Overloaded"}, TransientError),
        (529, {"message": "Overloaded"}, TransientError),
        (302, {"message": "Elsewhere"}, SetupError),
    ],
)
def test_statuses_have_their_meaning(
    connection: ProviderConnection,
    llm_server: LlmServer,
    status: int,
    error: dict[str, str],
    meaning: type[ProviderError],
) -> None:
    headers = {"Location": "http://169.254.169.254/"} if status == 302 else {}
    llm_server.script(".", status=status, error=error, headers=headers)
    (result,) = ask(connection, request(schema=None))
    assert type(result) is meaning
    assert error["message"] in result.message
    assert llm_server.ledger()["calls"] == 1, "one attempt, whoever retries is not this client"


@pytest.mark.parametrize(
    ("form", "seconds"), [("ms", 2.5), ("seconds", 2), ("date", 2.5), (None, None)]
)
def test_a_limit_tells_how_long_to_wait(
    connection: ProviderConnection, llm_server: LlmServer, form: str | None, seconds: Any
) -> None:
    llm_server.configure(
        failure_rate=1,
        failures=["rate_limit"],
        retry_after=2.5 if form else None,
        retry_after_form=form or "ms",
    )
    (result,) = ask(connection, request())
    assert isinstance(result, RateLimitedError)
    assert result.seconds == (None if seconds is None else pytest.approx(seconds, abs=1.5))


NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-7"}, None),
        ({"retry-after": "0"}, None),
        ({"retry-after-ms": "0"}, None),
        ({"retry-after": "86400"}, 600),
        ({"retry-after": "Sat, 21 Nov 2026 12:00:30 GMT"}, 30),
        ({"retry-after": "Sat, 21 Nov 2026 11:00:00 GMT"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e400"}, 600),
        ({"retry-after": "9" * 400}, 600),
        ({"retry-after": "Sat, 99 Nov 99999 11:00:00 GMT"}, None),
        ({"retry-after-ms": "1500", "retry-after": "7"}, 1.5),
        ({"retry-after-ms": "x", "retry-after": "7"}, 7),
    ],
)
def test_waiting_is_told_in_three_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert refusals.told_to_wait(headers, NOW) == seconds


@pytest.mark.parametrize("failure", ["reset", "lost_answer"])
def test_a_broken_line_is_transient(
    connection: ProviderConnection, llm_server: LlmServer, failure: str
) -> None:
    llm_server.configure(failure_rate=1, failures=[failure])
    (result,) = ask(connection, request())
    assert type(result) is TransientError
    assert "connection failed" in result.message
    assert llm_server.ledger()["answered"] == (failure == "lost_answer")


def test_a_call_ends_when_its_time_is_up(
    connection: ProviderConnection, llm_server: LlmServer
) -> None:
    llm_server.configure(failure_rate=1, failures=["hang"])
    (result,) = ask(replace(connection, timeout=0.2), request())
    assert type(result) is TransientError
    assert "in time" in result.message


def test_nobody_there_is_transient(connection: ProviderConnection, settings: Any) -> None:
    settings.OUTBOUND_ALLOW = [("127.0.0.1", 9)]
    (result,) = ask(replace(connection, base_url="http://127.0.0.1:9/v1"), request())
    assert type(result) is TransientError


def test_our_key_is_never_in_a_message(
    connection: ProviderConnection, llm_server: LlmServer
) -> None:
    told = f"The key {connection.api_key} is wrong.\x00\x1b[31m"
    llm_server.script(".", status=401, error={"message": told})
    (result,) = ask(connection, request())
    assert result.message == "401: The key … is wrong.[31m"


def test_without_a_key_no_header_is_sent(
    connection: ProviderConnection, llm_server: LlmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-the-environment")
    (reply,) = ask(replace(connection, api_key=""), request())
    assert isinstance(reply, Reply)
    assert llm_server.ledger()["keys"] == {"": 1}


# --- What models write ---------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["plain", "fenced", "chatty", "control", "nul", "malformed"])
def test_what_is_written_can_be_stored(
    connection: ProviderConnection, llm_server: LlmServer, shape: str
) -> None:
    llm_server.script(".", answer={"label": "refund", "why": "x"}, shape=shape)
    (reply,) = ask(connection, request())
    assert "refund" in reply.text
    assert not any(ord(c) < 32 and c not in "\n\t" for c in reply.text)
    assert "\x00" not in json.dumps(reply.raw, ensure_ascii=False)


def test_a_very_long_answer_is_cut(connection: ProviderConnection, llm_server: LlmServer) -> None:
    llm_server.script(".", answer="{}", shape="overlong")
    (reply,) = ask(connection, request())
    assert len(reply.text) == 250_000
    assert reply.finish_reason == "length"


def test_thinking_aloud_is_no_part_of_the_answer(
    connection: ProviderConnection, llm_server: LlmServer
) -> None:
    llm_server.script(".", answer='<think>Is {it}?\nYes.</think>\n{"label": "refund"}')
    (reply,) = ask(connection, request())
    assert reply.text == '\n{"label": "refund"}'


def test_a_thought_that_does_not_end_is_no_answer(
    connection: ProviderConnection, llm_server: LlmServer
) -> None:
    llm_server.script(".", answer='<think>The user wants {"label": "refund"}', times=1)
    llm_server.script(".", answer="<thinker> is a word")
    thought, other = ask(connection, request(), request())
    assert (thought.text, other.text) == ("", "<thinker> is a word")


def test_a_refusal_is_not_taken_for_an_answer(
    connection: ProviderConnection, llm_server: LlmServer
) -> None:
    llm_server.script(".", refusal="I cannot help with that.")
    (reply,) = ask(connection, request())
    assert (reply.finish_reason, reply.text) == ("refusal", "I cannot help with that.")


def test_tokens_are_estimated_from_what_was_counted(
    connection: ProviderConnection, llm_server: LlmServer
) -> None:
    slow = replace(connection, characters_per_token=1.0)
    asked = request("x" * 4000, schema=None, max_tokens=10)
    assert client.estimate(slow, asked) == 4000 + 4 + 10
    ask(slow, *[asked] * 20)  # four characters a token, as the server counts
    assert 1000 <= client.prompt_estimate(slow, asked) < 1200


def test_models_are_listed(connection: ProviderConnection) -> None:
    (names,) = run(lambda: client.list_models(connection))
    assert names == ["tiny", "small", "embedder"]
