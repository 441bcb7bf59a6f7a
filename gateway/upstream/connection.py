"""One HTTP/1.1 connection to an upstream: one request at a time, and never a byte of one answer in another."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Callable
from typing import Final, Protocol

from gateway.sockets import Stall, received_before_reset
from gateway.upstream.answer import Answer
from gateway.upstream.errors import BadUpstreamResponse, Phase, RequestBodyTooSlow, UpstreamClosed, UpstreamTimeout
from gateway.upstream.policy import Deadlines
from gateway.upstream.response import UpstreamResponse

HIGH_WATER_BYTES: Final = 128 * 1024  # of a body that waits to be read; then we stop reading
WHOLE_BODY_BYTES: Final = 64 * 1024  # up to this length a body is waited for, a moment, to be handed over whole
HOLD_SECONDS: Final = 0.002  # that moment: many servers write head and body apart
LOOKS: Final = 8  # within the idle deadline: whether an upstream that lets us wait takes anything at all


class StaleConnection(UpstreamClosed):
    """A kept-alive connection turned out to be closed: it ended before the first byte of an answer."""


class Owner(Protocol):
    """Who keeps the connection. Of each exchange it is told once how it ended: done, failed or abandoned."""

    name: str

    def opened(self, connection: Connection) -> None: ...
    def lost(self, connection: Connection) -> None: ...
    def done(self, connection: Connection, *, reusable: bool) -> None: ...
    def failed(self, connection: Connection, error: BaseException) -> None: ...
    def abandoned(self, connection: Connection) -> None: ...


class Connection(Answer, asyncio.Protocol):
    """Idle, or busy with one exchange. `expire` is to be called when the clock has passed `deadline`."""

    __slots__ = (
        "_clock",
        "_deadlines",
        "_drained",
        "_hold",
        "_loop",
        "_owner",
        "_read_paused",
        "_response",
        "_served",
        "_stall",
        "_started",
        "_total_at",
        "_upload",
        "_waiter",
        "busy",
        "connect_seconds",
        "deadline",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(
        self, owner: Owner, loop: asyncio.AbstractEventLoop, deadlines: Deadlines, clock: Callable[[], float]
    ) -> None:
        super().__init__()
        self._owner = owner
        self._loop = loop
        self._deadlines = deadlines
        self._clock = clock
        self._served = 0  # exchanges, before this one
        self.busy = False
        self.deadline = clock() + deadlines.connect_seconds
        self.connect_seconds = 0.0  # what it cost this exchange
        # Of the exchange under way
        self._waiter: asyncio.Future[UpstreamResponse] | None = None  # for the answer, until it is handed over
        self._response: UpstreamResponse | None = None  # from then on, while its body arrives
        self._upload: asyncio.Task[None] | None = None
        self._drained: asyncio.Future[None] | None = None  # while the upstream doesn't take what we write
        self._hold: asyncio.TimerHandle | None = None
        self._read_paused = False
        self._stall: Stall | None = None  # as long as `_drained`
        self._started = 0.0
        self._total_at = 0.0

    # Requests

    def begin(
        self, data: bytes, *, is_head_request: bool, started: float, total_at: float, may_switch: bool = False
    ) -> asyncio.Future[UpstreamResponse]:
        """Send `data` (a head, and its body if it is known); the future is the answer, or why there is none."""
        self.busy = True
        self.may_switch = may_switch
        self.is_head_request = is_head_request
        self._started = started
        self._total_at = total_at
        self.deadline = min(started + self._deadlines.first_byte_seconds, total_at)
        self._waiter = waiter = self._loop.create_future()
        self.transport.write(data)
        return waiter

    def upload(self, task: asyncio.Task[None]) -> None:
        """Let `task` write the rest of the request by `write` and `drained`; its failure is the exchange's."""
        self._upload = task
        self.deadline = self._total_at
        task.add_done_callback(self._upload_ended)

    def write(self, data: bytes) -> None:
        self.transport.write(data)
        self._move()

    async def drained(self) -> None:
        if self._drained is not None:
            await self._drained

    def withdraw(self, waiter: asyncio.Future[UpstreamResponse]) -> None:
        """End the exchange that `waiter` stands for, since nobody waits any more; a later one is left alone."""
        if self._waiter is waiter:
            self.abandon()
        elif waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            waiter.result().abort()

    def hand_over(self, protocol: asyncio.Protocol) -> tuple[asyncio.Transport, bytes]:
        """After a 101: leave the transport, which is paused, to `protocol`; and what came behind the answer's head.

        The exchange, and with it a place among the replica's connections, lasts until `tunnel_ended`.
        """
        self.deadline = math.inf
        self.transport.set_protocol(protocol)
        return self.transport, self.rest

    def tunnel_ended(self) -> None:
        if self.busy:
            self._end_exchange()
            self._owner.done(self, reusable=False)

    def abandon(self) -> None:
        """The client left: close at once."""
        if self.busy:
            self._end_exchange()
            self.transport.abort()
            self._owner.abandoned(self)

    def expire(self, now: float) -> None:
        """`deadline` has passed: of the exchange, or of a connection that nobody has used for too long."""
        if not self.busy:
            self.transport.abort()
            self._owner.lost(self)
            return
        if now < self._total_at and self._is_taking(now):
            return
        if self._upload is not None and self._drained is None and not self.head_done:
            self._fail(RequestBodyTooSlow("The request's body didn't come in time."))
            return
        phase: Phase = "total" if now >= self._total_at else "idle"
        if not self.head_done:
            phase = "first_byte" if self._drained is None else "send"
        self._fail(UpstreamTimeout(phase, replica=self._owner.name))

    def close(self) -> None:
        """End it, whatever it is doing."""
        if self.busy:
            self._fail(UpstreamClosed("The gateway has closed the connection.", replica=self._owner.name))
        else:
            self.transport.abort()
            self._owner.lost(self)

    # Flow

    def resume(self) -> None:
        """The reader has taken what there was."""
        if self._read_paused:
            self._read_paused = False
            self.deadline = self._soon(self._deadlines.idle_seconds)
            self.transport.resume_reading()

    def pause_writing(self) -> None:
        self._drained = self._loop.create_future()
        self._stall = Stall(self.transport, self._clock())
        if self.busy and not self.head_done:
            self.deadline = self._soon(self._deadlines.idle_seconds / LOOKS)

    def _is_taking(self, now: float) -> bool:
        """Tell whether the upstream takes an upload, if too slowly for the transport to ask for more."""
        if self._stall is None:
            return False
        left = self._deadlines.idle_seconds - self._stall.seconds(now)
        self.deadline = self._soon(min(left, self._deadlines.idle_seconds / LOOKS))
        return left > 0

    def resume_writing(self) -> None:
        drained, self._drained, self._stall = self._drained, None, None
        if drained is not None and not drained.done():
            drained.set_result(None)
        if self.busy and not self.head_done:
            self.deadline = self._total_at if self._upload else self._soon(self._deadlines.first_byte_seconds)
        self._move()

    def _move(self) -> None:
        """An upload goes on behind an answer that has begun: bytes in either direction keep the exchange alive."""
        if self.busy and self.head_done and not self._read_paused:
            self.deadline = self._soon(self._deadlines.idle_seconds)

    def _upload_ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if self._upload is not task:
            return  # its exchange has ended before it
        self._upload = None
        if error is not None or task.cancelled():
            self._fail(error or UpstreamClosed("The upload was cancelled.", replica=self._owner.name))
        elif not self.head_done and self._drained is None:
            self.deadline = self._soon(self._deadlines.first_byte_seconds)

    def _soon(self, seconds: float) -> float:
        return min(self._clock() + seconds, self._total_at)

    # asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # uvloop's transports aren't subclasses of asyncio's
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._owner.opened(self)

    def data_received(self, data: bytes) -> None:
        if not self.busy:  # nobody has asked for anything
            self.transport.abort()
            self._owner.lost(self)
            return
        self.feed(data)
        if self.is_complete:
            if self.status == 101:
                self._switch()
            else:
                self._finish()
        elif self.fault is not None:
            self._fail(BadUpstreamResponse(self.fault, replica=self._owner.name))
        elif self.head_done:
            self._progress(len(data))

    def eof_received(self) -> None:
        if not self.busy:
            self._owner.lost(self)
        elif self.until_eof:
            self._finish()
        else:
            self._closed()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        if exc is not None:  # who refuses an upload (413, 401) and closes on it has answered before a write fails of it
            self._read_on()
        if self.busy:
            self._closed()
        self._owner.lost(self)
        self._parser = None  # it refers back to us

    def _read_on(self) -> None:
        for data in received_before_reset(self.transport):
            if self.busy:
                self.data_received(data)

    # Answers

    def _progress(self, size: int) -> None:
        """Some of an answer is here, and more of it is to come."""
        if self._hold is None and self._response is None:
            length = self.content_length
            if length is not None and length <= WHOLE_BODY_BYTES and self._upload is None:
                self._hold = self._loop.call_later(HOLD_SECONDS, self._hand_over)
            else:
                self._hand_over()
        if not self.busy:
            return
        response = self._response
        self.deadline = self._soon(self._deadlines.idle_seconds)
        if response is not None:
            response.buffered += size
            if response.buffered > HIGH_WATER_BYTES and not self._read_paused:
                self._read_paused = True
                self.deadline = self._total_at
                self.transport.pause_reading()
            response.wake()

    def _hand_over(self) -> None:
        """Give out the answer while its body is still arriving."""
        waiter = self._waiter
        if waiter is None or waiter.done():  # cancelled just now
            self.abandon()
            return
        response = self._response = self._make_response(None, self)
        response.stream_from(self.chunks)
        self._waiter = None
        waiter.set_result(response)

    def _make_response(self, body: bytes | None, connection: Connection | None) -> UpstreamResponse:
        return UpstreamResponse(
            self.status,
            self.headers,
            self.fields,
            body,
            self._owner.name,
            self.connect_seconds,
            self._clock() - self._started,
            connection,
        )

    def _switch(self) -> None:
        """The upstream speaks another protocol from here on: whoever asked for it takes the connection over."""
        waiter = self._waiter
        if waiter is None or waiter.done():  # cancelled just now
            self.abandon()
            return
        self.transport.pause_reading()
        self._response = self._make_response(None, self)
        self._response.switched = self
        self._waiter = None
        waiter.set_result(self._response)

    def _finish(self) -> None:
        """The answer is complete: the connection may serve the next request before anyone looks at this one."""
        upload = self._upload  # done, it may yet have to tell us so: the answer can come in the same turn
        has_sent_all = upload is None or (upload.done() and not upload.cancelled() and upload.exception() is None)
        reusable = self.keep_alive and has_sent_all and self._drained is None and not self.has_extra
        response, waiter, chunks = self._response, self._waiter, self.chunks
        if response is None:
            response = self._make_response(chunks[0] if len(chunks) == 1 else b"".join(chunks), None)
        else:
            response.end(None)
        self._end_exchange()
        if reusable:
            self._served += 1
            self.connect_seconds = 0.0
            self.reset()
        else:
            self.transport.abort()
        self._owner.done(self, reusable=reusable)
        if waiter is not None and not waiter.done():
            waiter.set_result(response)

    def _closed(self) -> None:
        """It ended before the answer did."""
        unanswered = self._served > 0 and self._received == 0
        error = StaleConnection if unanswered else UpstreamClosed
        self._fail(
            error("The upstream closed the connection before its answer was complete.", replica=self._owner.name)
        )

    def _fail(self, error: BaseException) -> None:
        response, waiter = self._response, self._waiter
        self._end_exchange()
        self.transport.abort()
        self._owner.failed(self, error)
        if response is not None:
            response.end(error)
        elif waiter is not None and not waiter.done():
            waiter.set_exception(error)

    def _end_exchange(self) -> None:
        self.busy = False
        self._waiter = self._response = None
        self._read_paused = False
        if self._hold is not None:
            self._hold.cancel()
            self._hold = None
        upload, self._upload = self._upload, None
        if upload is not None:
            upload.cancel()
