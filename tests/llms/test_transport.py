"""Providers inside the network are out of reach, however their address is written or answered."""

import asyncio
import socket
import ssl
from dataclasses import replace
from typing import Any

import pytest

from apps.llms import client, transport
from apps.llms.connections import ProviderConnection
from apps.llms.errors import RefusedError, SetupError, TransientError
from apps.llms.wire import Reply, Request
from tests.core.test_outbound import certificate
from tests.llm_server.controls import LlmServer

pytestmark = pytest.mark.usefixtures("fresh_dialects")

REQUEST = Request("tiny", ({"role": "user", "content": "Hello"},))


def call(connection: ProviderConnection, base_url: str) -> Any:
    async def main() -> Any:
        async with client.closing():
            asked = client.complete(replace(connection, base_url=base_url), REQUEST)
            return (await asyncio.gather(asked, return_exceptions=True))[0]

    return asyncio.run(main())


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::a9fe:a9fe]",
        "[fe80::1]",
        "localhost",
        "0.0.0.0",  # noqa: S104
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
    ],
)
def test_inner_addresses_are_not_called(
    connection: ProviderConnection, llm_server: LlmServer, settings: Any, host: str
) -> None:
    """Also those that were stored before somebody changed the rules."""
    settings.OUTBOUND_ALLOW = []
    result = call(connection, f"http://{host}:{llm_server.port}/v1")
    assert type(result) is SetupError
    assert "not a public address" in result.message or "Invalid" in result.message
    assert llm_server.ledger()["calls"] == 0


def test_only_the_allowed_port_of_a_host_is_called(
    connection: ProviderConnection, llm_server: LlmServer
) -> None:
    assert isinstance(call(connection, llm_server.url), Reply)
    result = call(connection, f"http://127.0.0.1:{llm_server.port + 1}/v1")
    assert type(result) is SetupError


def test_a_redirect_is_not_followed(connection: ProviderConnection, llm_server: LlmServer) -> None:
    elsewhere = {"Location": f"{llm_server.url}/models"}
    llm_server.script(".", status=307, headers=elsewhere)
    result = call(connection, llm_server.url)
    assert type(result) is SetupError
    assert "not followed" in result.message
    assert llm_server.ledger()["calls"] == 1


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """What a name leads to at each look-up, the last for good."""
    told: dict[str, list[list[str]]] = {}
    real = socket.getaddrinfo

    def resolver(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name not in told:
            return real(host, port, *args, **kwargs)
        answers = told[name]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [row for one in found for row in real(one, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    return told


def test_a_name_that_changes_its_mind_gains_nothing(
    connection: ProviderConnection,
    llm_server: LlmServer,
    names: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The connection goes to the address that was judged; a second look-up is never made."""
    names["rebinding.example"] = [["8.8.8.8"], ["127.0.0.1"]]
    connected: list[str] = []
    real = asyncio.BaseEventLoop.create_connection

    async def connect(self: Any, factory: Any, host: Any, port: Any, **values: Any) -> Any:
        connected.append(host)
        if host == "8.8.8.8":
            raise ConnectionRefusedError
        return await real(self, factory, host, port, **values)

    monkeypatch.setattr(asyncio.BaseEventLoop, "create_connection", connect)
    result = call(connection, f"http://rebinding.example:{llm_server.port}/v1")
    assert type(result) is TransientError
    assert connected == ["8.8.8.8"]
    assert llm_server.ledger()["calls"] == 0
    result = call(connection, f"http://rebinding.example:{llm_server.port}/v1")
    assert type(result) is SetupError, "the next call judges what the name says now"
    assert connected == ["8.8.8.8"]


def test_one_inner_address_among_public_ones_is_enough(
    connection: ProviderConnection, names: Any
) -> None:
    names["mixed.example"] = [["8.8.8.8", "10.0.0.1"]]
    assert type(call(connection, "http://mixed.example/v1")) is SetupError


def test_an_allowed_name_is_called_by_its_name(
    connection: ProviderConnection, llm_server: LlmServer, names: Any, settings: Any
) -> None:
    names["ollama.example"] = [["127.0.0.1"]]
    settings.OUTBOUND_ALLOW = [("ollama.example", llm_server.port)]
    assert isinstance(call(connection, f"http://ollama.example:{llm_server.port}/v1"), Reply)


def test_the_proxies_of_the_environment_are_not_asked(
    connection: ProviderConnection, llm_server: LlmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert isinstance(call(connection, llm_server.url), Reply)


def answering(answer: bytes) -> Any:
    """A handler of connections that answers every call with these bytes."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            for start in range(0, len(answer), 2**20):
                writer.write(answer[start : start + 2**20])
                await writer.drain()
        except ConnectionError:
            return
        writer.close()

    return respond


def call_once(
    connection: ProviderConnection, settings: Any, answer: bytes, *, tls: Any = None, name: str = ""
) -> Any:
    """The outcome of a call to a server of our own."""

    async def main() -> Any:
        server = await asyncio.start_server(answering(answer), "127.0.0.1", 0, ssl=tls)
        port = server.sockets[0].getsockname()[1]
        settings.OUTBOUND_ALLOW = [("127.0.0.1", port), (name, port)]
        scheme = "https" if tls else "http"
        url = f"{scheme}://{name or '127.0.0.1'}:{port}/v1"
        async with server, client.closing():
            asked = client.complete(replace(connection, base_url=url), REQUEST)
            return (await asyncio.gather(asked, return_exceptions=True))[0]

    return asyncio.run(main())


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\n%s\r\n"


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        (HEAD % (b"application/json", b"") + b"x" * (33 * 2**20), RefusedError),
        (HEAD % (b"application/json", b"Content-Encoding: gzip\r\n") + b"\x1f\x8b", RefusedError),
        (HEAD % (b"text/html", b"") + b"<html>", SetupError),
        (HEAD % (b"application/json", b"") + b"{", TransientError),
        (HEAD % (b"application/json", b"") + b"[]", TransientError),
        (HEAD % (b"application/json", b"") + b'{"choices": []}', TransientError),
        (HEAD % (b"application/json", b"") + b'{"choices": [{"message": 1}]}', TransientError),
        (b"SSH-2.0-OpenSSH\r\n", TransientError),
        (b"", TransientError),
    ],
    ids=["large", "packed", "page", "cut", "list", "empty", "odd", "other protocol", "nothing"],
)
def test_odd_answers_are_told_and_not_swallowed(
    connection: ProviderConnection, settings: Any, answer: bytes, meaning: type[Exception]
) -> None:
    assert type(call_once(connection, settings, answer)) is meaning


@pytest.mark.parametrize(
    "usage",
    [
        b"null",
        b"[]",
        b'{"prompt_tokens": -5, "completion_tokens": "many"}',
        b'{"prompt_tokens": 1e30, "prompt_tokens_details": []}',
    ],
)
def test_odd_counts_are_estimated(
    connection: ProviderConnection, settings: Any, usage: bytes
) -> None:
    answer = b'{"choices": [{"message": {"content": "Yes, I do."}}], "usage": %s}' % usage
    reply = call_once(connection, settings, HEAD % (b"application/json", b"") + answer)
    assert (reply.prompt_tokens, reply.completion_tokens) == (6, 3)
    assert reply.raw["usage"] == {}


@pytest.mark.parametrize("name", ["models.example", "other.example"])
def test_tls_checks_the_name_that_was_asked_for(
    connection: ProviderConnection,
    settings: Any,
    names: Any,
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    names["models.example"] = [["127.0.0.1"]]
    file = certificate(tmp_path, name)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(file)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    transport._tls.cache_clear()
    answer = HEAD % (b"application/json", b"") + b'{"choices": [{"message": {"content": "Yes"}}]}'
    try:
        result = call_once(connection, settings, answer, tls=tls, name="models.example")
    finally:
        transport._tls.cache_clear()
    assert isinstance(result, Reply if name == "models.example" else SetupError), result


def test_a_line_that_the_server_hung_up_is_not_used_again(
    connection: ProviderConnection, settings: Any
) -> None:
    """It said nothing about it before: what was kept open is looked at first."""
    content = b'{"choices": [{"message": {"content": "Yes"}}]}'
    answer = HEAD % (b"application/json", b"Content-Length: %d\r\n" % len(content)) + content

    async def main() -> list[Any]:
        server = await asyncio.start_server(answering(answer), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        settings.OUTBOUND_ALLOW = [("127.0.0.1", port)]
        local = replace(connection, base_url=f"http://127.0.0.1:{port}/v1")
        replies = []
        async with server, client.closing():
            for _ in range(3):
                replies.append(await client.complete(local, REQUEST))
                await asyncio.sleep(0.05)
        return replies

    assert [reply.text for reply in asyncio.run(main())] == ["Yes"] * 3


@pytest.mark.parametrize(("surplus", "lines"), [(b"", 1), (b"HTTP/1.1 200 OK\r\n\r\n", 3)])
def test_a_line_serves_call_after_call_unless_more_came_than_was_asked_for(
    connection: ProviderConnection, settings: Any, surplus: bytes, lines: int
) -> None:
    content = b'{"choices": [{"message": {"content": "Yes"}}]}'
    head = HEAD % (b"application/json", b"Content-Length: %d\r\n" % len(content))
    opened = []

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        while await reader.read(2**16):
            writer.write(head + content + surplus)

    async def main() -> list[Any]:
        server = await asyncio.start_server(respond, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        settings.OUTBOUND_ALLOW = [("127.0.0.1", port)]
        local = replace(connection, base_url=f"http://127.0.0.1:{port}/v1")
        async with server, client.closing():
            return [await client.complete(local, REQUEST) for _ in range(3)]

    assert [reply.text for reply in asyncio.run(main())] == ["Yes"] * 3
    assert len(opened) == lines
