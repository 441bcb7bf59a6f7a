"""A WebSocket as the gateway sees one: a handshake, and from then on bytes."""

from __future__ import annotations

from tests.support.scripted_upstream import Peer, Received

HANDSHAKE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")


async def switches(peer: Peer, _request: Received) -> bool:
    """A WebSocket that says everything again."""
    await peer.say(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    )
    while data := await peer.reader.read(65536):
        await peer.say(data)
    return False
