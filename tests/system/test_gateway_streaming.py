"""Bodies through the gateway: flat memory, first byte at once, and broken where they broke; over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time

import pytest

from tests.support.gateway_process import GatewayProcess, StartGateway, Upstreams, answer, head, upstream_block
from tests.support.scripted_upstream import Peer, Received, Upstream
from tests.support.wait import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

MEGABYTE = 1 << 20
SIZE = 200 * MEGABYTE
PIECE = bytes(256 * 1024)
ROOM = 40 * MEGABYTE  # how much the gateway's memory may grow for a body of 200 MB; buffers and the allocator's slack


@pytest.fixture(scope="module")
def upstream(upstreams: Upstreams) -> Upstream:
    return upstreams.start()


@pytest.fixture(scope="module")
def gateway(start_gateway: StartGateway, upstream: Upstream) -> GatewayProcess:
    return start_gateway(upstream_block("s", upstream), MAX_BODY_BYTES=str(SIZE + 1))


@pytest.fixture(autouse=True)
def _forget(upstream: Upstream) -> None:
    upstream.scripts = {}
    upstream.received.clear()


def lines_of(gateway: GatewayProcess, path: str) -> list[dict[str, object]]:
    return [line for line in gateway.events("request") if line["path"] == path]


# Size


def test_a_large_download_needs_no_memory(gateway: GatewayProcess, upstream: Upstream) -> None:
    async def large(peer: Peer, _request: Received) -> bool:
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
        for _ in range(SIZE // len(PIECE)):
            await peer.say(PIECE)
        return True

    upstream.scripts[b"/s/large"] = large
    gateway.ask("/s/warm-up")
    before = gateway.memory()
    most = received = 0
    with gateway.connect() as client:
        client.send(head("/s/large"))
        while received < SIZE:
            data = client.socket.recv(MEGABYTE)
            assert data
            if received // (10 * MEGABYTE) != (received + len(data)) // (10 * MEGABYTE):
                most = max(most, gateway.memory())
            received += len(data)
    assert most - before < ROOM


def test_a_client_that_does_not_read_stops_the_upstream_not_the_memory(
    gateway: GatewayProcess, upstream: Upstream
) -> None:
    sent = [0]

    async def large(peer: Peer, _request: Received) -> bool:
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
        for _ in range(SIZE // len(PIECE)):
            await peer.say(PIECE)
            sent[0] += len(PIECE)
        return True

    upstream.scripts[b"/s/unread-by-client"] = large
    before = gateway.memory()
    with gateway.connect() as client:
        client.send(head("/s/unread-by-client"))
        until(lambda: sent[0] > 0)
        seen = -1

        def stands_still() -> bool:
            nonlocal seen
            was, seen = seen, sent[0]
            time.sleep(0.2)
            return was == seen

        until(stands_still, timeout=15)
        assert sent[0] < SIZE / 2  # in the kernel's buffers
        assert gateway.memory() - before < ROOM
    until(lambda: not upstream.open)


@pytest.mark.parametrize("chunked", [True, False])
def test_a_large_upload_needs_no_memory(gateway: GatewayProcess, upstream: Upstream, *, chunked: bool) -> None:
    async def count(peer: Peer, request: Received) -> bool:
        received = 0
        length = request.header(b"content-length")
        if length is not None:
            while received < int(length):
                received += len(await peer.reader.read(MEGABYTE))
        else:
            while size := int((await peer.reader.readuntil(b"\r\n"))[:-2], 16):
                received += len((await peer.reader.readexactly(size + 2))[:-2])
            await peer.reader.readexactly(2)
        await peer.say(answer(b"%d" % received))
        return True

    upstream.scripts[b"/s/count"] = count
    upstream.leaves_body.add(b"/s/count")
    before = gateway.memory()
    most = 0
    with gateway.connect(timeout=60) as client:
        framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {SIZE}"
        client.send(head("/s/count", framing, method="POST"))
        for number in range(SIZE // len(PIECE)):
            client.send(b"%x\r\n%b\r\n" % (len(PIECE), PIECE) if chunked else PIECE)
            if number % 40 == 0:
                most = max(most, gateway.memory())
        client.send(b"0\r\n\r\n" if chunked else b"")
        assert client.response().body == b"%d" % SIZE
    assert most - before < ROOM


def test_an_upstream_that_does_not_read_stops_the_client_not_the_memory(
    gateway: GatewayProcess, upstreams: Upstreams, upstream: Upstream
) -> None:
    """And a client that is killed then is noticed though nothing more is read of it."""
    go_on = asyncio.Event()
    upstream.leaves_body.add(b"/s/waits")

    async def waits(peer: Peer, _request: Received) -> bool:
        await go_on.wait()
        await peer.gone()
        return False

    upstream.scripts[b"/s/waits"] = waits
    before = gateway.memory()
    with gateway.connect() as client:
        client.send(head("/s/waits", f"Content-Length: {SIZE}", method="POST"))
        client.socket.settimeout(1)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < SIZE:
                sent += client.socket.send(PIECE)
        assert sent < SIZE / 2  # in the kernel's buffers
        assert gateway.memory() - before < ROOM
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    until(lambda: lines_of(gateway, "/s/waits"), timeout=2)
    assert lines_of(gateway, "/s/waits")[0]["status"] == 499
    upstreams.call(go_on.set)
    until(lambda: not upstream.open)


def test_a_body_over_the_limit_is_refused_while_it_streams(start_gateway: StartGateway, upstream: Upstream) -> None:
    small = start_gateway(upstream_block("s", upstream), MAX_BODY_BYTES="100000")
    announced = small.ask("/s/announced", "Content-Length: 100001", method="DELETE")
    assert (announced.status, announced.headers["connection"]) == (413, "close")
    with small.connect() as client:
        client.send(head("/s/chunked", "Transfer-Encoding: chunked", method="POST"))
        for _ in range(11):
            client.send(b"2710\r\n" + bytes(10_000) + b"\r\n")
        refused = client.response()
        assert (refused.status, refused.headers["connection"]) == (413, "close")
        assert refused.headers["content-type"] == "application/problem+json"
        assert client.is_closed()
    exactly = small.ask("/s/exactly", method="POST", body=bytes(100_000))
    assert exactly.status == 200
    assert b"/s/announced" not in upstream.targets()


def test_a_body_over_the_limit_after_the_answer_has_begun_breaks_the_answer(
    start_gateway: StartGateway, upstream: Upstream
) -> None:
    async def answers_early(peer: Peer, _request: Received) -> bool:
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nsome")
        await peer.gone()
        return False

    upstream.scripts[b"/s/early"] = answers_early
    upstream.leaves_body.add(b"/s/early")
    small = start_gateway(upstream_block("s", upstream), MAX_BODY_BYTES="100000")
    with small.connect() as client:
        client.send(head("/s/early", "Transfer-Encoding: chunked", method="POST"))
        client.send(b"2710\r\n" + bytes(10_000) + b"\r\n")
        until(lambda: b"some" in client.peek())
        for _ in range(12):
            client.send(b"2710\r\n" + bytes(10_000) + b"\r\n")
        with pytest.raises((EOFError, ConnectionError)):
            client.response()
    assert small.stop() == 0
    assert not [line for line in small.lines() if "exception" in line], "no stack trace for what a client does"


# Time


def test_the_first_byte_leaves_when_the_first_byte_comes(
    gateway: GatewayProcess, upstreams: Upstreams, upstream: Upstream
) -> None:
    go_on = asyncio.Event()

    async def slow(peer: Peer, _request: Received) -> bool:
        await peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nfirst,\r\n")
        await go_on.wait()
        await peer.say(b"4\r\nlast\r\n0\r\n\r\n")
        return True

    upstream.scripts[b"/s/slow"] = slow
    with gateway.connect() as client:
        client.send(head("/s/slow"))
        until(lambda: b"first," in client.peek())
        upstreams.call(go_on.set)
        assert client.response().body == b"first,last"


def test_a_client_that_leaves_ends_the_upstreams_work_within_a_second(
    gateway: GatewayProcess, upstream: Upstream
) -> None:
    ended: dict[bytes, float] = {}

    async def busy(peer: Peer, request: Received) -> bool:
        if request.target == b"/s/streaming":
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome")
        await peer.gone()
        ended[request.target] = time.monotonic()
        return False

    for path, how in ((b"/s/thinking", "close"), (b"/s/streaming", "close"), (b"/s/reset", "reset")):
        upstream.scripts[path] = busy
        client = gateway.connect()
        client.send(head(path.decode()))
        until(lambda path=path: path in upstream.targets())  # type: ignore[misc]  # mypy can't type this lambda
        if path == b"/s/streaming":
            until(lambda client=client: b"some" in client.peek())  # type: ignore[misc]  # as above
        if how == "reset":
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        left = time.monotonic()
        client.socket.close()
        until(lambda path=path: path in ended)  # type: ignore[misc]  # as above
        assert ended[path] - left < 1
    until(lambda: lines_of(gateway, "/s/thinking"))
    assert lines_of(gateway, "/s/thinking")[0]["status"] == 499


def test_a_client_that_leaves_in_mid_upload_ends_it_at_the_upstream(
    gateway: GatewayProcess, upstream: Upstream
) -> None:
    upstream.leaves_body.add(b"/s/half")
    ended: list[float] = []

    async def wait(peer: Peer, _request: Received) -> bool:
        await peer.gone()
        ended.append(time.monotonic())
        return False

    upstream.scripts[b"/s/half"] = wait
    client = gateway.connect()
    client.send(head("/s/half", "Content-Length: 10000000", method="POST") + bytes(1_000_000))
    until(lambda: upstream.received)
    left = time.monotonic()
    client.socket.close()
    until(lambda: ended)
    assert ended[0] - left < 1
    assert not [line for line in gateway.lines() if "exception" in line]
