"""An HTTP/1.1 upstream on a real socket that answers in scripted bytes, and the service under test in front of it."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from gateway.upstream import BreakerPolicy, Deadlines, UpstreamPolicy, UpstreamResponse, UpstreamService, prepare

QUICK = UpstreamPolicy(
    deadlines=Deadlines(connect_seconds=0.3, first_byte_seconds=0.3, idle_seconds=0.3, total_seconds=5),
    breaker=BreakerPolicy(failures=1000, open_seconds=0.1, open_seconds_max=0.2),
    retries=0,
)
"""Deadlines short enough for a test to wait for; no retries and no ejection unless the test is about them."""


@dataclass
class Received:
    """A request as the upstream read it."""

    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    connection: int  # which one, counted from 1
    is_complete: bool = False  # its body has arrived whole

    def header(self, name: bytes) -> bytes | None:
        values = [value for each, value in self.headers if each == name]
        assert len(values) < 2, "sent twice"
        return values[0] if values else None


class Peer:
    """One connection, for a script that wants to write for itself."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, *pieces: bytes) -> None:
        """Write the pieces so that they arrive apart."""
        for index, piece in enumerate(pieces):
            if index:
                await asyncio.sleep(0.01)
            self.writer.write(piece)
            await self.writer.drain()

    def reset(self) -> None:
        """Go away as a killed process does."""
        raw: socket.socket = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def gone(self) -> None:
        """Wait until the other side has closed."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass


Script = Callable[[Peer, Received], Awaitable[bool]]
"""Answers one request; returns whether the connection goes on."""


def says(*pieces: bytes, then: str = "keep") -> Script:
    """A script that writes bytes, and then: keep, close, reset, or hold the connection open in silence."""

    async def script(peer: Peer, _request: Received) -> bool:
        await peer.say(*pieces)
        if then == "reset":
            peer.reset()
        elif then == "hold":
            await peer.gone()
        return then == "keep"

    return script


async def echo(peer: Peer, request: Received) -> bool:
    """Answer with what was asked for, so that a mixed-up answer shows."""
    body = b"%b %b %b" % (request.method, request.target, request.body)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    await peer.say(answer if request.method != b"HEAD" else answer.removesuffix(body))
    return True


@dataclass
class Upstream:
    """A server whose paths are scripts; every other path echoes."""

    scripts: dict[bytes, Script] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    open: set[asyncio.StreamWriter] = field(default_factory=set)
    port: int = 0
    leaves_body: set[bytes] = field(default_factory=set)  # paths whose scripts read the body themselves, or don't
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the listener and every connection."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def targets(self) -> list[bytes]:
        return [each.target for each in self.received]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open.add(writer)
        try:
            await self._serve(Peer(reader, writer), self.connections)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open.discard(writer)
            self._tasks.discard(task)
            writer.transport.abort() if writer.transport.is_closing() else writer.close()

    async def _serve(self, peer: Peer, connection: int) -> None:
        goes_on = True
        while goes_on:
            head = await peer.reader.readuntil(b"\r\n\r\n")
            line, *lines = head[:-4].split(b"\r\n")
            method, target, _ = line.split(b" ")
            pairs = [each.split(b": ", 1) for each in lines]
            request = Received(method, target, [(name, value) for name, value in pairs], b"", connection)
            self.received.append(request)
            path = target.partition(b"?")[0]
            script = self.scripts.get(path, echo)
            if not target.startswith(b"/unread") and path not in self.leaves_body:
                request.body = await _read_body(peer.reader, request)
                request.is_complete = True
            goes_on = await script(peer, request)


async def _read_body(reader: asyncio.StreamReader, request: Received) -> bytes:
    length = request.header(b"content-length")
    if length is not None:
        return await reader.readexactly(int(length))
    if request.header(b"transfer-encoding") != b"chunked":
        return b""
    body = b""
    while size := int((await reader.readuntil(b"\r\n"))[:-2], 16):
        body += await reader.readexactly(size)
        assert await reader.readexactly(2) == b"\r\n"
    assert await reader.readexactly(2) == b"\r\n"
    return body


@asynccontextmanager
async def serving(
    scripts: dict[bytes, Script] | None = None, policy: UpstreamPolicy = QUICK, **changes: object
) -> AsyncIterator[tuple[Upstream, UpstreamService]]:
    """One upstream and the service in front of it; afterwards no slot may be missing."""
    upstream = Upstream(scripts or {})
    await upstream.start()
    service = UpstreamService("students", [upstream.url], replace(policy, **changes))  # type: ignore[arg-type]  # its own
    try:
        yield upstream, service
        (replica,) = service.snapshot()
        assert (replica.outstanding, service.waiting) == (0, 0), "a slot was lost"
    finally:
        await service.aclose()
        await upstream.stop()


async def read_all(response: UpstreamResponse) -> bytes:
    body = b""
    while chunk := await response.read_chunk():
        body += chunk
    return body


async def ask(service: UpstreamService, target: bytes, method: bytes = b"GET", body: bytes | None = None) -> bytes:
    """Return an answer's whole body."""
    return await read_all(await service.send(prepare(method, target, [], body)))


async def check_pool(service: UpstreamService) -> None:
    """Whatever happened before, the next requests get their own answers, and one connection serves them all."""
    answers = [await ask(service, b"/check/%d" % number) for number in range(3)]
    assert answers == [b"GET /check/%d " % number for number in range(3)]
    (replica,) = service.snapshot()
    assert replica.outstanding == 0
