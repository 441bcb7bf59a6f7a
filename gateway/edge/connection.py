"""One client connection: its life, its deadlines, and what ends it.

What arrives on it is read in `protocol`; the request under way lives in `exchange`.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import struct
import termios
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from gateway.edge.body import Body
from gateway.edge.deadlines import EdgeLimits, Sweeper
from gateway.edge.errors import Refused
from gateway.edge.exchange import Exchange
from gateway.edge.refusal import Refusal, chosen_request_id, describe, refusals, render
from gateway.sockets import TCP_CLOSE, TCP_CLOSE_WAIT, Stall, tcp_state, unsent_bytes

if TYPE_CHECKING:
    from uvicorn._types import ASGIVersions

_sweepers: WeakKeyDictionary[ServerState, Sweeper] = WeakKeyDictionary()

_HEAD_TOO_SLOW = Refused(408, "head_timeout", "The request's head didn't arrive in time.")
_BODY_TOO_SLOW = Refused(408, "body_timeout", "The request's body arrives too slowly.")


def _ignore(_refusal: Refusal) -> None:
    """Stand in until someone wants to know."""


class EdgeConnection(HttpToolsProtocol, ABC):
    """A connection without a reader; uvicorn's base class keeps it known to the server."""

    limits: ClassVar[EdgeLimits] = EdgeLimits()
    on_refused: ClassVar[Callable[[Refusal], None]] = _ignore

    transport: asyncio.Transport

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._pending = bytearray()  # received, but not yet part of a message
        self._accepted = 0  # how much of it has passed check_partial
        self._exchange: Exchange | None = None  # until its response is sent and its body has arrived
        self._body: Body | None = None  # while it arrives
        self._asgi: ASGIVersions = {"version": self.asgi_version, "spec_version": "2.3"}  # the same for every request
        self._raw_root_path = self.root_path.encode("ascii")
        # What the sweep looks at
        self._since = 0.0  # of the connection, of the last response, or of the first byte of a head
        self._is_new = True  # no request yet: its head must come at once
        self._body_seconds = 0.0
        self._body_bytes = 0
        self._stall: Stall | None = None  # while the client could take more of what it was sent
        self._ends_at: float | None = None  # answered for good: what comes is thrown away
        self._has_eof = False
        self._draining = False
        self._when_stopping: Callable[[], None] | None = None  # of a connection that was handed over

    # Connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._since = self.loop.time()
        sweeper = _sweepers.get(self.server_state)
        if sweeper is None:
            sweeper = _sweepers[self.server_state] = Sweeper(self.loop, self.limits.tick_seconds)
        sweeper.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections.discard(self)
        _sweepers[self.server_state].discard(self)
        if self._exchange is not None:
            self._exchange.leave()
        self.flow.resume_writing()  # frees a sender that waits for room
        self.parser = None  # type: ignore[assignment]  # as in uvicorn: llhttp's parser refers back to us

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn's returns None
        """The client has closed its side: gone, or only done sending. Returns whether to keep ours open for now."""
        exchange = self._exchange
        if exchange is None or exchange.response_complete or self._body is not None or self.scheme == "https":
            return False
        self._has_eof = True
        self.loop.call_later(self.limits.half_close_seconds, self._look_if_gone, exchange, exchange.pieces)
        return True

    def _look_if_gone(self, before: Exchange, pieces_before: int) -> None:
        """Give up a client that has closed its side and gets nothing: only sending shows whether it is still there."""
        exchange = self._exchange
        if exchange is None or exchange.response_complete or self.transport.is_closing():
            return  # all that is left to do is to write
        if exchange is before and exchange.pieces == pieces_before and not self.transport.get_write_buffer_size():
            exchange.give_up()
        else:
            self.loop.call_later(self.limits.half_close_seconds, self._look_if_gone, exchange, exchange.pieces)

    def shutdown(self) -> None:
        """Called by the server when it stops: an idle connection gets a moment for a request that is on its way."""
        self._draining = True
        if self._when_stopping is not None:
            self._when_stopping()
        elif self._exchange is not None and not self._exchange.response_complete:
            self._exchange.keep_alive = False
        else:
            self._since = self.loop.time()

    def hand_over(self, protocol: asyncio.Protocol, when_stopping: Callable[[], None]) -> bytes:
        """Leave the transport to another protocol; returns what was received and not read.

        Of the deadlines, the one for a client that doesn't take what it is sent stays in force.
        """
        self._when_stopping = when_stopping
        received = bytes(self._pending)
        self._pending.clear()
        self.flow.resume_reading()
        self.transport.set_protocol(protocol)
        return received

    @abstractmethod
    def read_pending(self) -> None:
        """Go on with the bytes that waited for the response before them."""

    # Answering

    def can_outlive(self, exchange: Exchange) -> bool:
        """Tell whether the connection can serve another request after `exchange`, which is about to be answered.

        Not if a client still waits to be told to go on, or would send much that nobody reads.
        """
        return self._body is None or (not exchange.waiting_for_continue and self._body.at_most(HIGH_WATER_LIMIT))

    def response_done(self, exchange: Exchange) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if not exchange.keep_alive:
            if self._body is None and not self._pending:
                self.transport.close()
            else:
                self._linger()
        elif self._body is not None:
            self._since = self.loop.time()  # what is left of the body is read and thrown away
            self.flow.resume_reading()
        else:
            self._next()

    def _next(self) -> None:
        self._exchange = None
        self._since = self.loop.time()
        self.flow.resume_reading()
        if self._pending:
            self.read_pending()
        elif self._has_eof:
            self.transport.close()

    def refuse(self, refused: Refused, head: bytes) -> None:
        """Answer a head that never became a request, and end the connection."""
        refusal = describe(refused, head, self._client_address())
        self._record(refusal)
        if not self.transport.is_closing():
            self.transport.write(render(refusal, refused.detail, self.server_state.default_headers))
            self._linger()

    def refuse_exchange(self, refused: Refused, exchange: Exchange) -> None:
        """Answer in the application's place and end the connection; break it off if the application has begun."""
        scope = exchange.scope
        refusal = exchange.refusal = Refusal(
            client=self._client_address(),
            status=refused.status,
            reason=refused.reason,
            method=scope["method"],
            path=scope["raw_path"].decode("ascii"),
            request_id=exchange.request_id or chosen_request_id(scope["headers"]),
            reached_application=exchange.is_running,
        )
        self._record(refusal)
        self._exchange = self._body = None
        if exchange.response_started:
            self.break_off(reset=True)
        elif not self.transport.is_closing():
            self.transport.write(render(refusal, refused.detail, self.server_state.default_headers))
            self._linger()
        exchange.leave()

    def _record(self, refusal: Refusal) -> None:
        refusals[refusal.status, refusal.reason] += 1
        type(self).on_refused(refusal)

    def _client_address(self) -> str:
        return self.client[0] if self.client else ""

    def break_off(self, *, reset: bool) -> None:
        """End the connection in the middle of a response; with `reset` so that it can't be taken for its end."""
        if reset:
            connection: socket.socket | None = self.transport.get_extra_info("socket")
            if connection is not None:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()
        else:
            self.transport.close()

    def _linger(self) -> None:
        """Close our side, but let the client finish: closing on unread bytes would reset it before it has read."""
        self._ends_at = self.loop.time() + self.limits.linger_seconds
        self._body = None
        self._pending.clear()
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    # Deadlines

    def pause_writing(self) -> None:
        self._stall = None
        super().pause_writing()

    def sweep(self, now: float, elapsed: float) -> None:
        """Called about twice a second: end what has taken too long."""
        limits = self.limits
        exchange = self._exchange
        if self._ends_at is not None:
            self._sweep_ended(now, self._ends_at)
        elif self._writes_stall(now) or (self.flow.read_paused and self._has_left_unread()):
            self.transport.abort()
        elif self.transport.is_closing():
            pass  # only what is still to be written keeps it open
        elif self._body is not None and exchange is not None:
            if not self.flow.read_paused and not exchange.waiting_for_continue:
                self._body_seconds += elapsed
                allowed = limits.body_bytes_per_second * self._body_seconds
                is_too_slow = self._body_seconds > limits.body_grace_seconds and self._body_bytes < allowed
                if exchange.response_complete and (is_too_slow or self._draining):
                    self._linger()
                elif is_too_slow:
                    self.refuse_exchange(_BODY_TOO_SLOW, exchange)
        elif exchange is None:
            self._sweep_waiting(now - self._since)

    def _sweep_ended(self, now: float, ends_at: float) -> None:
        """Answered for good. A client may take as long to read that as any other; then it has a moment to stop sending.

        What the kernel still holds counts: closing on unread bytes would throw it away.
        """
        if unsent_bytes(self.transport):
            self._ends_at = now + self.limits.linger_seconds
            if self._is_stalled(now):
                self.transport.abort()
        elif now > ends_at:
            self.transport.abort()

    def _sweep_waiting(self, waited: float) -> None:
        """No request is under way: a head is arriving, or the connection is idle."""
        if self._draining and waited > self.limits.drain_seconds:
            self.transport.close()
        elif self._pending and self._pending != b"\r\n":
            if waited > self.limits.head_seconds:
                self.refuse(_HEAD_TOO_SLOW, bytes(self._pending))
        elif waited > (self.limits.head_seconds if self._is_new else self.timeout_keep_alive):
            self.transport.close()

    def _has_left_unread(self) -> bool:
        """Tell whether the client is gone while we don't read, so that no event says so; only Linux knows.

        Its having closed only its own side counts when nothing but further requests can be unread, or when what is
        unread can't complete the body.
        """
        state = tcp_state(self.transport)
        if state != TCP_CLOSE_WAIT:
            return state == TCP_CLOSE
        descriptor = self.transport.get_extra_info("socket").fileno()
        return self._body is None or not self._body.can_end_with(*_unread(descriptor))

    def _writes_stall(self, now: float) -> bool:
        """Tell whether the client has taken nothing for too long of what it has been sent.

        Judged only while nothing is added: the sender waits for room, or has finished.
        """
        exchange = self._exchange
        is_added_to = not (self.flow.write_paused or exchange is None or exchange.response_complete)
        if is_added_to or not self.transport.get_write_buffer_size():
            self._stall = None
            return False
        return self._is_stalled(now)

    def _is_stalled(self, now: float) -> bool:
        if self._stall is None:
            self._stall = Stall(self.transport, now)
        return self._stall.seconds(now) > self.limits.write_idle_seconds


def _unread(descriptor: int) -> tuple[int, bytes]:
    """How many bytes the kernel holds for a socket that no more will come to, and the last four of them."""
    count: int = struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)))[0]
    with socket.socket(fileno=os.dup(descriptor)) as twin:  # the loop's own object doesn't offer recv
        return count, twin.recv(count, socket.MSG_PEEK)[-4:] if count else b""
