"""A web server on this machine that serves a folder, and fails where a test plans it."""

import contextlib
import re
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import numpy as np
import pytest

from ecglib.run import download

BIG = 2_500_000  # bytes
RANGE = re.compile(r"bytes=(\d+)-")
INDEX = ".index"  # the file that answers the address of its folder


class FakeServer(ThreadingHTTPServer):
    """Serves `folder` at `url`, with ranges and connections that are kept open.

    `faults[path]` lists what happens to the next requests of a path, one entry each; `always[path]`
    is for all later ones:
        ("drop", n)      the connection ends after n bytes of the body
        ("status", code) that status, with the header Retry-After: 0
        ("truncate", n)  the first n bytes, announced as the whole file
        ("corrupt", n)   byte n of the file is another
        ("whole",)       all of the file, whatever range was asked for
        ("slow", s)      s seconds of pause after each 64 kB
    `requests` notes path, Range, the client's port and the status answered.
    """

    daemon_threads = True

    def __init__(self, folder: Path):
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.requests = folder, []
        self.faults: dict[str, list[tuple]] = defaultdict(list)
        self.always: dict[str, tuple] = {}
        self.url = f"http://127.0.0.1:{self.server_address[1]}/"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is no error here."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = unquote(self.path.lstrip("/"))
        planned = self.server.faults[path]
        fault = planned.pop(0) if planned else self.server.always.get(path, ("none",))
        self.kind, self.number = fault[0], fault[-1]
        file = self.server.folder / path
        file = file / INDEX if file.is_dir() else file
        if self.kind == "status" or not file.is_file():
            return self.answer(path, self.number if self.kind == "status" else 404, b"")
        body = file.read_bytes()
        body = body[: self.number] if self.kind == "truncate" else body
        if self.kind == "corrupt":
            body = bytes(byte ^ (i == self.number) for i, byte in enumerate(body))
        match = RANGE.fullmatch(self.headers.get("Range", ""))
        start = int(match[1]) if match and self.kind != "whole" else 0
        if start and start >= len(body):
            return self.answer(path, 416, b"")
        self.answer(path, 206 if start else 200, body[start:], start, len(body))

    def answer(self, path: str, code: int, body: bytes, start: int = 0, whole: int = 0) -> None:
        self.server.requests.append((path, self.headers.get("Range"), self.client_address[1], code))
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        if code == 206:
            self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        if code >= 500:
            self.send_header("Retry-After", "0")
        self.end_headers()
        if self.kind == "drop":
            self.wfile.write(body[: self.number])
            self.close_connection = True
            return
        for place in range(0, len(body), 1 << 16):
            self.wfile.write(body[place : place + (1 << 16)])
            time.sleep(self.number if self.kind == "slow" else 0)

    def log_message(self, *arguments: object) -> None:
        """Be quiet."""


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[FakeServer]:
    """A server of `folder` (made where it is missing), running in a thread."""
    folder.mkdir(exist_ok=True)
    server = FakeServer(folder)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def publish(server: FakeServer, name: str, size: int, seed: int = 0) -> str:
    """Put random bytes on the server; returns their checksum."""
    content = np.random.default_rng([seed, size]).bytes(size)
    path = server.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return f"sha256:{sha256(content).hexdigest()}"


def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once, and let no proxy stand between this machine and itself."""
    monkeypatch.setattr(download, "BACKOFF", 0.0)
    monkeypatch.setattr("pooch.core.time", SimpleNamespace(sleep=lambda seconds: None))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("ECGLIB_RELEASES", raising=False)
