"""An upstream's answer, as the gateway relays it."""

from __future__ import annotations

import asyncio
from typing import Protocol

from gateway.upstream.errors import UpstreamClosed
from gateway.upstream.request import Headers


class _Connection(Protocol):
    """What an answer that is still arriving needs of its connection."""

    def resume(self) -> None: ...
    def abandon(self) -> None: ...


class Switched(Protocol):
    """A connection whose upstream has answered 101."""

    def hand_over(self, protocol: asyncio.Protocol) -> tuple[asyncio.Transport, bytes]: ...
    def tunnel_ended(self) -> None: ...


class UpstreamResponse:
    """A final (not 1xx) response whose head is valid.

    `headers` have lower-case names and are as received: hop-by-hop fields are still there, trailers never are.
    `fields` is `dict(headers)`.
    `body` is the whole body if it had arrived with the head (b"" if there is none): nothing is left to do then, the
    connection serves others already. Else it is None, and the answer must be read to its end or aborted.
    """

    __slots__ = (
        "_buffer",
        "_connection",
        "_error",
        "_reader",
        "_unread",
        "body",
        "buffered",
        "connect_seconds",
        "fields",
        "first_byte_seconds",
        "headers",
        "replica",
        "status",
        "switched",
    )

    def __init__(
        self,
        status: int,
        headers: Headers,
        fields: dict[bytes, bytes],
        body: bytes | None,
        replica: str,
        connect_seconds: float,
        first_byte_seconds: float,
        connection: _Connection | None,
    ) -> None:
        self.status = status
        self.headers = headers
        self.fields = fields
        self.body = body
        self.replica = replica  # "host:port"
        self.connect_seconds = connect_seconds  # 0.0 on a connection that was open already
        self.first_byte_seconds = first_byte_seconds  # from the request's first byte out to the head's end
        self.switched: Switched | None = None  # of a 101: to be handed over, or the answer to be aborted
        self.buffered = 0  # bytes received and not read yet, as they came from the wire
        self._unread = body
        self._buffer: list[bytes] = []
        self._connection = connection  # while the body arrives
        self._error: BaseException | None = None
        self._reader: asyncio.Future[None] | None = None

    async def read_chunk(self) -> bytes:
        """Return what has arrived of the body, b"" at its end. Being cancelled here aborts the answer.

        Raises UpstreamClosed or BadUpstreamResponse if the body is cut off or malformed, UpstreamTimeout if it stalls.
        """
        if self._unread is not None:
            data, self._unread = self._unread, b""
            return data
        while not self._buffer:
            if self._connection is None:
                if self._error is not None:
                    raise self._error
                return b""
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            except asyncio.CancelledError:
                self.abort()
                raise
            finally:
                self._reader = None
        buffer = self._buffer
        data = buffer[0] if len(buffer) == 1 else b"".join(buffer)
        buffer.clear()
        self.buffered = 0
        if self._connection is not None:
            self._connection.resume()
        return data

    def abort(self) -> None:
        """Give the rest of the body up: closes the connection at once if it is still arriving. Safe to repeat."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._error = UpstreamClosed("The answer was aborted.", replica=self.replica)
            self._buffer.clear()
            connection.abandon()
            self.wake()

    # For the connection

    def stream_from(self, chunks: list[bytes]) -> None:
        """Take over the list that the connection adds the body's pieces to."""
        self._buffer = chunks

    def wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def end(self, error: BaseException | None) -> None:
        """Nothing more will arrive: the body is complete, or `error` says why not."""
        self._connection = None
        self._error = error
        self.wake()
