"""What a line of the log looks like: JSON or text, with its request, and never with a secret.

A secret is known by the word before it (``password=…``, ``"api_key": "…"``, ``Authorization: …``),
by its shape (our own keys, tokens of three parts, the keys of model providers) or by its place in
an address (``scheme://name:password@host``). Strangers choose what is logged, so the time that a
text takes grows with its length and no faster.
"""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from apps.core import tenancy, tracing

HIDDEN: Final = "[secret]"
_NAMES: Final = (
    r"pass(?:word|wd|phrase)?|pwd|secret(?:[_-]?key)?|api[_-]?key|apikey|access[_-]?key"
    r"|private[_-]?key|(?:access|refresh|auth|bearer|csrf|id|session)?[_-]?token"
    r"|csrfmiddlewaretoken|authorization|cookie|set-cookie|sessionid|credentials?|signature"
    r"|recovery[_-]?codes?|otp|client[_-]?secret|x-argilla-api-key"
)
_SECRET_NAME: Final = re.compile(rf"(?i)^(?:[\w.-]*[_.-])?(?:{_NAMES})\d?$")
# What stands before the name in a longer one is not looked at, nor is the scheme of an address: to
# try each mark of a long run as its beginning takes seconds.
_NAMED: Final = re.compile(
    rf"(?i)(?P<name>(?<![a-z0-9])(?:{_NAMES})\d?[\"']?\s*(?:[:=]|=>)\s*)"
    r"(?P<value>b?\"(?:[^\"\\]|\\.)*\"|b?'(?:[^'\\]|\\.)*'"
    r"|(?:(?:bearer|basic|apikey|token|digest)\s+)?[^\s,;&\"'}\])]+)"
)
_SCHEMED: Final = re.compile(r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,}")
_SHAPED: Final = re.compile(
    r"\b(?:sw_[A-Za-z0-9_-]{8,}|whsec_[A-Za-z0-9+/=_-]{8,}|sk-[A-Za-z0-9_-]{8,}"
    r"|sk_(?:live|test)_[A-Za-z0-9]{8,}|hf_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{16,}"
    r"|AKIA[0-9A-Z]{12,}|eyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){0,2})"
)
_IN_ADDRESS: Final = re.compile(r"(?P<before>://[^\s/:@]*:)[^\s/@]+@")

# What every record of the standard library has; all else was given with ``extra``.
_USUAL: Final = {
    *logging.LogRecord("", 0, "", 0, "", None, None).__dict__,
    *("message", "asctime", "taskName", "request", "server_time"),
}


def redact(text: str) -> str:
    """The text without the secrets in it."""
    text = _NAMED.sub(lambda found: found["name"] + HIDDEN, text)
    text = _SCHEMED.sub(lambda found: f"{found[1]} {HIDDEN}", text)
    text = _SHAPED.sub(HIDDEN, text)
    return _IN_ADDRESS.sub(lambda found: f"{found['before']}{HIDDEN}@", text)


def redact_value(value: Any, name: str = "") -> Any:
    """Any value as JSON may hold it, without secrets; what stands under a secret's name is one."""
    if value not in (None, "") and _SECRET_NAME.match(name):
        return HIDDEN
    if isinstance(value, Mapping):
        return {redact(str(key)): redact_value(one, str(key)) for key, one in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes):
        return [redact_value(one) for one in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact(str(value))


class _WithRequest(logging.Formatter):
    """Knows the request and the organization of a record."""

    def context(self, record: logging.LogRecord) -> dict[str, str]:
        trace = tracing.current()
        organization = tenancy.entered() or (trace.organization_id if trace else None)
        found = {}
        if trace is not None:
            found["request_id"] = trace.request_id
        if organization is not None:
            found["organization_id"] = str(organization)
        return found


class LineFormatter(_WithRequest):
    """One line of text: time, level, logger, message, and the request where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        told = " ".join(f"{name}={value}" for name, value in self.context(record).items())
        return redact(super().format(record)) + (f" [{told}]" if told else "")


class JsonFormatter(_WithRequest):
    """One JSON object a line: ``time``, ``level``, ``logger``, ``message``, the request and
    organization where there are, ``exception``, and whatever was given with ``extra``.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redact(record.getMessage()),
            **self.context(record),
        }
        for name, value in record.__dict__.items():
            if name not in _USUAL and name not in line:
                line[name] = redact_value(value, name)
        if record.exc_info:
            line["exception"] = redact(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)
