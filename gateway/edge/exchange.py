"""One request and its response, as the ASGI application sees them.

In place of uvicorn's RequestResponseCycle, because an edge also needs: problem+json when the application fails, no
chunks towards HTTP/1.0 (RFC 9112 §7), a break that can't be taken for an end, and word of the client's leaving
without a task that waits for it. It is also cheaper: one check of all response fields at once, an Event only on demand.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, MutableMapping
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from gateway.edge.errors import Refused, ResponseAborted
from gateway.edge.refusal import Refusal
from gateway.edge.response_fields import render_fields, render_read_fields

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application, ASGIReceiveEvent, HTTPScope

    from gateway.edge.connection import EdgeConnection

EXTENSION = "matricula.edge"
"""Key in `scope["extensions"]` under which the application finds its Exchange."""

_WITHOUT_BODY = frozenset((204, 304))

_FAILED = Refused(500, "application", "The server failed to answer this request.")

_logger = logging.getLogger("uvicorn.error")


class Exchange:
    """A request under way on `connection`."""

    __slots__ = (
        "_bodiless",
        "_chunked",
        "_chunks",
        "_connection",
        "_end_told",
        "_event",
        "_flow",
        "_is_http_11",
        "_length_left",
        "_method",
        "_on_leaving",
        "_transport",
        "buffered",
        "client_left",
        "fields",
        "is_running",
        "keep_alive",
        "more_body",
        "pieces",
        "refusal",
        "request_id",
        "response_complete",
        "response_started",
        "scope",
        "task",
        "waiting_for_continue",
        "wants_websocket",
    )

    scope: HTTPScope

    def __init__(
        self,
        connection: EdgeConnection,
        method: str,
        fields: dict[bytes, bytes],
        *,
        is_http_11: bool,
        keep_alive: bool,
        expects_continue: bool,
        wants_websocket: bool = False,
    ) -> None:
        self.wants_websocket = wants_websocket
        self.fields = fields  # of the request: by name, the last of each
        self.request_id = ""  # the application may tell, for the answer should the edge have to give it
        self.refusal: Refusal | None = None  # that answer, once given
        self.is_running = False
        self._connection = connection
        self._method = method
        self._is_http_11 = is_http_11
        self._transport = connection.transport
        self._flow = connection.flow
        self._event: asyncio.Event | None = None
        self._on_leaving: Callable[[], object] | None = None
        self.task: asyncio.Task[None] | None = None  # runs the application
        self.keep_alive = keep_alive
        self.waiting_for_continue = expects_continue
        self.client_left = False
        # the request's body
        self.more_body = False
        self.buffered = 0  # bytes that the application hasn't taken
        self._chunks: list[bytes] = []
        self._end_told = False  # the application knows that the body has ended
        # the response
        self.response_started = False
        self.response_complete = False
        self.pieces = 0  # sent of one that comes in several
        self._bodiless = False
        self._chunked = False
        self._length_left: int | None = 0  # None: the body ends with the connection

    # The connection's side

    def feed(self, data: bytes) -> None:
        self.waiting_for_continue = False  # a client that doesn't wait for it needn't be told (RFC 9110 §10.1.1)
        self._chunks.append(data)
        self.buffered += len(data)
        self._wake()

    def feed_end(self) -> None:
        self.more_body = False
        self.waiting_for_continue = False
        self._wake()

    def leave(self) -> None:
        """The client is gone, or was refused in mid-request: nothing more is read or sent."""
        if self.client_left or self.response_complete:
            return
        self.client_left = True
        self._wake()
        if self._on_leaving is not None:
            self._on_leaving()

    def _wake(self) -> None:
        if self._event is not None:
            self._event.set()

    # The application's side

    def when_client_leaves(self, callback: Callable[[], object]) -> None:
        """Have `callback` called at once when the client leaves before its response is complete."""
        self._on_leaving = callback
        if self.client_left:
            callback()

    def give_up(self) -> None:
        """The client seems gone. Should it be there after all, it can't take what it has got for a whole answer."""
        if self.response_started:
            self._break_off()
        else:
            self._transport.abort()

    def cancel(self) -> None:
        """Cancel the application."""
        if self.task is not None:
            self.task.cancel()

    async def run(self, app: ASGI3Application) -> None:
        """Run the application for this request; whatever it does, the client gets a right answer or a broken one."""
        try:
            await app(self.scope, self.receive, self.send)  # type: ignore[arg-type]  # the messages' types are looser here
        except ResponseAborted:
            self._fail()
        except asyncio.CancelledError:
            self._fail()
            raise
        except Exception:  # the server's last line: whatever the application raises ends this request alone
            _logger.exception("Exception in ASGI application")
            self._fail()
        else:
            if not self.response_complete and not self.client_left:
                _logger.error("ASGI callable returned without completing response.")
                self._fail()
        finally:
            self._connection.tasks.discard(self.task)
            # What refers back to here goes, so that the exchange is freed at once and the collector finds no cycles.
            self.scope["extensions"].clear()
            self._on_leaving = self.task = None

    def _fail(self) -> None:
        if self.client_left or self.response_complete:
            return
        if self.response_started:
            self._break_off()
        else:
            self._connection.refuse_exchange(_FAILED, self)

    def _break_off(self) -> None:
        # Where only the connection's end would mark the body's end, a plain close would look complete.
        self._connection.break_off(reset=self._length_left is None)

    async def receive(self) -> ASGIReceiveEvent:
        if self.waiting_for_continue and not self._transport.is_closing():
            self.waiting_for_continue = False
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while True:
            if self.client_left or self.response_complete:
                return {"type": "http.disconnect"}
            if self._chunks or not (self.more_body or self._end_told):
                body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
                self._chunks.clear()
                self.buffered = 0
                self._end_told = not self.more_body
                self._flow.resume_reading()
                return {"type": "http.request", "body": body, "more_body": self.more_body}
            if self._event is None:
                self._event = asyncio.Event()
            self._event.clear()
            await self._event.wait()

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if self.client_left:
            return
        if self._flow.write_paused:
            await self.room_to_write()
        kind = message["type"]
        self.pieces += 1
        if not self.response_started:
            if kind != "http.response.start":
                raise RuntimeError(f"Expected ASGI message 'http.response.start', but got '{kind}'.")
            self._transport.write(self._start(message["status"], message.get("headers", ())))
            self.response_started = True
        elif self.response_complete or kind != "http.response.body":
            raise RuntimeError(f"Unexpected ASGI message '{kind}'.")
        else:
            more = message.get("more_body", False)
            if data := self._frame(message.get("body", b""), more=more):
                self._transport.write(data)
            if not more:
                self._complete()

    @property
    def write_paused(self) -> bool:
        """Whether the client has yet to take much of what it was sent before."""
        return self._flow.write_paused

    async def room_to_write(self) -> None:
        """Wait until it has; ends too when the connection is lost: writing is then in vain, not an error."""
        await self._flow.drain()

    def respond(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Send a whole response, of fields that have been read by `gateway.fields` or llhttp; adds to `headers`.

        Not while `write_paused`. Two messages to `send` do the same, for 10 µs more: a system call and a segment.
        """
        if self.client_left:
            return
        if self.response_started:
            raise RuntimeError("The response has begun already.")
        self._complete_fields(status, headers)
        block = render_read_fields(headers)
        self._transport.write(b"".join((STATUS_LINE[status], block, b"\r\n\r\n", self._frame(body, more=False))))
        self.response_started = True
        self._complete()

    def switch(
        self, headers: list[tuple[bytes, bytes]], protocol: asyncio.Protocol, when_stopping: Callable[[], None]
    ) -> tuple[asyncio.Transport, bytes]:
        """Answer 101 Switching Protocols; from here on the connection is `protocol`'s.

        `when_stopping` is called when the server stops. Returns the transport and what the client has sent beyond its
        request. `protocol` is to tell of the connection's loss by `connection_lost`.
        """
        if self.response_started:
            raise RuntimeError("The response has begun already.")
        self._transport.write(b"".join((STATUS_LINE[101], render_read_fields(headers), b"\r\n\r\n")))
        self.response_started = self.response_complete = True
        return self._transport, self._connection.hand_over(protocol, when_stopping)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell the server that a connection that was handed over is gone."""
        self._connection.connection_lost(error)

    def _start(self, status: int, sent_headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """Render the response's head, and decide by it how the body is framed."""
        headers = list(sent_headers)
        fields = self._complete_fields(status, headers)
        block = render_fields(headers, fields)
        return b"".join((STATUS_LINE[status], block, b"\r\n\r\n"))

    def _complete_fields(self, status: int, headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
        """Add the fields that are the server's to set; returns those there were, by name."""
        fields = dict(headers)
        has_repeated = len(fields) != len(headers)
        if self.keep_alive and not self._connection.can_outlive(self):
            self.keep_alive = False
        for default in self._connection.server_state.default_headers:
            if default[0] not in fields:
                headers.append(default)  # noqa: PERF401 - a loop over one or two costs less than a comprehension
        if b"connection" in fields and b"close" in fields[b"connection"].lower():
            self.keep_alive = False
        elif not self.keep_alive:
            headers.append((b"connection", b"close"))
        self._choose_framing(status, headers, fields, has_repeated=has_repeated)
        return fields

    def _choose_framing(
        self, status: int, headers: list[tuple[bytes, bytes]], fields: dict[bytes, bytes], *, has_repeated: bool
    ) -> None:
        """Decide how the client will know where the body ends (RFC 9112 §6.3)."""
        self._bodiless = self._method == "HEAD" or status in _WITHOUT_BODY
        length = fields.get(b"content-length")
        if b"transfer-encoding" in fields:
            raise RuntimeError("Transfer-Encoding is the server's to choose.")
        if length is not None:
            if not length.isdigit() or (has_repeated and _count(headers, b"content-length") > 1):
                raise RuntimeError("Invalid Content-Length in the response.")
            self._length_left = int(length)
            if status == 204:
                headers.remove((b"content-length", length))  # RFC 9110 §8.6
        elif self._bodiless:
            pass
        elif self._is_http_11:
            self._chunked = True
            headers.append((b"transfer-encoding", b"chunked"))
        else:
            self._length_left = None
            self.keep_alive = False

    def _frame(self, body: bytes, *, more: bool) -> bytes:
        """The bytes on the wire for a piece of the body, and for its end if there is no more."""
        if self._bodiless:
            return b""
        if self._chunked:
            piece = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            return piece if more else piece + b"0\r\n\r\n"
        if self._length_left is not None:
            self._length_left -= len(body)
            if self._length_left < 0:
                raise RuntimeError("Response content longer than Content-Length")
            if self._length_left and not more:
                raise RuntimeError("Response content shorter than Content-Length")
        return body

    def _complete(self) -> None:
        self.response_complete = True
        self._wake()
        self._connection.response_done(self)


def _count(headers: list[tuple[bytes, bytes]], wanted: bytes) -> int:
    return sum(name == wanted for name, _ in headers)
