"""Files and batches: many calls handed in as one file, and their answers fetched as another."""

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl

import orjson

from tests.llm_server.http import Answer, Call
from tests.llm_server.refusals import error
from tests.llm_server.settings import Settings

Bill = Callable[[str, dict[str, Any]], tuple[int, Any]]
_PART = re.compile(rb'name="(?P<name>\w+)"[^\r]*(?:\r\n[^\r]+)*\r\n\r\n(?P<body>.*)', re.DOTALL)


@dataclass
class Batches:
    """``bill`` answers one line and books it: (status, body)."""

    settings: Settings
    bill: Bill
    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def handle(self, call: Call) -> Answer:
        return replace(self.answer(call), delay=self.settings.batch_latency_ms / 1000)

    def answer(self, call: Call) -> Answer:
        if not self.settings.offers_batches:
            return error(404, "Not found.")
        if self.settings.batches_are_down:
            return error(503, "Overloaded.")
        match call.method, call.path.partition("?")[0].split("/")[2:]:
            case "POST", ["files"]:
                return self.take_file(call)
            case "GET", ["files", name, "content"] if name in self.files:
                return Answer(200, self.files[name])
            case "GET", ["files", name] if name in self.files:
                return Answer(200, self.file(name))
            case "POST", ["batches"]:
                return self.start(orjson.loads(call.body))
            case "GET", ["batches"]:
                return Answer(200, self.listed(call.path.partition("?")[2]))
            case "GET", ["batches", name] if name in self.batches:
                return Answer(200, self.poll(self.batches[name]))
            case "POST", ["batches", name, "cancel"] if name in self.batches:
                return self.cancel(self.batches[name])
        return error(404, "Not found.")

    def file(self, name: str) -> dict[str, Any]:
        return {
            "id": name,
            "object": "file",
            "bytes": len(self.files[name]),
            "created_at": 1,
            "filename": f"{name}.jsonl",
            "purpose": "batch",
            "status": "processed",
        }

    def keep(self, content: bytes) -> str:
        name = f"file-{next(self.numbers)}"
        self.files[name] = content
        return name

    def take_file(self, call: Call) -> Answer:
        boundary = call.headers.get("content-type", "").partition("boundary=")[2].strip('"')
        if not boundary:
            return error(400, "A file is sent as a form.")
        for part in call.body.split(b"--" + boundary.encode()):
            found = _PART.search(part)
            if found and found["name"] == b"file":
                return Answer(200, self.file(self.keep(found["body"].removesuffix(b"\r\n"))))
        return error(400, "There is no file.")

    def start(self, asked: dict[str, Any]) -> Answer:
        content = self.files.get(asked.get("input_file_id", ""))
        if content is None:
            return error(400, "No such file.")
        name = f"batch-{next(self.numbers)}"
        total = len(content.splitlines())
        self.batches[name] = {
            "id": name,
            "object": "batch",
            "endpoint": asked["endpoint"],
            "completion_window": asked.get("completion_window", "24h"),
            "created_at": 1,
            "input_file_id": asked["input_file_id"],
            "metadata": asked.get("metadata"),
            "status": "in_progress",
            "polls": 0,
            "request_counts": {"total": total, "completed": 0, "failed": 0},
        }
        return Answer(200, self.batches[name])

    def listed(self, query: str) -> dict[str, Any]:
        """A page of the batches, the newest first, or those ``after`` one."""
        asked = dict(parse_qsl(query))
        names = list(reversed(self.batches))
        begin = names.index(asked["after"]) + 1 if "after" in asked else 0
        end = begin + min(int(asked.get("limit", 20)), self.settings.batches_a_page)
        rows = [self.batches[name] for name in names[begin:end]]
        return {"object": "list", "data": rows, "has_more": end < len(names)}

    def poll(self, batch: dict[str, Any]) -> dict[str, Any]:
        batch["polls"] += 1
        if batch["status"] == "in_progress" and batch["polls"] > self.settings.batch_polls:
            self.finish(batch)
        if batch["status"] == "cancelling":
            self.finish(batch, self.settings.answered_before_cancel)
            batch["status"] = "cancelled"
        return batch

    def cancel(self, batch: dict[str, Any]) -> Answer:
        if batch["status"] != "in_progress" or not self.settings.stops_batches:
            return error(409, f"A batch that is {batch['status']} cannot be cancelled.")
        batch["status"] = "cancelling"
        return Answer(200, batch)

    def finish(self, batch: dict[str, Any], most: int | None = None) -> None:
        done, failed = [], []
        for number, line in enumerate(self.files[batch["input_file_id"]].splitlines()):
            asked = orjson.loads(line)
            if most is not None and number >= most:
                failed.append(orjson.dumps(self.unasked(asked["custom_id"])))
                continue
            status, body = self.bill(asked["url"], asked["body"])
            row = {
                "id": f"line-{next(self.numbers)}",
                "custom_id": asked["custom_id"],
                "response": {"status_code": status, "request_id": "r", "body": body},
                "error": None,
            }
            (done if status == 200 else failed).append(orjson.dumps(row))
        batch["status"] = "completed"
        batch["output_file_id"] = self.keep(b"\n".join(done)) if done else None
        batch["error_file_id"] = self.keep(b"\n".join(failed)) if failed else None
        batch["request_counts"] |= {"completed": len(done), "failed": len(failed)}

    def unasked(self, custom_id: str) -> dict[str, Any]:
        told = {"code": "batch_cancelled", "message": "The batch was cancelled before this line."}
        name = f"line-{next(self.numbers)}"
        return {"id": name, "custom_id": custom_id, "response": None, "error": told}
