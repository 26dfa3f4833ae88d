"""What was called and billed."""

import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Ledger:
    """``billed`` counts answers by the digest of their request: more than one is paid twice."""

    calls: int = 0
    answered: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    billed: Counter[bytes] = field(default_factory=Counter)
    attempts: Counter[bytes] = field(default_factory=Counter)
    keys: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    paths: Counter[str] = field(default_factory=Counter)
    recent: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=5000))

    def called(self, path: str, key: str, body: Any) -> None:
        self.calls += 1
        self.keys[key] += 1
        self.paths[path] += 1
        self.recent.append({"path": path, "key": key, "at": time.time(), "body": body})

    def bill(self, digest: bytes, prompt_tokens: int, completion_tokens: int) -> None:
        self.answered += 1
        self.billed[digest] += 1
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens

    def started(self) -> None:
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def shown(self) -> dict[str, Any]:
        """``double_paid`` is how many answers were billed beyond the first of each request."""
        return {
            "calls": self.calls,
            "answered": self.answered,
            "distinct": len(self.billed),
            "double_paid": self.answered - len(self.billed),
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "keys": dict(self.keys),
            "failed": dict(self.failed),
            "paths": dict(self.paths),
        }
