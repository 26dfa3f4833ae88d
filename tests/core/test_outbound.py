"""Requests to the outside: public addresses only, the checked one only, no redirects."""

import datetime
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from apps.core import outbound
from config import env

FORBIDDEN = [
    "http://127.0.0.1/",
    "http://127.1.2.3:8000/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://100.64.0.1/",
    "http://0.0.0.0/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://[::]/",
    "http://[::1]/",
    "http://[::127.0.0.1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:10.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:0:7f00:1::]/",
    "http://[fe80::1]/",
    "http://[fec0::1]/",
    "http://[fc00::1]/",
    "http://[ff02::1]/",
    "http://[2001:db8::1]/",
    "http://localhost/",
    "http://LOCALHOST:8000/",
    "http://localhost./",
]
ODD = [
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://8.8.8/",
    "http://user@8.8.8.8/",
    "http://user:password@8.8.8.8/",
    "http://8.8.8.8@127.0.0.1/",
    "http://8.8.8.8\\@127.0.0.1/",
    "http://8.8.8.8/\r\nX: y",
    "http://8.8.8.8 /",
    "http://exa\u3002mple/",
    "http://8.8.8.8:0/",
    "http://8.8.8.8:99999/",
    "http://[::1/",
    "http:///path",
    "ftp://8.8.8.8/",
    "file:///etc/passwd",
    "gopher://8.8.8.8/",
    "//8.8.8.8/",
    "8.8.8.8",
    "",
]


@pytest.mark.parametrize("url", FORBIDDEN + ODD)
def test_what_is_not_public_or_oddly_written_is_refused(url: str) -> None:
    with pytest.raises(outbound.ForbiddenAddressError):
        outbound.check_url(url)
    with pytest.raises(outbound.ForbiddenAddressError):
        outbound.post(url, b"", {}, timeout=5, max_bytes=10)


@pytest.mark.parametrize("url", ["https://8.8.8.8/hook?a=b", "http://[2606:4700::1111]:8080/"])
def test_public_addresses_pass(url: str) -> None:
    outbound.check_url(url)


@pytest.mark.parametrize("place", ["127.0.0.1:8000", "[::1]:8000", "localhost:80"])
def test_the_refusal_says_what_an_operator_can_do(
    monkeypatch: pytest.MonkeyPatch, settings: Any, place: str
) -> None:
    with pytest.raises(outbound.ForbiddenAddressError) as refused:
        outbound.check_url(f"http://{place}/hook")
    remedy = str(refused.value.message).rpartition("OUTBOUND_ALLOW=")[2]
    assert remedy == place
    monkeypatch.setenv("OUTBOUND_ALLOW", remedy)
    settings.OUTBOUND_ALLOW = env.places("OUTBOUND_ALLOW")
    outbound.check_url(f"http://{place}/hook")


@given(st.ip_addresses(v=4))
def test_an_inner_address_does_not_pass_in_any_wrapping(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    wrapped = [
        ipaddress.IPv6Address((0xFFFF << 32) | number),
        ipaddress.IPv6Address((0x64FF9B << 96) | number),
        ipaddress.IPv6Address((0x2002 << 112) | (number << 80)),
    ]
    for address_6 in wrapped:
        assert outbound.is_public(address_6) == outbound.is_public(address)
    if address.is_private or address.is_loopback or address.is_multicast:
        assert not outbound.is_public(address)


# --- Names ---------------------------------------------------------------------------------------


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Make the resolver answer with the given lists, one a question; returns who was asked for."""
    real = socket.getaddrinfo

    def answer_with(*answers: list[str] | OSError) -> list[str]:
        asked: list[str] = []
        waiting = list(answers)

        def resolver(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
            if host[-1].isdigit():
                return real(host, port, *args, **kwargs)
            asked.append(host)
            found = waiting.pop(0)
            if isinstance(found, OSError):
                raise found
            return [row for address in found for row in real(address, port, *args, **kwargs)]

        monkeypatch.setattr(socket, "getaddrinfo", resolver)
        return asked

    return answer_with


def test_one_inner_address_among_public_ones_is_enough(resolve: Any) -> None:
    resolve(["8.8.8.8", "10.0.0.1"])
    with pytest.raises(outbound.ForbiddenAddressError, match=r"leads to 10\.0\.0\.1"):
        outbound.check_url("https://hooks.example/")


def test_a_name_nobody_knows_is_left_to_the_request(resolve: Any) -> None:
    resolve(socket.gaierror("unknown"), socket.gaierror("unknown"))
    outbound.check_url("https://hooks.example/")
    with pytest.raises(outbound.UnreachableError, match="could not be resolved"):
        outbound.post("https://hooks.example/", b"", {}, timeout=5, max_bytes=10)


def test_a_name_that_changes_its_mind_gains_nothing(
    resolve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection goes to the address that was judged; nobody asks a second time."""
    asked = resolve(["8.8.8.8"], ["127.0.0.1"])
    called: list[Any] = []

    def connect(address: Any, timeout: float) -> socket.socket:
        called.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(outbound.UnreachableError):
        outbound.post("https://rebinding.example/", b"", {}, timeout=5, max_bytes=10)
    assert asked == ["rebinding.example"]
    assert called == [("8.8.8.8", 443)]


# --- Requests ------------------------------------------------------------------------------------


class Receiver(ThreadingHTTPServer):
    """Answers as told and keeps what it was sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.received: list[tuple[str, dict[str, str], bytes]] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, *args: Any) -> None:
        """A caller who hung up is part of the test."""


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.path, dict(self.headers), body))
        if self.path == "/hang":
            time.sleep(5)
        if self.path == "/drip":
            for _ in range(100):
                self.wfile.write(b"H")
                time.sleep(0.1)
        self.send_response(302 if self.path == "/redirect" else 200)
        self.send_header("Location", "http://169.254.169.254/")
        self.end_headers()
        self.wfile.write(b"x" * 100_000)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    with Receiver() as server:
        settings.OUTBOUND_ALLOW = [("127.0.0.1", server.port), ("hooks.example", server.port)]
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def test_an_allowed_place_gets_the_request_and_is_read_only_so_far(receiver: Receiver) -> None:
    url = f"http://127.0.0.1:{receiver.port}/a?b=c"
    answer = outbound.post(url, b"body", {"X-Y": "z"}, timeout=5, max_bytes=10)
    assert answer == outbound.Answer(200, b"x" * 10)
    ((path, headers, body),) = receiver.received
    assert (path, body) == ("/a?b=c", b"body")
    assert headers["Host"] == f"127.0.0.1:{receiver.port}"
    assert headers["X-Y"] == "z"


def test_another_port_of_an_allowed_host_is_not_allowed(receiver: Receiver) -> None:
    with pytest.raises(outbound.ForbiddenAddressError):
        outbound.check_url(f"http://127.0.0.1:{receiver.port + 1}/")


def test_a_redirect_is_an_answer_like_any_other(receiver: Receiver) -> None:
    url = f"http://127.0.0.1:{receiver.port}/redirect"
    assert outbound.post(url, b"", {}, timeout=5, max_bytes=0).status == 302
    assert len(receiver.received) == 1


@pytest.mark.parametrize("path", ["hang", "drip"])
def test_time_is_up_however_slowly_it_comes(receiver: Receiver, path: str) -> None:
    """One byte a tenth of a second would keep a time-out of single reads from ever ending."""
    url = f"http://127.0.0.1:{receiver.port}/{path}"
    with pytest.raises(outbound.UnreachableError, match="no complete answer in time"):
        outbound.post(url, b"", {}, timeout=0.5, max_bytes=10)


def test_the_proxies_of_the_environment_are_not_asked(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    url = f"http://127.0.0.1:{receiver.port}/"
    assert outbound.post(url, b"", {}, timeout=5, max_bytes=0).status == 200


def certificate(directory: Path, name: str) -> Path:
    """A key and a certificate of its own for ``name``, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = directory / f"{name}.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.mark.parametrize(("name", "is_valid"), [("hooks.example", True), ("other.example", False)])
def test_tls_checks_the_name_that_was_asked_for(
    receiver: Receiver,
    resolve: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    is_valid: bool,
) -> None:
    resolve(["127.0.0.1"])
    file = certificate(tmp_path, name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    receiver.socket = context.wrap_socket(receiver.socket, server_side=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    outbound._tls.cache_clear()
    url = f"https://hooks.example:{receiver.port}/"
    try:
        if is_valid:
            assert outbound.post(url, b"", {}, timeout=5, max_bytes=1).status == 200
        else:
            with pytest.raises(outbound.UnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
                outbound.post(url, b"", {}, timeout=5, max_bytes=1)
    finally:
        outbound._tls.cache_clear()


# --- The setting ---------------------------------------------------------------------------------


def test_nothing_is_allowed_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OUTBOUND_ALLOW", raising=False)
    assert env.places("OUTBOUND_ALLOW") == []
    monkeypatch.setenv("OUTBOUND_ALLOW", "ollama:11434, [::1]:80")
    assert env.places("OUTBOUND_ALLOW") == [("ollama", 11434), ("::1", 80)]


@pytest.mark.parametrize("value", ["ollama", "ollama:x", "http://a:1", "a:1/b", ":80", "[::1:80"])
def test_a_typo_in_the_list_stops_the_start(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("OUTBOUND_ALLOW", value)
    with pytest.raises(ImproperlyConfigured, match="OUTBOUND_ALLOW must list host:port"):
        env.places("OUTBOUND_ALLOW")
