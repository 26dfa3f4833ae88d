"""Lines of the log: JSON, with request and organization, and never a secret."""

import json
import logging
import sys
import time
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from hypothesis import assume, given
from hypothesis import strategies as st

from apps.core import tenancy, tracing
from apps.core.logs import HIDDEN, JsonFormatter, LineFormatter, redact
from apps.core.tenancy import enter
from apps.organizations.services import create_api_key
from tests import factories

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
SECRETS = st.text(ALPHABET, min_size=24, max_size=60).filter(lambda s: s[0].isalnum())
NAMES = st.sampled_from(
    [
        *("password", "new_password", "password1", "passwd", "secret", "client_secret", "api_key"),
        *("apikey", "api-key", "X-Argilla-Api-Key", "access_token", "refresh_token", "token"),
        *("csrfmiddlewaretoken", "sessionid", "OPENAI_API_KEY", "SECRET_KEY", "private_key"),
    ]
)
SHAPES = st.sampled_from(
    [
        "{name}={secret}",
        "{name}: {secret}",
        '"{name}": "{secret}"',
        "'{name}': '{secret}'",
        "?a=1&{name}={secret}&b=2",
        "{{'{name}': '{secret}', 'b': 2}}",
        "Authorization: Bearer {secret}",
        "Authorization: Basic {secret}",
        "'Authorization': 'Bearer {secret}'",
        "Cookie: {secret}",
        "https://user:{secret}@example.com/x",
        "postgresql://stoneware:{secret}@db/stoneware",
        "the key sw_{secret} was refused",
        "whsec_{secret}",
        "the provider said: invalid sk-{secret}",
    ]
)
AROUND = st.text(max_size=40)


def record(message: object, *values: object, **extra: Any) -> logging.LogRecord:
    made = logging.LogRecord("apps.test", logging.INFO, __file__, 1, message, values, None)
    made.__dict__.update(extra)
    return made


@given(name=NAMES, secret=SECRETS, shape=SHAPES, before=AROUND, after=AROUND)
def test_no_secret_leaves_in_a_message(
    name: str, secret: str, shape: str, before: str, after: str
) -> None:
    assume(secret not in before + after)
    text = f"{before} {shape.format(name=name, secret=secret)} {after}"
    for formatter in (JsonFormatter(), LineFormatter("{message}", style="{")):
        line = formatter.format(record("%s", text))
        assert secret not in line, line


@given(name=NAMES, secret=SECRETS, depth=st.integers(0, 4), after=AROUND)
def test_no_secret_leaves_in_what_is_given_beside(
    name: str, secret: str, depth: int, after: str
) -> None:
    assume(secret not in after)
    value: Any = {name: secret, "harmless": after}
    for _ in range(depth):
        value = {"inner": [value]}
    made = record("hello", details=value, my_token=secret)
    line = json.loads(JsonFormatter().format(made))
    assert secret not in json.dumps(line)
    assert line["my_token"] == HIDDEN


@given(secret=SECRETS)
def test_no_secret_leaves_in_an_exception(secret: str) -> None:
    try:
        raise ValueError(f"password={secret}")
    except ValueError:
        made = record("failed")
        made.exc_info = sys.exc_info()
    assert secret not in JsonFormatter().format(made)
    assert secret not in LineFormatter().format(made)


@given(AROUND)
def test_a_line_is_one_json_object(text: str) -> None:
    line = JsonFormatter().format(record("%s", text, odd={1: object(), "x": {2, 3}}))
    assert "\n" not in line
    assert json.loads(line)["level"] == "INFO"


@pytest.mark.parametrize(
    "text",
    [
        "GET /api/v1/datasets 200",
        "The token count is 12 and the key press took 3 ms",
        "Rates are not counted, Redis is away: timeout",
        "job suggest 0192 is done: 412 of 1240",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    ("marks", "length"),
    [
        *(("._", 8_000), ("-", 8_000), ("a.", 8_000), ("-sw_", 16_000), ("api_", 30_000)),
        *(("a://", 60_000), ("token ", 60_000), ("-eyJaaaaaaa", 200_000)),
    ],
)
def test_a_long_run_of_marks_takes_no_time(marks: str, length: int) -> None:
    """The limit is that of a hang: it takes a hundredth of it, and took many times as long when
    every mark was tried as the beginning of a name.
    """
    text = "GET /" + (marks * length)[:length]
    began = time.thread_time()
    redact(text)
    assert time.thread_time() - began < 2.0


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"{'a-b.c_' * 30}password=hidden", f"{'a-b.c_' * 30}password={HIDDEN}"),
        (f"{'x' * 90}.api_key: hidden", f"{'x' * 90}.api_key: {HIDDEN}"),
        ("HTTPS://user:hidden@example.com", f"HTTPS://user:{HIDDEN}@example.com"),
        ("a eyJhbGciOiJI.eyJzdWIiOiIx.c2ln of theirs", f"a {HIDDEN} of theirs"),
    ],
)
def test_what_stands_before_a_secret_stays(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.django_db
def test_request_and_organization_are_named() -> None:
    organization_id = factories.make_organization().id
    with tracing.tracing("abc"):
        with enter(organization_id):
            inside = json.loads(JsonFormatter().format(record("hello")))
        assert tenancy.entered() is None
        after = json.loads(JsonFormatter().format(record("hello")))
    outside = json.loads(JsonFormatter().format(record("hello")))
    assert inside["organization_id"] == after["organization_id"] == str(organization_id)
    assert inside["request_id"] == "abc"
    assert "request_id" not in outside
    assert "organization_id" not in outside


@pytest.mark.django_db
def test_a_request_is_a_line(caplog: pytest.LogCaptureFixture) -> None:
    organization = factories.make_organization()
    with enter(organization.id):
        key = create_api_key(member=factories.make_member(role="owner"))[1]
    lines: list[dict[str, Any]] = []

    class Kept(logging.Handler):
        def emit(self, one: logging.LogRecord) -> None:
            lines.append(json.loads(JsonFormatter().format(one)))

    logger = logging.getLogger("apps.operator.requests")
    handler, before = Kept(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        given_id = uuid4().hex
        headers = {"X-Argilla-Api-Key": key, "X-Request-ID": given_id}
        Client().get("/api/v1/datasets/" + str(uuid4()) + "?api_key=hidden", headers=headers)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
    (line,) = lines
    assert line["status"] == 404
    assert line["method"] == "GET"
    assert line["request_id"] == given_id
    assert line["organization_id"] == str(organization.id)
    assert key not in json.dumps(line)
    assert "hidden" not in json.dumps(line)
