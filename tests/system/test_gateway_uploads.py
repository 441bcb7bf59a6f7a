"""Uploads that are slow on either side: who is waited for, who is told what, and that nobody else pays for it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from tests.support.edge_server import Client
from tests.support.gateway_process import GatewayProcess, StartGateway, Upstreams, answer, head, upstream_block
from tests.support.scripted_upstream import Peer, Received, Script, Upstream
from tests.support.wait import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

IDLE_SECONDS = 1.0
LARGE = 12_000_000
"""Bytes; more than the kernel takes for a reader that doesn't read."""


@pytest.fixture(scope="module")
def upstream(upstreams: Upstreams) -> Upstream:
    return upstreams.start()


@pytest.fixture(scope="module")
def gateway(start_gateway: StartGateway, upstream: Upstream) -> GatewayProcess:
    return start_gateway(
        upstream_block("s", upstream, idle_seconds=IDLE_SECONDS)
        + upstream_block("hasty", upstream, total_seconds=1)
        + upstream_block("narrow", upstream, max_connections=4, connect_seconds=0.5),
        MAX_BODY_BYTES=str(LARGE),
    )


@pytest.fixture(autouse=True)
def _forget(upstream: Upstream) -> None:
    upstream.scripts = {}
    upstream.received.clear()


def test_an_answer_that_begins_early_lasts_as_long_as_its_upload_flows(
    gateway: GatewayProcess, upstream: Upstream
) -> None:
    async def early(peer: Peer, _request: Received) -> bool:
        await peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await peer.reader.readuntil(b"0\r\n\r\n")
        await peer.say(b"4\r\nlast\r\n0\r\n\r\n")
        return True

    upstream.leaves_body.add(b"/s/early")
    upstream.scripts[b"/s/early"] = early
    with gateway.connect() as client:
        client.send(head("/s/early", "Transfer-Encoding: chunked", method="POST"))
        began = time.monotonic()
        while time.monotonic() - began < 3 * IDLE_SECONDS:
            client.send(b"1\r\nx\r\n")
            time.sleep(IDLE_SECONDS / 5)
        client.send(b"0\r\n\r\n")
        assert client.response().body == b"firstlast"


def reads(seconds: float, pause_seconds: float) -> Script:
    """A script that takes some kilobytes after each pause, and after that time the rest at once."""

    async def script(peer: Peer, _request: Received) -> bool:
        connection: socket.socket = peer.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        left = LARGE
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            await asyncio.sleep(pause_seconds)
            left -= len(await peer.reader.readexactly(40_000))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LARGE)
        await peer.reader.readexactly(left)
        await peer.say(answer(b"taken"))
        return True

    return script


def upload(client: Client) -> None:
    """Send it all, or as much as is taken before the answer."""
    client.send(head("/s/takes", f"Content-Length: {LARGE}", method="POST"))
    client.socket.settimeout(20)
    with contextlib.suppress(ConnectionError):
        client.socket.sendall(bytes(LARGE))


def test_an_upstream_that_takes_an_upload_slowly_is_waited_for(gateway: GatewayProcess, upstream: Upstream) -> None:
    upstream.leaves_body.add(b"/s/takes")
    upstream.scripts[b"/s/takes"] = reads(4 * IDLE_SECONDS, IDLE_SECONDS / 10)
    with gateway.connect() as client:
        upload(client)
        assert client.response().body == b"taken"


def test_one_that_takes_nothing_more_is_given_up(gateway: GatewayProcess, upstream: Upstream) -> None:
    upstream.leaves_body.add(b"/s/takes")
    upstream.scripts[b"/s/takes"] = reads(60, 60)
    with gateway.connect() as client:
        began = time.monotonic()
        upload(client)
        assert client.response().status == 504
        assert time.monotonic() - began < 3 * IDLE_SECONDS


def test_a_client_that_sends_too_slowly_is_told_so_and_no_upstream_is_blamed(
    gateway: GatewayProcess, upstream: Upstream
) -> None:
    with gateway.connect() as client:
        client.send(head("/hasty/upload", "Transfer-Encoding: chunked", method="POST"))
        client.send(b"1\r\nx\r\n")
        refused = client.response()
    assert (refused.status, refused.headers["connection"]) == (408, "close")
    until(lambda: [line for line in gateway.events("request") if line["path"] == "/hasty/upload"])
    assert gateway.metric('gateway_upstream_errors_total{reason="UpstreamTimeout",upstream="hasty"}') == 0


@pytest.fixture
def dawdlers(gateway: GatewayProcess, upstream: Upstream) -> Iterator[list[Client]]:
    """Half as many slow uploads as the upstream takes connections."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(gateway.connect()) for _ in range(2)]
        for number, client in enumerate(clients):
            client.send(head(f"/narrow/{number}", "Transfer-Encoding: chunked", method="POST") + b"1\r\nx\r\n")
        until(lambda: len(upstream.received) == len(clients))
        yield clients


def test_slow_uploads_leave_half_of_the_connections_to_others(gateway: GatewayProcess, dawdlers: list[Client]) -> None:
    with gateway.connect() as client:
        client.send(head("/narrow/more", "Transfer-Encoding: chunked", method="POST") + b"1\r\nx\r\n")
        began = time.monotonic()
        refused = client.response()
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert time.monotonic() - began < 0.4
    assert gateway.ask("/narrow/x").body == b"GET /narrow/x "
    assert gateway.ask("/narrow/x", method="POST", body=b"short").body == b"POST /narrow/x short"
    for number, client in enumerate(dawdlers):
        client.send(b"0\r\n\r\n")
        assert client.response().body == b"POST /narrow/%d x" % number
    with gateway.connect() as client:
        client.send(head("/narrow/again", "Transfer-Encoding: chunked", method="POST") + b"1\r\nx\r\n0\r\n\r\n")
        assert client.response().body == b"POST /narrow/again x"
