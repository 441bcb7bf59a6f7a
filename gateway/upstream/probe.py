"""Ask an ejected replica whether it is well again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.upstream.connection import Connection
from gateway.upstream.errors import UpstreamError
from gateway.upstream.replica import Replica


class _Unpooled:
    """The owner of a probe's connection, which serves once and is closed."""

    def __init__(self, name: str) -> None:
        self.name = name

    def opened(self, connection: Connection) -> None: ...
    def lost(self, connection: Connection) -> None: ...
    def done(self, connection: Connection, *, reusable: bool) -> None: ...
    def failed(self, connection: Connection, error: BaseException) -> None: ...
    def abandoned(self, connection: Connection) -> None: ...


async def probe(replica: Replica, path: bytes, seconds: float, clock: Callable[[], float]) -> bool:
    """Tell whether `GET path` is answered with 2xx within `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            return await _ask(replica, path, clock() + seconds, clock)
    except (UpstreamError, TimeoutError):
        return False


async def _ask(replica: Replica, path: bytes, until: float, clock: Callable[[], float]) -> bool:
    connection = await replica.open(_Unpooled(replica.name), until)
    head = b"GET %b HTTP/1.1\r\nuser-agent: gateway-probe\r\nconnection: close\r\n%b" % (path, replica.host_line)
    try:
        answer = connection.begin(head, is_head_request=False, started=clock(), total_at=until)
        response = await answer
        while await response.read_chunk():
            pass
    finally:
        connection.close()
    return 200 <= response.status < 300
