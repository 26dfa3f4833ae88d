"""The client of the server's controls."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class LlmServer:
    """A running server: ``url`` is a provider's base URL."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.llm_server"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": os.environ.get("PATH", "")},
        )
        assert self.process.stdout is not None
        self.url: str = json.loads(self.process.stdout.readline())["url"]
        self.host = "127.0.0.1"
        self.port = int(self.url.rsplit(":", 1)[1].partition("/")[0])

    @property
    def place(self) -> tuple[str, int]:
        """As ``settings.OUTBOUND_ALLOW`` lists it; in the environment, ``host:port``."""
        return self.host, self.port

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(10)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def configure(self, **values: Any) -> None:
        """Change ``settings.Settings`` in part."""
        self._send("PATCH", "/control/settings", values)

    def script(self, match: str, **values: Any) -> None:
        """Lay an answer down: ``scripts.Script``; earlier ones come first."""
        self._send("POST", "/control/scripts", [{"match": match, **values}])

    def scripts(self, rows: list[dict[str, Any]]) -> None:
        """Many at once."""
        self._send("POST", "/control/scripts", rows)

    def clear_scripts(self) -> None:
        self._send("DELETE", "/control/scripts")

    def reset(self) -> None:
        """Forget settings, scripts, ledger, files and batches."""
        self._send("POST", "/control/reset", {})

    def ledger(self) -> Any:
        """``ledger.Ledger.shown``: calls, answered, distinct, double_paid, keys, failed …"""
        return self._send("GET", "/ledger")

    def calls(self) -> Any:
        """The last 5,000 calls: path, key, at, body."""
        return self._send("GET", "/ledger/calls")

    def batches(self) -> Any:
        """All batches, as they are now: asking does not further them."""
        return self._send("GET", "/control/batches")

    def _send(self, method: str, path: str, body: Any = None) -> Any:
        raw = None if body is None else json.dumps(body).encode()
        url = f"http://{self.host}:{self.port}{path}"
        request = urllib.request.Request(url, raw, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            return json.load(answer)
