"""A local server that plays the Hub: datasets, their files, tokens, uploads and commits.

It knows what ``huggingface_hub`` and ``datasets`` ask for when they read, stream, and push.
"""

import base64
import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_good"


@dataclass
class Repo:
    """A dataset's files at each of its commits; the last one is ``main``."""

    private: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    @property
    def head(self) -> str:
        return list(self.commits)[-1]

    @property
    def files(self) -> dict[str, bytes]:
        return self.commits[self.head]

    def commit(self, files: dict[str, bytes]) -> str:
        sha = _oid(uuid.uuid4().bytes)
        self.commits[sha] = files
        return sha


class Hub:
    """The server's state; ``log`` holds every request as ``METHOD path``."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.large: dict[str, bytes] = {}
        self.moved: dict[str, str] = {}
        self.log: list[str] = []
        self.tokens: list[str] = []
        self.before: Callable[[str], None] = lambda request: None
        self.url = ""

    def add(self, name: str, files: dict[str, bytes], *, private: bool = False) -> Repo:
        repo = self.repos.setdefault(name, Repo(private))
        repo.commit(dict(files))
        return repo


class Refused(Exception):  # noqa: N818
    def __init__(self, status: int, code: str = "") -> None:
        self.status, self.code = status, code


NAME = r"(?P<name>[\w.-]+(?:/[\w.-]+)?)"
ROUTES: list[tuple[str, str, str]] = [
    ("GET", rf"/api/datasets/{NAME}(?:/revision/(?P<rev>[^/]+))?", "info"),
    ("GET", rf"/api/datasets/{NAME}/tree/(?P<rev>[^/]+)(?:/(?P<path>.*))?", "tree"),
    ("POST", rf"/api/datasets/{NAME}/paths-info/(?P<rev>[^/]+)", "paths"),
    ("POST", rf"/api/datasets/{NAME}/preupload/(?P<rev>[^/]+)", "preupload"),
    ("POST", rf"/api/datasets/{NAME}/commit/(?P<rev>[^/]+)", "commit"),
    ("GET", rf"/datasets/{NAME}/resolve/(?P<rev>[^/]+)/(?P<path>.*)", "resolve"),
    ("POST", rf"/datasets/{NAME}\.git/info/lfs/objects/batch", "batch"),
    ("PUT", r"/large/(?P<oid>\w+)", "upload"),
    ("POST", r"/api/repos/create", "create"),
    ("POST", r"/api/validate-yaml", "validate"),
    ("GET", r"/api/whoami-v2", "whoami"),
]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def handle_any(self) -> None:
        parts = urlsplit(self.path)
        self.query = parse_qs(parts.query)
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        method = "GET" if self.command == "HEAD" else self.command
        path = unquote(parts.path)
        self.hub.log.append(f"{self.command} {path}")
        if self.headers.get("Authorization"):
            self.hub.tokens.append(self.headers["Authorization"].removeprefix("Bearer "))
        self.hub.before(f"{self.command} {path}")
        try:
            for verb, pattern, action in ROUTES:
                found = re.fullmatch(pattern, path)
                # The shortest name that leads somewhere: a name has a slash or not.
                if found and verb == method and self._suits(action, found):
                    getattr(self, f"do_{action}")(**found.groupdict())
                    return
            raise Refused(404, "EntryNotFound")
        except Refused as refusal:
            body = {"error": refusal.code or "refused"}
            self.answer(body, status=refusal.status, **{"X-Error-Code": refusal.code})

    do_GET = do_HEAD = do_POST = do_PUT = handle_any  # noqa: N815

    def _suits(self, action: str, found: re.Match[str]) -> bool:
        name = found.groupdict().get("name")
        return name is None or action == "info" or name in self.hub.repos

    def answer(
        self, body: Any, *, status: int = 200, raw: bytes | None = None, **headers: str
    ) -> None:
        content = raw if raw is not None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", headers.pop("length", str(len(content))))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    # --- Who ----------------------------------------------------------------------------------
    @property
    def known(self) -> bool:
        given = self.headers.get("Authorization")
        if given not in {None, f"Bearer {TOKEN}"}:
            raise Refused(401)
        return given is not None

    def repo(self, name: str) -> Repo:
        repo = self.hub.repos.get(name)
        if repo is None or (repo.private and not self.known):
            raise Refused(404 if self.known else 401, "RepoNotFound")
        return repo

    def files(self, name: str, rev: str | None) -> tuple[str, dict[str, bytes]]:
        repo = self.repo(name)
        sha = repo.head if rev in {None, "main"} else str(rev)
        if sha not in repo.commits:
            raise Refused(404, "RevisionNotFound")
        return sha, repo.commits[sha]

    # --- Reading ------------------------------------------------------------------------------
    def do_info(self, name: str, rev: str | None) -> None:
        name = self.hub.moved.get(name, name)
        sha, files = self.files(name, rev)
        siblings = [{"rfilename": path} for path in files]
        self.answer({"id": name, "sha": sha, "private": False, "siblings": siblings, "tags": []})

    def _entry(self, path: str, content: bytes) -> dict[str, Any]:
        return {"type": "file", "path": path, "size": len(content), "oid": _oid(content)}

    def _tree(self, files: dict[str, bytes]) -> dict[str, dict[str, Any]]:
        found = {}
        for path, content in files.items():
            found[path] = self._entry(path, content)
            parents = path.split("/")[:-1]
            for depth in range(len(parents)):
                folder = "/".join(parents[: depth + 1])
                found[folder] = {"type": "directory", "path": folder, "size": 0, "oid": "0" * 40}
        return found

    def do_tree(self, name: str, rev: str, path: str | None) -> None:
        _, files = self.files(name, rev)
        entries, start = self._tree(files), f"{path}/" if path else ""
        recursive = self.query.get("recursive", ["false"])[0].lower() in {"true", "1"}
        below = [
            entry
            for key, entry in entries.items()
            if key.startswith(start) and (recursive or "/" not in key[len(start) :])
        ]
        if not below and path:
            raise Refused(404, "EntryNotFound")
        self.answer(below)

    def do_paths(self, name: str, rev: str) -> None:
        _, files = self.files(name, rev)
        if "json" in (self.headers.get("Content-Type") or ""):
            wanted = json.loads(self.body)["paths"]
        else:
            wanted = parse_qs(self.body.decode()).get("paths", [])
        entries = self._tree(files)
        self.answer([entries[path] for path in wanted if path in entries])

    def do_resolve(self, name: str, rev: str, path: str) -> None:
        sha, files = self.files(name, rev)
        if path not in files:
            raise Refused(404, "EntryNotFound")
        content, status = files[path], 200
        headers = {"ETag": f'"{_oid(content)}"', "X-Repo-Commit": sha, "Accept-Ranges": "bytes"}
        given = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if given:
            start, end = int(given[1]), int(given[2] or len(content) - 1)
            headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
            content, status = content[start : end + 1], 206
        self.answer(None, status=status, raw=content, **headers)

    # --- Writing ------------------------------------------------------------------------------
    def _must_be_known(self) -> None:
        if not self.known:
            raise Refused(401)

    def do_whoami(self) -> None:
        self._must_be_known()
        self.answer({"name": "ann", "type": "user", "orgs": []})

    def do_create(self) -> None:
        self._must_be_known()
        given = json.loads(self.body)
        name = f"{given.get('organization') or 'ann'}/{given['name']}"
        url = f"{self.hub.url}/datasets/{name}"
        if name in self.hub.repos:
            self.answer({"error": "exists", "url": url}, status=409)
            return
        private = given.get("visibility") == "private" or bool(given.get("private"))
        self.hub.add(name, {".gitattributes": b""}, private=private)
        self.answer({"url": url, "name": name})

    def do_validate(self) -> None:
        self.answer({"errors": [], "warnings": []})

    def do_preupload(self, name: str, rev: str) -> None:
        self._must_be_known()
        self.repo(name)
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(".parquet") else "regular",
                "shouldIgnore": False,
            }
            for file in json.loads(self.body)["files"]
        ]
        self.answer({"files": files})

    def do_batch(self, name: str) -> None:
        self._must_be_known()
        objects = []
        for given in json.loads(self.body)["objects"]:
            one = dict(given)
            if given["oid"] not in self.hub.large:
                one["actions"] = {"upload": {"href": f"{self.hub.url}/large/{given['oid']}"}}
            objects.append(one)
        self.answer({"transfer": "basic", "objects": objects})

    def do_upload(self, oid: str) -> None:
        if sha256(self.body).hexdigest() != oid:
            raise Refused(400)
        self.hub.large[oid] = self.body
        self.answer({})

    def do_commit(self, name: str, rev: str) -> None:
        self._must_be_known()
        repo = self.repo(name)
        files = dict(repo.files)
        for line in self.body.splitlines():
            given = json.loads(line)
            value = given["value"]
            if given["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif given["key"] == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
            elif given["key"] == "deletedFile":
                del files[value["path"]]
        sha = repo.commit(files)
        url = f"{self.hub.url}/datasets/{name}/commit/{sha}"
        self.answer({"success": True, "commitOid": sha, "commitUrl": url, "hookOutput": ""})


def _oid(content: bytes) -> str:
    return sha1(content, usedforsecurity=False).hexdigest()


@contextmanager
def serve() -> Iterator[Hub]:
    """A Hub on a free port of this machine."""
    hub = Hub()
    handler = type("HubHandler", (Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
