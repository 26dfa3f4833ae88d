"""How the server behaves: one flat object that a test changes in part."""

from dataclasses import dataclass, field

MODES = ("json_schema", "json_object_schema", "json_object", "text")
FAILURES = ("rate_limit", "server_error", "reset", "hang", "lost_answer", "overloaded")


@dataclass
class Settings:
    """The defaults: no wait, no limit, no failure, everything understood."""

    models: list[str] = field(default_factory=lambda: ["tiny", "small", "embedder"])
    keys: list[str] | None = None  # accepted keys; None: any, or none at all
    latency_ms: float = 0
    jitter_ms: float = 0  # up to so much more, by the body
    mode: str = "json_schema"  # what of `response_format` it understands, see `answers.py`
    failure_rate: float = 0  # share of calls that fail, by seed, body and attempt
    failures: list[str] = field(default_factory=lambda: ["rate_limit", "server_error", "reset"])
    failures_per_body: int | None = None  # then it succeeds; None: as chance has it
    seed: int = 0
    hang_seconds: float = 600
    retry_after: float | None = 0.05  # seconds that a failing 429 or 503 tells to wait
    retry_after_form: str = "ms"  # "seconds", "date" or "ms"
    rpm: int | None = None  # calls a minute and key, as a sliding window
    tpm: int | None = None
    max_concurrent: int | None = None  # more calls at once are refused (429)
    quota_calls: int | None = None  # then 429 insufficient_quota
    context_chars: int | None = None  # a longer prompt is refused (400)
    dimensions: int = 64  # of embeddings
    max_batch_inputs: int = 2048  # texts in one call for embeddings
    batch_polls: int = 1  # how often a batch is asked for before it is done
    offers_batches: bool = True
    batches_are_down: bool = False  # files and batches answer 503
    batches_a_page: int = 100  # of the list of batches, the newest first
    batch_latency_ms: float = 0  # of files and batches
    stops_batches: bool = True  # else a batch cannot be cancelled (409)
    answered_before_cancel: int = 0  # lines of a cancelled batch that have answers

    def change(self, values: dict[str, object]) -> None:
        """Take the values over. Raises ``ValueError`` for names and choices it does not know."""
        unknown = values.keys() - vars(self).keys()
        if unknown:
            raise ValueError(f"unknown settings: {sorted(unknown)}")
        if values.get("mode", self.mode) not in MODES:
            raise ValueError(f"mode is one of {MODES}")
        if set(values.get("failures", self.failures)) - set(FAILURES):  # type: ignore[call-overload]
            raise ValueError(f"failures are of {FAILURES}")
        vars(self).update(values)
