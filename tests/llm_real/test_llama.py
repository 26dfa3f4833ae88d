"""The client against llama.cpp's server: a peer that nobody here wrote."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from apps.core.errors import InvalidError
from apps.llms import client, dialects
from apps.llms.connections import ProviderConnection
from apps.llms.errors import RefusedError
from apps.llms.wire import Reply, Request
from apps.pipelines.parsers import read_answer

pytestmark = pytest.mark.llm_real

PYTHON = os.environ.get("LLM_REAL_PYTHON", sys.executable)
NEEDED = "import llama_cpp.server, gguf"
PATIENCE = 120  # seconds for the server to be there
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "label": {"enum": ["refund", "card_lost", "other"]},
        "score": {"type": "integer", "minimum": 1, "maximum": 5},
        "why": {"type": "string", "maxLength": 40},
    },
    "required": ["label", "score", "why"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a running server."""
    known = subprocess.run([PYTHON, "-c", NEEDED], capture_output=True, check=False)
    if known.returncode:
        pytest.skip("llama-cpp-python[server] and gguf are not installed (LLM_REAL_PYTHON)")
    folder = tmp_path_factory.mktemp("llama")
    model = folder / "tiny.gguf"
    subprocess.run([PYTHON, Path(__file__).with_name("tiny_llama.py"), model], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [PYTHON, "-m", "llama_cpp.server", "--model", model, "--model_alias", "tiny"]
    command += ["--port", str(port), "--n_ctx", "2048", "--verbose", "false"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for(port, process, folder / "log")
        yield port
    finally:
        process.terminate()
        process.wait(30)


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(log.read_text(errors="replace")[-3000:])


@pytest.fixture
def connection(server: int, settings: Any) -> ProviderConnection:
    dialects.forget()
    settings.OUTBOUND_ALLOW = [("127.0.0.1", server)]
    return ProviderConnection(
        organization_id=UUID(int=1),
        provider_id=UUID(int=2),
        provider="llama",
        model_id=UUID(int=3),
        model="tiny",
        base_url=f"http://127.0.0.1:{server}/v1",
        api_key="",
        concurrency=2,
    )


def asked(text: str = "Which?", schema: Any = SCHEMA, **values: Any) -> Request:
    values.setdefault("max_tokens", 200)
    return Request("tiny", ({"role": "user", "content": text},), schema, **values)


def run(connection: ProviderConnection, *requests: Request) -> list[Any]:
    async def main() -> list[Any]:
        async with client.closing():
            calls = (client.complete(connection, request) for request in requests)
            return await asyncio.gather(*calls, return_exceptions=True)

    return asyncio.run(main())


def test_the_form_it_understands_is_found_out(connection: ProviderConnection) -> None:
    """It fails with a 500 where it is told a JSON schema in the form of others."""
    (reply,) = run(connection, asked())
    assert isinstance(reply, Reply), reply
    assert dialects.memory_of(connection).dialect.form == "json_object_schema"
    assert (reply.prompt_tokens > 0, reply.completion_tokens > 0) == (True, True)


def test_every_answer_is_of_the_schema_or_refused_with_a_reason(
    connection: ProviderConnection,
) -> None:
    """Its grammar knows no bounds of numbers and lets control characters through."""
    replies = run(connection, *(asked(f"Text {n}", temperature=1.0, seed=n) for n in range(30)))
    read, reasons = 0, set()
    for reply in replies:
        assert isinstance(reply, Reply), reply
        assert not any(ord(c) < 32 and c not in "\n\t" for c in reply.text)
        json.dumps(reply.raw).encode()
        try:
            document = read_answer(reply.text, SCHEMA)
        except InvalidError as error:
            reasons.add(error.message.partition(":")[0])
            continue
        read += 1
        assert document["label"] in SCHEMA["properties"]["label"]["enum"]
        assert 1 <= document["score"] <= 5
    assert read + len(reasons) > 0
    assert reasons <= {"At $.score", "At $.why", "The answer is not one JSON object."}


def test_the_same_seed_gives_the_same_words(connection: ProviderConnection) -> None:
    first, second = (
        run(connection, asked("Hi", None, seed=5, temperature=1.0)),
        run(connection, asked("Hi", None, seed=5, temperature=1.0)),
    )
    assert first[0].text == second[0].text


def test_a_short_leash_is_told(connection: ProviderConnection) -> None:
    (reply,) = run(connection, asked("Hi", None, max_tokens=5))
    assert (reply.finish_reason, reply.completion_tokens) == ("length", 5)


def test_a_prompt_beyond_its_context_is_refused_for_good(connection: ProviderConnection) -> None:
    (refused,) = run(connection, asked("word " * 5000, None))
    assert isinstance(refused, RefusedError), refused
