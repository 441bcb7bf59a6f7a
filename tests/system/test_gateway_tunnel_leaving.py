"""A WebSocket one side of which leaves while the other doesn't read, and so isn't read any more itself."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import time
from asyncio import sleep
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.edge_server import Client
from tests.support.gateway_process import GatewayProcess, StartGateway, Upstreams, head, upstream_block
from tests.support.raw_websocket import HANDSHAKE
from tests.support.scripted_upstream import Peer, Received, Upstream
from tests.support.wait import until

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="no other kernel tells the gateway, nor this test"),
]

SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
PIECE = bytes(range(256)) * 256
NOTICED_SECONDS = 4  # half a second between two looks, one for what was still to be written, and a slow machine
CLOSE_WAIT = "08"  # as /proc/net/tcp has it


@dataclass
class Script:
    """What the upstream does behind its 101; the test turns the knobs."""

    pieces: int = 0  # to be written
    reads: bool = False
    closes: bool = False
    written: int = 0
    heard: bytearray = field(default_factory=bytearray)
    has_heard_all: bool = False
    peer: Peer | None = None

    async def __call__(self, peer: Peer, _request: Received) -> bool:
        self.peer = peer
        await peer.say(SWITCHING)
        while not self.closes and not self.has_heard_all:
            if self.written < self.pieces:
                await peer.say(PIECE)
                self.written += 1
            elif self.reads:
                self.heard += await peer.reader.read(1_000_000)
                self.has_heard_all = peer.reader.at_eof()
            else:
                await sleep(0.01)
        return False


@dataclass
class Scene:
    """An upstream with room for a single connection, behind a gateway."""

    gateway: GatewayProcess
    upstream: Upstream

    def open(self, path: str, script: Script) -> Client:
        self.upstream.scripts[path.encode()] = script
        client = self.gateway.connect()
        client.send(head(path, *HANDSHAKE))
        assert client.response().status == 101
        assert not self.has_room()
        return client

    def has_room(self) -> bool:
        return self.gateway.ask("/u/plain").status == 200

    def ended_by(self, path: str) -> list[object]:
        return [line["ended_by"] for line in self.gateway.events("request") if line["path"] == path]

    def unread(self, client: Client | None) -> tuple[int, str]:
        """How much of a client's bytes, or of the upstream's, the gateway has yet to read; and its socket's state."""
        port = self.upstream.port if client is None else client.socket.getsockname()[1]
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        sockets = [(int(row[4].split(":")[1], 16), row[3]) for row in rows if row[2].endswith(f":{port:04X}")]
        return max(sockets, default=(0, ""))

    def is_stuck(self, client: Client | None) -> bool:
        """Whether the gateway leaves bytes of a side unread, and goes on leaving them."""
        return settled(lambda: self.unread(client)[0], but=0) > 0


@pytest.fixture
def scene(start_gateway: StartGateway, upstreams: Upstreams) -> Scene:
    upstream = upstreams.start()
    block = upstream_block("u", upstream, max_connections=1, max_waiting=0, retries=0) + "websocket = true\n"
    return Scene(start_gateway(block), upstream)


def settled(sample: Callable[[], int], *, but: int | None = None) -> int:
    """A number, once it has stayed the same for a moment, or is the one that needn't."""
    samples: list[int] = []

    def is_the_same() -> bool:
        samples.append(sample())
        return samples[-1] == but or samples[-20:].count(samples[-1]) == 20

    until(is_the_same, timeout=20)
    return samples[-1]


def flood(client: Client) -> None:
    """Write until TCP lets nothing more go."""
    client.socket.setblocking(False)
    written = [0]

    def write() -> int:
        with contextlib.suppress(BlockingIOError):
            written[0] += client.socket.send(PIECE)
        return written[0]

    settled(write)


def reset(client: Client) -> None:
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.socket.close()


def test_a_killed_client_is_noticed_while_the_upstream_reads_nothing(scene: Scene) -> None:
    client = scene.open("/u/client-killed", Script())
    flood(client)
    assert scene.is_stuck(client)
    reset(client)
    until(scene.has_room, timeout=NOTICED_SECONDS)
    until(lambda: scene.ended_by("/u/client-killed") == ["client"])


def test_a_killed_upstream_is_noticed_while_the_client_reads_nothing(scene: Scene, upstreams: Upstreams) -> None:
    script = Script(pieces=10_000)
    with scene.open("/u/upstream-killed", script) as client:
        settled(lambda: script.written)
        assert scene.is_stuck(None)
        assert script.peer is not None
        upstreams.call(script.peer.reset)
        until(scene.has_room, timeout=NOTICED_SECONDS)
        rest = client.rest()
        assert (PIECE * (len(rest) // len(PIECE) + 1)).startswith(rest)
    until(lambda: scene.ended_by("/u/upstream-killed") == ["upstream"])


def test_a_client_that_only_closes_is_heard_out(scene: Scene) -> None:
    script = Script()
    with scene.open("/u/client-closes", script) as client:
        sent = 0
        while not scene.is_stuck(client):
            client.send(PIECE)
            sent += 1
        client.socket.shutdown(socket.SHUT_WR)
        until(lambda: scene.unread(client)[1] == CLOSE_WAIT)
        time.sleep(1.5)  # the gateway may look as often as it likes
        assert scene.unread(client)[0] > 0
        script.reads = True
        until(lambda: script.has_heard_all)
        assert script.heard == PIECE * sent
    until(lambda: scene.ended_by("/u/client-closes") == ["client"])


def test_an_upstream_that_closes_is_heard_out(scene: Scene) -> None:
    script = Script()
    with scene.open("/u/upstream-closes", script) as client:
        while not scene.is_stuck(None):
            script.pieces += 1
            until(lambda: script.written == script.pieces)
        script.closes = True
        until(lambda: scene.unread(None)[1] == CLOSE_WAIT)
        time.sleep(1.5)  # the gateway may look as often as it likes
        assert scene.unread(None)[0] > 0
        assert client.rest() == PIECE * script.pieces
    until(lambda: scene.ended_by("/u/upstream-closes") == ["upstream"])
