"""uvicorn's HTTP protocol for an open edge: `uvicorn.Config(app, http=EdgeProtocol, ws="none")`.

uvicorn keeps what it does well (sockets, workers, lifespan, shutdown); this class takes over what it leaves open:
it reads messages by a strict grammar (`head`, `body`), answers what is wrong or too slow with problem+json itself, and
starts the application only for requests that every server behind it reads alike. Bytes of the next request
wait, unread, until the response before them is complete: pipelined answers can't mix or overtake.
"""

from __future__ import annotations

import urllib.parse
from typing import ClassVar

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from gateway.edge.body import Body, ChunkedBody, FixedBody
from gateway.edge.connection import EdgeConnection
from gateway.edge.errors import Refused
from gateway.edge.exchange import EXTENSION, Exchange
from gateway.edge.head import CHUNKED, RequestHead, check_partial, parse_head

_NO_WEBSOCKET = Refused(501, "upgrade", "WebSocket isn't offered here.")
_OVERLOADED = Refused(503, "overloaded", "Too many requests are under way; try again shortly.")


class EdgeProtocol(EdgeConnection):
    """One client connection, read strictly.

    Set on the class (or a subclass) before the server starts: `limits`, and `on_refused`, called with a Refusal
    for every request that the edge answers in the application's place. It must not block or raise.
    `takes_websockets` leaves it to the application to accept a WebSocket (`Exchange.switch`) or to refuse it.
    """

    takes_websockets: ClassVar[bool] = False

    def data_received(self, data: bytes) -> None:
        if self._ends_at is not None:
            return
        if self._body is not None and self._exchange is not None:
            self._read_body(self._body, self._exchange, data)
        elif self._exchange is not None or self._pending:
            # An empty line before a head isn't its first byte: it may have come long ago (RFC 9112 §2.2).
            if not self._pending or (self._pending == b"\r\n" and not self._is_new):
                self._since = self.loop.time()
            self._pending += data
            if self._exchange is None:
                self.read_pending()
            elif len(self._pending) > self.limits.pipelined_bytes:
                self.flow.pause_reading()
        else:
            end = data.find(b"\r\n\r\n")
            if 0 <= end <= self.limits.head_bytes - 4:
                self._begin(data[: end + 2], data[end + 4 :])
            else:
                self._since = self.loop.time() if not self._is_new else self._since
                self._pending += data
                self.read_pending()

    def read_pending(self) -> None:
        pending = self._pending
        end = pending.find(b"\r\n\r\n", max(0, self._accepted - 3))
        if 0 <= end <= self.limits.head_bytes - 4:
            head, rest = bytes(pending[: end + 2]), bytes(pending[end + 4 :])
            pending.clear()
            self._accepted = 0
            self._begin(head, rest)
            return
        try:
            check_partial(pending, self._accepted, self.limits.head_bytes, self.limits.target_bytes)
        except Refused as refused:
            self.refuse(refused, bytes(pending))
            return
        self._accepted = len(pending)
        if self._has_eof:
            self.transport.close()

    def _begin(self, head: bytes, rest: bytes) -> None:
        try:
            request = parse_head(head, self.limits.headers, self.limits.target_bytes)
        except Refused as refused:
            self.refuse(refused, head)
            return
        if request.wants_websocket and not self.takes_websockets:
            self.refuse(_NO_WEBSOCKET, head)
            return
        self._is_new = False
        raw_path = request.raw_path
        path = raw_path.decode("ascii")
        exchange = Exchange(
            self,
            request.method,
            request.fields,
            is_http_11=request.http_version == "1.1",
            # Who asks for a WebSocket and doesn't get one may have sent its first bytes: they are no request.
            keep_alive=request.keep_alive and not self._draining and not request.wants_websocket,
            expects_continue=request.expects_continue,
            wants_websocket=request.wants_websocket,
        )
        exchange.scope = {
            "type": "http",
            "asgi": self._asgi,
            "http_version": request.http_version,
            "method": request.method,
            "scheme": self.scheme,  # type: ignore[typeddict-item]  # set in connection_made
            "path": self.root_path + (urllib.parse.unquote(path) if "%" in path else path),
            "raw_path": self._raw_root_path + raw_path,
            "query_string": request.query,
            "root_path": self.root_path,
            "headers": request.headers,
            "client": self.client,
            "server": self.server,
            "state": self.app_state.copy(),
            "extensions": {EXTENSION: exchange},  # type: ignore[dict-item]  # an object, for this process only
        }
        self._exchange = exchange
        if request.body_length:
            self._start_body(request, exchange, rest)
        elif rest:
            self._pending += rest
        if self._exchange is exchange and not exchange.client_left:
            self._run(exchange)

    def _run(self, exchange: Exchange) -> None:
        if self.limit_concurrency is not None and (
            len(self.connections) >= self.limit_concurrency or len(self.tasks) >= self.limit_concurrency
        ):
            self.refuse_exchange(_OVERLOADED, exchange)
            return
        exchange.is_running = True
        exchange.task = self.loop.create_task(exchange.run(self.app))
        self.tasks.add(exchange.task)  # and `run` takes it out again: a callback would cost another turn of the loop

    def _start_body(self, request: RequestHead, exchange: Exchange, rest: bytes) -> None:
        exchange.more_body = True
        self._body_seconds = 0.0
        self._body_bytes = 0
        self._body = ChunkedBody() if request.body_length == CHUNKED else FixedBody(request.body_length)
        if rest:
            self._read_body(self._body, exchange, rest)

    def _read_body(self, body: Body, exchange: Exchange, data: bytes) -> None:
        try:
            content, rest = body.feed(data)
        except Refused as refused:
            self.refuse_exchange(refused, exchange)
            return
        self._body_bytes += len(data)
        if content and not exchange.response_complete:
            exchange.feed(content)
            if exchange.buffered > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
        if rest is not None:
            self._body = None
            self._pending += rest
            exchange.feed_end()
            if exchange.response_complete:
                self._next()
