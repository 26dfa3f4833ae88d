"""The routes: what a call gets, and what it costs."""

import base64
import hashlib
import itertools
import struct
from collections.abc import Callable
from typing import Any

import orjson

from tests.llm_server import answers, refusals
from tests.llm_server.batches import Batches
from tests.llm_server.http import Answer, Call
from tests.llm_server.ledger import Ledger
from tests.llm_server.refusals import error
from tests.llm_server.scripts import Script, written
from tests.llm_server.settings import Settings

Made = tuple[Any, int, int]  # content, prompt tokens, completion tokens


class Server:
    """All state of the process; ``handle`` answers one call."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Forget everything."""
        self.settings = Settings()
        self.ledger = Ledger()
        self.scripts: list[Script] = []
        self.windows = refusals.Windows()
        self.batches = Batches(self.settings, self.answer_line)
        self.numbers = itertools.count(1)

    def handle(self, call: Call) -> Answer:
        path = call.path.partition("?")[0]
        try:
            if path.startswith(("/control/", "/ledger")):
                return self.control(call.method, path, call.body)
            return self.protocol(call, path)
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            return error(400, f"{type(problem).__name__}: {problem}")

    # --- For tests -------------------------------------------------------------------------------

    def control(self, method: str, path: str, body: bytes) -> Answer:
        match method, path:
            case "GET", "/ledger":
                return Answer(200, self.ledger.shown())
            case "GET", "/ledger/calls":
                return Answer(200, list(self.ledger.recent))
            case "PATCH", "/control/settings":
                self.settings.change(orjson.loads(body))
                return Answer(200, vars(self.settings))
            case "POST", "/control/scripts":
                self.scripts += [Script(**values) for values in orjson.loads(body)]
                return Answer(201, {"scripts": len(self.scripts)})
            case "DELETE", "/control/scripts":
                self.scripts.clear()
                return Answer(200, {})
            case "GET", "/control/batches":
                return Answer(200, list(self.batches.batches.values()))
            case "POST", "/control/reset":
                self.start()
                return Answer(200, {})
        return error(404, "No such control.")

    # --- The protocol ----------------------------------------------------------------------------

    def protocol(self, call: Call, path: str) -> Answer:
        key = call.headers.get("authorization", "").removeprefix("Bearer ")
        if self.settings.keys is not None and key not in self.settings.keys:
            self.ledger.failed["401"] += 1
            return error(401, "Incorrect API key provided.", code="invalid_api_key")
        if path == "/v1/models":
            rows = [{"id": name, "object": "model"} for name in self.settings.models]
            return Answer(200, {"object": "list", "data": rows})
        if path.startswith(("/v1/files", "/v1/batches")):
            return self.batches.handle(call)
        makers = {"/v1/chat/completions": self.chat, "/v1/embeddings": self.embeddings}
        if path not in makers or call.method != "POST":
            return error(404, "Not found.")
        return self.priced(call, path, key, makers[path])

    def priced(
        self, call: Call, path: str, key: str, make: Callable[[dict[str, Any]], Made | Answer]
    ) -> Answer:
        """Answer, refuse or fail a call that costs something."""
        asked = orjson.loads(call.body)
        digest = self.digest(path, asked)
        self.ledger.called(path, key, asked)
        self.ledger.attempts[digest] += 1
        refused = self.refusal(key, asked)
        if refused is not None:
            self.ledger.failed[str(refused.status)] += 1
            return refused
        kind = refusals.failing(self.settings, digest, self.ledger.attempts[digest])
        made = make(asked) if kind in (None, "lost_answer") else None
        if isinstance(made, Answer):
            kind, made = _kind_of(made), made
        if kind is not None:
            self.ledger.failed[kind] += 1
        return self.timed(digest, kind, made)

    def timed(self, digest: bytes, kind: str | None, made: Made | Answer | None) -> Answer:
        """The answer after the latency; it is billed then, even when nobody listens any more."""
        answer = made if isinstance(made, Answer) else None
        if answer is None and kind is not None:
            answer = refusals.failure(kind, self.settings)
        self.ledger.started()

        def finish() -> None:
            self.ledger.in_flight -= 1
            if isinstance(made, tuple):
                self.ledger.bill(digest, made[1], made[2])

        jitter = answers.seeded("jitter", digest.hex()).random() * self.settings.jitter_ms
        delay = (self.settings.latency_ms + jitter) / 1000
        if answer is None:
            assert isinstance(made, tuple)
            return Answer(200, made[0], delay=delay, on_send=finish)
        return Answer(
            answer.status,
            answer.content,
            answer.headers,
            delay=max(delay, answer.delay),
            ending=answer.ending,
            on_send=finish,
        )

    def refusal(self, key: str, asked: dict[str, Any]) -> Answer | None:
        """What is refused before anything is done."""
        settings = self.settings
        if asked.get("model") not in settings.models:
            return error(404, f"The model {asked.get('model')} does not exist.", code="no_model")
        if settings.quota_calls is not None and self.ledger.answered >= settings.quota_calls:
            message = "You exceeded your current quota, please check your plan and billing."
            return error(429, message, code="insufficient_quota")
        if settings.max_concurrent and self.ledger.in_flight >= settings.max_concurrent:
            return refusals.too_many(settings, settings.retry_after)
        wait = self.windows.wait(key, answers.tokens(str(asked)), settings)
        return None if wait is None else refusals.too_many(settings, wait)

    @staticmethod
    def digest(path: str, asked: Any) -> bytes:
        return hashlib.sha256(
            path.encode() + orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)
        ).digest()

    def answer_line(self, path: str, asked: dict[str, Any]) -> tuple[int, Any]:
        """A line of a batch: answered and billed at once."""
        self.ledger.called(path, "batch", asked)
        made = self.chat(asked) if path == "/v1/chat/completions" else self.embeddings(asked)
        if isinstance(made, Answer):
            return made.status, made.content
        self.ledger.bill(self.digest(path, asked), made[1], made[2])
        return 200, made[0]

    # --- Chat ------------------------------------------------------------------------------------

    def chat(self, asked: dict[str, Any]) -> Made | Answer:
        prompt = "\n".join(str(message.get("content") or "") for message in asked["messages"])
        limit = self.settings.context_chars
        if limit is not None and len(prompt) > limit:
            message = f"This model's maximum context length is {limit // 4} tokens."
            return error(400, message, code="context_length_exceeded")
        script = next((each for each in self.scripts if each.applies(prompt)), None)
        if script is not None:
            script.used += 1
            if script.failure is not None:
                return refusals.failure(script.failure, self.settings)
            if script.status is not None:
                content = {"error": script.error or {"message": "scripted", "code": None}}
                return Answer(script.status, content, script.headers)
        text = self.text(asked, prompt, script)
        return text if isinstance(text, Answer) else self.completion(asked, prompt, text, script)

    def text(self, asked: dict[str, Any], prompt: str, script: Script | None) -> str | Answer:
        schema = self.schema_asked(asked, prompt)
        if isinstance(schema, Answer):
            return schema
        laid_down = script.next_answer() if script else None
        shape = script.shape if script else "plain"
        if laid_down is not None:
            return written(laid_down, shape)
        chance = answers.seeded(prompt, asked.get("seed"), asked.get("model"))
        if schema is None:
            return written(answers.prose(chance), shape)
        users = [each["content"] for each in asked["messages"] if each["role"] == "user"]
        value = answers.satisfying(schema, chance, users[-1] if users else "")
        if script and script.patch:
            value |= script.patch
        if self.settings.mode == "text" and shape == "plain":
            shape = "chatty"
        return written(value, shape)

    def schema_asked(self, asked: dict[str, Any], prompt: str) -> Any:
        """The schema to satisfy, None for free text, or the refusal of a form not understood."""
        form, mode = asked.get("response_format") or {"type": "text"}, self.settings.mode
        kind = form.get("type")
        if kind == "json_schema":
            if mode == "json_schema":
                return form["json_schema"]["schema"]
            if mode == "json_object_schema":
                return error(500, "[{'type': 'literal_error', 'loc': ('body', 'response_format')}]")
            return error(400, "response_format json_schema is not supported.", code="unsupported")
        if kind == "json_object":
            if mode == "text":
                return error(400, "response_format is not supported.", code="unsupported")
            if "schema" in form and mode == "json_object":
                return error(400, "Unknown parameter: response_format.schema.", code="unsupported")
            return form.get("schema") or answers.schema_in(prompt) or {"type": "object"}
        return answers.schema_in(prompt)

    def completion(
        self, asked: dict[str, Any], prompt: str, text: str, script: Script | None
    ) -> Made:
        limit = asked.get("max_completion_tokens") or asked.get("max_tokens")
        reason = "stop"
        if limit is not None and answers.tokens(text) > limit:
            text, reason = text[: limit * 4], "length"
        counts = (answers.tokens(prompt), answers.tokens(text))
        refusal = script.refusal if script else None
        message = {"role": "assistant", "content": None if refusal else text, "refusal": refusal}
        reason = (script.finish_reason if script else None) or reason
        content = {
            "id": f"chatcmpl-{next(self.numbers)}",
            "object": "chat.completion",
            "created": 1,
            "model": asked["model"],
            "choices": [
                {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
            ],
            "usage": usage(*counts),
        }
        return content, *counts

    # --- Embeddings ------------------------------------------------------------------------------

    def embeddings(self, asked: dict[str, Any]) -> Made | Answer:
        texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
        if not texts or len(texts) > self.settings.max_batch_inputs or "" in texts:
            return error(400, "input is too long, or holds nothing.", code="invalid_input")
        dimensions = asked.get("dimensions") or self.settings.dimensions
        rows = []
        for number, text in enumerate(texts):
            vector: Any = answers.embedding(text, dimensions)
            if asked.get("encoding_format") == "base64":
                vector = base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode()
            rows.append({"object": "embedding", "index": number, "embedding": vector})
        count = sum(map(answers.tokens, texts))
        content = {"object": "list", "data": rows, "model": asked["model"], "usage": usage(count)}
        return content, count, 0


def usage(prompt_tokens: int, completion_tokens: int = 0) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


def _kind_of(answer: Answer) -> str:
    return answer.ending or str(answer.status)
