"""Send a request's body while it arrives, no faster than the upstream takes it."""

from __future__ import annotations

from gateway.upstream.connection import Connection
from gateway.upstream.errors import RequestBodyError
from gateway.upstream.request import BodySource


async def read_whole(source: BodySource, length: int) -> bytes:
    """Return the body of a source that has promised `length` bytes; raises RequestBodyError if that isn't true."""
    pieces: list[bytes] = []
    received = 0
    while data := await source.read():
        received += len(data)
        if received > length:
            break
        pieces.append(data)
    if received != length:
        raise RequestBodyError(f"{length} bytes of body were announced, and not as many came")
    return b"".join(pieces)


async def pump(source: BodySource, connection: Connection) -> None:
    """Write the body as its head has announced it; raises RequestBodyError, and whatever the source raises."""
    length = source.known_length
    sent = 0
    while data := await source.read():
        sent += len(data)
        if length is None:
            connection.write(b"%x\r\n%b\r\n" % (len(data), data))
        elif sent <= length:
            connection.write(data)
        else:
            raise RequestBodyError(f"more than the {length} announced bytes of body came")
        await connection.drained()
    if length is None:
        connection.write(b"0\r\n\r\n")
    elif sent != length:
        raise RequestBodyError(f"{length} bytes of body were announced, {sent} came")
