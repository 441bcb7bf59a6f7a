"""A connection that has switched to another protocol (RFC 9110 §7.8): bytes both ways, and what ends it.

The gateway understands nothing of what passes. It keeps to its own rules: a side that doesn't read stops the other from
sending, and a tunnel ends when either side leaves, when nothing passes for too long, when the caller's token expires or
is revoked, and when the process stops.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, Literal

from gateway.edge import Exchange
from gateway.headers import returned_headers
from gateway.record import Record
from gateway.sockets import TCP_CLOSE, tcp_state
from gateway.upstream import UpstreamResponse

CHECK_SECONDS: Final = 5.0  # between two looks at whether its caller may still be here
LOOK_SECONDS: Final = 0.5  # between two looks at whether a side that isn't read is gone
LINGER_SECONDS: Final = 1.0  # for what was still to be written when it ends

Ending = Literal["client", "upstream", "idle", "expired", "revoked", "shutdown"]


class Tunnel:
    """Two transports, joined. ``client`` and ``upstream`` are the protocols to be set on them, before ``open``."""

    def __init__(self, loop: asyncio.AbstractEventLoop, idle_seconds: float) -> None:
        self._loop = loop
        self._idle_seconds = idle_seconds
        self._will_look = False
        self.seen = loop.time()  # when anything passed last
        self.ended_by: Ending | None = None
        self.client = Half(self, "client")
        self.upstream = Half(self, "upstream")
        self.client.peer, self.upstream.peer = self.upstream, self.client
        self.closed: asyncio.Future[None] = loop.create_future()

    def open(self, client: asyncio.Transport, upstream: asyncio.Transport) -> None:
        """Let bytes pass: each transport has its protocol already."""
        self.client.transport, self.upstream.transport = client, upstream
        self._loop.call_later(self._idle_seconds, self._look_for_life)

    def end(self, ended_by: Ending) -> None:
        """Close both sides; the first reason counts. What has been written already gets a moment to leave.

        A client gets all that an upstream has said before it left, however slowly it reads; the edge drops it if it
        doesn't read at all.
        """
        if self.ended_by is not None:
            return
        self.ended_by = ended_by
        for half in (self.client, self.upstream):
            if not half.is_lost:
                half.transport.close()
                if ended_by != "upstream" or half is self.upstream:
                    self._loop.call_later(LINGER_SECONDS, half.transport.abort)

    def note_loss(self) -> None:
        if self.client.is_lost and self.upstream.is_lost and not self.closed.done():
            self.closed.set_result(None)

    def look_for_resets(self) -> None:
        """While a side isn't read, look now and then whether it has been reset: no event says so.

        One that has merely closed has a right that all it said be passed on; its end comes after that.
        """
        if not self._will_look:
            self._will_look = True
            self._loop.call_later(LOOK_SECONDS, self._look_for_resets)

    def _look_for_resets(self) -> None:
        self._will_look = False
        if self.ended_by is not None:
            return
        for half in (self.client, self.upstream):
            if half.is_paused:
                if tcp_state(half.transport) == TCP_CLOSE:
                    half.transport.abort()  # its loss ends the tunnel, like any other
                else:
                    self.look_for_resets()

    def _look_for_life(self) -> None:
        if self.ended_by is not None:
            return
        left = self.seen + self._idle_seconds - self._loop.time()
        if left <= 0:
            self.end("idle")
        else:
            self._loop.call_later(left, self._look_for_life)


class Half(asyncio.Protocol):
    """One side: what it receives, the other sends."""

    transport: asyncio.Transport
    peer: Half

    def __init__(self, tunnel: Tunnel, name: Literal["client", "upstream"]) -> None:
        self._tunnel = tunnel
        self._name: Literal["client", "upstream"] = name
        self._loop = asyncio.get_running_loop()
        self.received = 0  # bytes
        self.is_paused = False  # not read, while the peer doesn't take what it is sent
        self.is_lost = False
        self.when_lost: Callable[[Exception | None], None] | None = None

    def data_received(self, data: bytes) -> None:
        self._tunnel.seen = self._loop.time()
        self.received += len(data)
        self.peer.transport.write(data)

    def pause_writing(self) -> None:
        self.peer.is_paused = True
        self.peer.transport.pause_reading()
        self._tunnel.look_for_resets()

    def resume_writing(self) -> None:
        self._tunnel.seen = self._loop.time()  # it had stopped reading, and reads again
        self.peer.is_paused = False
        if not self.peer.is_lost:
            self.peer.transport.resume_reading()

    def eof_received(self) -> None:
        """Half of a tunnel is of no use: the rest is written, and both sides are closed."""

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        if self.when_lost is not None:
            self.when_lost(exc)
            self.when_lost = None
        self._tunnel.end(self._name)
        self._tunnel.note_loss()


async def relay_both_ways(
    response: UpstreamResponse,
    edge: Exchange,
    record: Record,
    idle_seconds: float,
    *,
    expires: float | None,
    may_stay: Callable[[], Awaitable[bool]],
) -> None:
    """Pass a 101 on and join client and upstream, until the tunnel ends.

    Args:
        expires: When the caller's token does, in seconds since the epoch; None without a token.
        may_stay: Whether the caller's session lives; asked every CHECK_SECONDS.
    """
    switched = response.switched
    assert switched is not None  # noqa: S101 - only a 101 comes here
    request_id = record.facts.request_id.encode()
    headers = returned_headers(response.headers, response.fields, request_id=request_id, limits=record.limit_headers)
    headers += [(b"connection", b"Upgrade"), (b"upgrade", b"websocket")]
    record.status, record.started = response.status, True
    tunnel = Tunnel(asyncio.get_running_loop(), idle_seconds)
    upstream, from_upstream = switched.hand_over(tunnel.upstream)
    tunnel.upstream.when_lost = lambda _: switched.tunnel_ended()
    client, from_client = edge.switch(headers, tunnel.client, lambda: tunnel.end("shutdown"))
    tunnel.client.when_lost = edge.connection_lost
    tunnel.open(client, upstream)
    upstream.resume_reading()  # before it is written to the client, who may not take it: that pauses it again
    client.write(from_upstream)
    upstream.write(from_client)
    try:
        await _hold(tunnel, expires, may_stay)
    finally:
        record.tunnel = {
            "ended_by": tunnel.ended_by,
            "bytes_from_client": tunnel.client.received + len(from_client),
            "bytes_from_upstream": tunnel.upstream.received + len(from_upstream),
        }


async def _hold(tunnel: Tunnel, expires: float | None, may_stay: Callable[[], Awaitable[bool]]) -> None:
    """Return when the tunnel has ended; end it when its caller may no longer be here."""
    try:
        while not tunnel.closed.done():
            await asyncio.wait([tunnel.closed], timeout=CHECK_SECONDS)
            if tunnel.closed.done() or expires is None:
                continue
            if time.time() >= expires:
                tunnel.end("expired")
            elif not await may_stay():
                tunnel.end("revoked")
    finally:
        tunnel.end("shutdown")  # cancelled: the process stops. Does nothing otherwise.
