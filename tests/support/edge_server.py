"""A real uvicorn server with the edge protocol in a thread, and a client that speaks in bytes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import uvicorn

from gateway.edge import EXTENSION, EdgeLimits, EdgeProtocol, Refusal, ResponseAborted

QUICK = EdgeLimits(
    head_seconds=0.3,
    body_grace_seconds=0.3,
    write_idle_seconds=0.4,
    linger_seconds=0.3,
    half_close_seconds=0.2,
    drain_seconds=0.2,
    tick_seconds=0.02,
)
"""Deadlines short enough for a test to wait for."""


LARGE_BYTES = 12_000_000
"""More than the kernel holds for one connection."""


@dataclass
class Seen:
    """What the application was given."""

    requests: list[dict[str, Any]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer with what was received; some paths misbehave on purpose."""
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        path = scope["path"]
        exchange = scope["extensions"][EXTENSION]
        exchange.when_client_leaves(lambda: self.left.append(path))
        seen = {
            "method": scope["method"],
            "path": path,
            "raw_path": scope["raw_path"].decode("latin-1"),
            "query": scope["query_string"].decode("latin-1"),
            "version": scope["http_version"],
            "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]],
        }
        self.requests.append(seen)
        if special := _SPECIAL.get(path):
            await special(receive, send)
            return
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            if not message["more_body"]:
                break
        answer = json.dumps(seen | {"body": body.decode("latin-1")}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


async def _early(_receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"no"})


async def _crash(_receive: Any, _send: Any) -> None:
    raise RuntimeError("on purpose")


async def _abort(_receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    await asyncio.sleep(0.05)
    raise ResponseAborted


async def _stream(_receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for part in (b"one,", b"two,", b"three"):
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body"})


async def _endless(_receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(4096):
        await send({"type": "http.response.body", "body": bytes(65536), "more_body": True})


async def _large(_receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": bytes(LARGE_BYTES)})


async def _drip(_receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for part in (b"one,", b"two,", b"three,", b"four,", b"five"):
        await asyncio.sleep(0.12)
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body"})


async def _stuck(receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    await _wait(receive, send)


async def _wait(receive: Any, _send: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _pause(receive: Any, send: Any) -> None:
    await asyncio.sleep(0.1)
    await _early(receive, send)


async def _unread(receive: Any, send: Any) -> None:
    await asyncio.sleep(1.5)
    await _early(receive, send)


async def _not_modified(_receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 304, "headers": [(b"content-length", b"1234")]})
    await send({"type": "http.response.body"})


async def _split(_receive: Any, send: Any) -> None:
    headers = [(b"x-note", b"a\r\nset-cookie: b=c")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


_SPECIAL = {
    "/early": _early,
    "/crash": _crash,
    "/abort": _abort,
    "/stream": _stream,
    "/endless": _endless,
    "/large": _large,
    "/drip": _drip,
    "/stuck": _stuck,
    "/wait": _wait,
    "/pause": _pause,
    "/unread": _unread,
    "/304": _not_modified,
    "/split": _split,
}


@dataclass
class EdgeServer:
    """The address of a running server and what it has recorded."""

    port: int
    seen: Seen
    refused: list[Refusal]
    server: uvicorn.Server

    def connect(self) -> Client:
        return Client(socket.create_connection(("127.0.0.1", self.port), timeout=5))


@contextlib.contextmanager
def edge_server(limits: EdgeLimits = QUICK, **config: Any) -> Iterator[EdgeServer]:
    """Serve the echo application with these limits until the block ends."""
    refused: list[Refusal] = []
    seen = Seen()

    class Protocol(EdgeProtocol):
        pass

    Protocol.limits = limits
    Protocol.on_refused = refused.append
    listener = socket.create_server(("127.0.0.1", 0))
    options: dict[str, Any] = {
        "http": Protocol,
        "ws": "none",
        "interface": "asgi3",
        "proxy_headers": False,
        "access_log": False,
        "log_config": None,
        "server_header": False,
        "timeout_graceful_shutdown": 2,
    }
    server = uvicorn.Server(uvicorn.Config(seen.app, **(options | config)))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.005)
    try:
        yield EdgeServer(listener.getsockname()[1], seen, refused, server)
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
        assert not thread.is_alive()


def get(path: str, *lines: str, method: str = "GET", version: str = "1.1") -> bytes:
    """A request's head, with these fields."""
    return "\r\n".join((f"{method} {path} HTTP/{version}", "Host: a", *lines, "", "")).encode()


@dataclass
class Response:
    """One response as it came."""

    status: int
    headers: dict[str, str]
    body: bytes
    fields: list[tuple[str, str]] = field(default_factory=list)  # the headers one by one, in order

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """A client connection that sends exactly what it is told."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.received = b""
        self.has_ended = False  # as far as `peek` has seen

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        with contextlib.suppress(ConnectionError):  # refused in the middle of sending: the answer tells
            self.socket.sendall(data)

    def response(self, *, to_head: bool = False) -> Response:
        """Read one response; a 100 Continue is one too."""
        while b"\r\n\r\n" not in self.received:
            self._more()
        head, _, self.received = self.received.partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        status = int(line.split(" ")[1])
        pairs = [(name.lower(), value.strip()) for name, _, value in (item.partition(":") for item in fields)]
        headers = dict(pairs)
        if to_head or status in {100, 101, 204, 304}:
            body = b""
        elif "content-length" in headers:
            body = self._take(int(headers["content-length"]))
        elif headers.get("transfer-encoding") == "chunked":
            body = b"".join(iter(self._chunk, b""))
        else:
            body = self.rest()
        return Response(status, headers, body, pairs)

    def peek(self) -> bytes:
        """What has come so far and was not read yet."""
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            data = self.socket.recv(65536)
            self.received += data
            self.has_ended = not data
        self.socket.settimeout(10)
        return self.received

    def rest(self) -> bytes:
        """Everything until the server closes; a reset raises ConnectionResetError."""
        while data := self.socket.recv(65536):
            self.received += data
        rest, self.received = self.received, b""
        return rest

    def is_closed(self) -> bool:
        """Tell whether the server has ended the connection without sending anything more."""
        try:
            return not self.received and self.socket.recv(1) == b""
        except TimeoutError:
            return False

    def _chunk(self) -> bytes:
        while b"\r\n" not in self.received:
            self._more()
        size, _, self.received = self.received.partition(b"\r\n")
        data = self._take(int(size, 16))
        assert self._take(2) == b"\r\n"
        return data

    def _take(self, count: int) -> bytes:
        while len(self.received) < count:
            self._more()
        data, self.received = self.received[:count], self.received[count:]
        return data

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError(f"closed after {self.received!r}")
        self.received += data
