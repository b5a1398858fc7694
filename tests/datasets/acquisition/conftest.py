"""A web server on a real socket, whose answers a test writes down beforehand."""

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest


@dataclass
class Answer:
    """Answer to one request; the default is a good server's."""

    status: int | None = None  # instead of 200 or 206
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None  # close the connection after so many bytes of the body
    ignore_range: bool = False
    ignore_if_range: bool = False
    announce_length: bool = True
    hang: bool = False  # after `cut_after`, say nothing until the server stops


@dataclass
class Resource:
    """A file that is served: its versions follow by assignment to ``data`` and ``etag``."""

    data: bytes
    etag: str | None = '"one"'
    modified: str | None = None
    answers: list[Answer] = field(default_factory=list)  # used up one per request, then good ones
    requests: list[dict[str, str]] = field(default_factory=list)
    sent: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that goes away in the middle is what these tests are about."""


class Server:
    """Files by path; ``url`` is where they are."""

    def __init__(self) -> None:
        self.files: dict[str, Resource] = {}
        self._http = _Listener(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def add(self, name: str, data: bytes, **more: Any) -> Resource:
        self.files[f"/{name}"] = Resource(data, **more)
        return self.files[f"/{name}"]

    def url(self, name: str = "") -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/{name}"

    def stop(self) -> None:
        for resource in self.files.values():
            resource.stopped.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        files = self.files

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                resource = files.get(self.path)
                if resource is None:
                    self.send_error(404)
                    return
                resource.requests.append(dict(self.headers))
                _answer(self, resource)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


def _answer(handler: BaseHTTPRequestHandler, resource: Resource) -> None:
    answer = resource.answers.pop(0) if resource.answers else Answer()
    handler.close_connection = True
    total = len(resource.data)
    start = 0
    asked = handler.headers.get("Range")
    same = handler.headers.get("If-Range") in {resource.etag, resource.modified}
    if asked and not answer.ignore_range and (same or answer.ignore_if_range):
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
    if start >= total and start:
        handler.send_response(416)
        handler.send_header("Content-Range", f"bytes */{total}")
        handler.end_headers()
        return
    handler.send_response(answer.status or (206 if start else 200))
    body = b"" if answer.status else resource.data[start:]
    if start and not answer.status:
        handler.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
    if resource.etag is not None:
        handler.send_header("ETag", resource.etag)
    if resource.modified is not None:
        handler.send_header("Last-Modified", resource.modified)
    if answer.announce_length:
        handler.send_header("Content-Length", str(len(body)))
    for name, value in answer.headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    body = body[: answer.cut_after]
    # Before the client has it all, and looks.
    resource.sent += len(body)
    handler.wfile.write(body)
    if answer.hang:
        handler.wfile.flush()
        resource.stopped.wait(60)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = Server()
    yield running
    running.stop()


@pytest.fixture
def leave_free(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the bytes that are free on every disk."""

    def leave(free: int) -> None:
        usage = SimpleNamespace(total=2 * free, used=free, free=free)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    return leave
