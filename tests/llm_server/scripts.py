"""Answers laid down by a test for the prompts that match."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

SHAPES = ("plain", "fenced", "chatty", "control", "nul", "malformed", "truncated", "overlong")


@dataclass
class Script:
    """What to do with a prompt in which ``match`` (a regular expression) is found.

    The first script that matches and is not used up decides. ``answer`` is the text, or a value
    written as JSON in one of ``SHAPES``; ``answers`` are several, one a call, the last for good.
    ``patch`` changes some properties of the answer that the schema would get. ``status``
    with ``error`` refuses the call; ``failure`` is one of ``settings.FAILURES``.
    """

    match: str
    answer: Any = None
    answers: list[Any] = field(default_factory=list)
    patch: dict[str, Any] | None = None
    shape: str = "plain"
    status: int | None = None
    error: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    failure: str | None = None
    finish_reason: str | None = None
    refusal: str | None = None  # what the model says instead of an answer
    times: int | None = None  # how often it applies; None: always
    used: int = 0

    def __post_init__(self) -> None:
        self.pattern = re.compile(self.match, re.DOTALL)
        if self.shape not in SHAPES:
            raise ValueError(f"shape is one of {SHAPES}")

    def applies(self, prompt: str) -> bool:
        if self.times is not None and self.used >= self.times:
            return False
        return self.pattern.search(prompt) is not None

    def next_answer(self) -> Any:
        """The answer of this call, None when the schema decides."""
        if self.answers:
            return self.answers[min(self.used, len(self.answers)) - 1]
        return self.answer


def shaped(text: str, shape: str) -> str:
    """The text as an unruly model would write it."""
    if shape == "fenced":
        return f"```json\n{text}\n```"
    if shape == "chatty":
        return (
            f"Sure! Here is the answer:\n\n```json\n{text}\n```\nLet me know if {{you}} need more."
        )
    if shape in ("control", "nul"):
        mark = "\\u0000\x01\n\t" if shape == "nul" else "\x01\n\t\x7f"
        return re.sub(r'": ?"', lambda found: found.group() + mark, text)
    if shape == "malformed":
        return text.replace(":", " ", 1) or "{"
    if shape == "truncated":
        return text[: max(1, len(text) // 2)]
    if shape == "overlong":
        return text + " and so on" * 100_000
    return text


def written(answer: Any, shape: str) -> str:
    """An answer as text: what is text already, only in its shape."""
    text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
    return shaped(text, shape)
