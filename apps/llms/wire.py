"""One call and its answer, in the words of this project."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

REFUSAL: Final = "refusal"  # why an answer ended that says only why there is none


@dataclass(frozen=True, slots=True)
class Request:
    """A call, complete: its canonical JSON is the key of its answer in the cache.

    ``messages`` are ``{"role": …, "content": …}``; ``schema`` is the JSON schema of the answer,
    None for free text. ``sample_index`` and ``salt`` make equal prompts different calls.
    """

    model: str
    messages: tuple[Mapping[str, str], ...]
    schema: Mapping[str, Any] | None = None
    temperature: float = 0.0
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    sample_index: int = 0
    salt: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. ``text`` holds neither NUL nor control characters but for line ends.

    ``finish_reason`` is the provider's word, or ``REFUSAL``.

    Tokens are the provider's count, or an estimate where it gives none. ``raw`` is the answer as
    it can be stored: JSON, cut where it was too long.
    """

    text: str
    finish_reason: str | None
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    latency_ms: int
    raw: Mapping[str, Any] = field(repr=False)
