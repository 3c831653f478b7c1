"""A hub on this machine: the part of the Hugging Face hub's API that a download needs, serving a folder."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlparse

import pytest

COMMIT = "c0ffee" * 6 + "c0ff"


@dataclass
class Hub:
    """What is served, and what was asked for.

    Attributes:
        repos: folders by `owner/name`. token: that every request must bring; "" = none.
        sent: bytes of each file that went out. cut: a file's answer ends after so many bytes, once.
        pause: called before each block of a file goes out.
    """

    repos: dict[str, Path]
    token: str = ""
    sent: dict[str, int] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    pause: Callable[[str], None] = lambda _: None
    url: str = ""

    def siblings(self, repo: str) -> list[dict[str, Any]]:
        folder = self.repos[repo]
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return [
            {"rfilename": str(path.relative_to(folder)), "size": path.stat().st_size, "blobId": etag(path)}
            for path in files
        ]


def etag(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def use(hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have huggingface_hub ask this one, and keep what it gets in `cache`."""
    from huggingface_hub import constants

    for name, value in {"ENDPOINT": hub.url, "HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": False}.items():
        monkeypatch.setattr(constants, name, value)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}")


class _Handler(BaseHTTPRequestHandler):
    """What the hub answers."""

    hub: ClassVar[Hub]
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        if self.hub.token and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            return self._say(401, b"{}", body, {"X-Error-Code": "GatedRepo"})
        parts = urlparse(self.path).path.strip("/").split("/")
        if parts[:2] == ["api", "models"] and "/".join(parts[2:4]) in self.hub.repos:
            repo = "/".join(parts[2:4])
            facts = {"id": repo, "modelId": repo, "sha": COMMIT, "siblings": self.hub.siblings(repo), "tags": []}
            return self._say(200, json.dumps(facts).encode(), body, {"Content-Type": "application/json"})
        file = self.hub.repos.get("/".join(parts[:2]), Path("/nowhere")).joinpath(*parts[4:])
        if parts[2:3] == ["resolve"] and file.is_file():
            return self._file(file, "/".join(parts[4:]), body=body)
        self._say(404, b"{}", body, {"X-Error-Code": "RepoNotFound"})

    def _say(self, status: int, content: bytes, body: bool, headers: dict[str, str]) -> None:
        self.send_response(status)
        known = {"X-Repo-Commit": COMMIT, "Content-Length": str(len(content)), "Connection": "close"}
        for name, value in {**known, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def _file(self, file: Path, name: str, *, body: bool) -> None:
        content, start = file.read_bytes(), 0
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes="):
            start = int(asked[6:].split("-")[0])
        headers = {"ETag": f'"{etag(file)}"', "Accept-Ranges": "bytes"}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._say(206 if start else 200, content[start:], False, headers)
        if body:
            self._send(content[start:], name)

    def _send(self, content: bytes, name: str) -> None:
        end = self.hub.cut.pop(name, len(content))
        for at in range(0, end, 1 << 14):
            self.hub.pause(name)
            block = content[at : min(end, at + (1 << 14))]
            self.hub.sent[name] = self.hub.sent.get(name, 0) + len(block)  # before whoever has the last of it may look
            self.wfile.write(block)
        if end < len(content):
            self.close_connection = True
