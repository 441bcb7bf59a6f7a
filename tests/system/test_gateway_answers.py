"""Answers that break off, have no body, or cross versions of HTTP; through the real gateway, over real sockets."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.edge_server import Client
from tests.support.gateway_process import GatewayProcess, StartGateway, Upstreams, answer, head, upstream_block
from tests.support.scripted_upstream import Peer, Received, Upstream, says

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def upstream(upstreams: Upstreams) -> Upstream:
    return upstreams.start()


@pytest.fixture(scope="module", params=["0", "1000"], ids=["sleeping", "busy-polling"])
def gateway(request: pytest.FixtureRequest, start_gateway: StartGateway, upstream: Upstream) -> GatewayProcess:
    return start_gateway(upstream_block("s", upstream), BUSY_POLL_MICROSECONDS=request.param)


@pytest.fixture(autouse=True)
def _forget(upstream: Upstream) -> None:
    upstream.scripts = {}
    upstream.received.clear()


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf",
    ],
)
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_an_answer_that_breaks_off_never_looks_complete(
    gateway: GatewayProcess, upstream: Upstream, start: bytes, end: str, version: str
) -> None:
    async def breaks(peer: Peer, _request: Received) -> bool:
        await peer.say(start)
        await asyncio.sleep(0.05)
        if end == "reset":
            peer.reset()
        return False

    upstream.scripts[b"/s/breaks"] = breaks
    with gateway.connect() as client:
        client.send(head("/s/breaks", method="POST", version=version))
        try:
            response = client.response()
        except (EOFError, ConnectionError):
            response = None  # cut short, visibly
    # A body that had not begun to be relayed can still become a plain error.
    assert response is None or response.status == 502
    follow_up(gateway)


def follow_up(gateway: GatewayProcess) -> None:
    """Whatever came before, the next requests get their own answers."""
    with gateway.connect() as client:
        for number in range(3):
            client.send(head(f"/s/after/{number}"))
            assert client.response().body == b"GET /s/after/%d " % number


def test_answers_without_a_body_are_right(gateway: GatewayProcess, upstream: Upstream) -> None:
    upstream.scripts[b"/s/head"] = says(b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n")
    upstream.scripts[b"/s/head-chunked"] = says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    upstream.scripts[b"/s/204"] = says(b"HTTP/1.1 204 No Content\r\n\r\n")
    upstream.scripts[b"/s/304"] = says(b"HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 77\r\n\r\n")
    upstream.scripts[b"/s/empty"] = says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    with gateway.connect() as client:
        for _ in range(2):
            client.send(head("/s/head", method="HEAD"))
            assert client.response(to_head=True).headers["content-length"] == "1234"
            client.send(head("/s/head-chunked", method="HEAD"))
            assert client.response(to_head=True).status == 200
            client.send(head("/s/204"))
            answered = client.response()
            assert (answered.status, answered.headers.keys() & {"content-length", "transfer-encoding"}) == (204, set())
            client.send(head("/s/304"))
            answered = client.response()
            assert (answered.status, answered.headers["etag"]) == (304, "x")
            client.send(head("/s/empty"))
            assert client.response().body == b""
    follow_up(gateway)


@pytest.mark.parametrize("extra", [b"5", b"5;a=b", b"0\r\n\r\n"])
def test_a_connection_on_which_more_came_than_an_answer_to_head_serves_no_other_request(
    gateway: GatewayProcess, upstream: Upstream, extra: bytes
) -> None:
    upstream.scripts[b"/s/more"] = says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + extra)
    assert gateway.ask("/s/more", method="HEAD").status == 200
    assert gateway.ask("/s/next").body == b"GET /s/next "
    used, next_one = (request.connection for request in upstream.received)
    assert next_one != used


def test_a_length_that_no_machine_counts_to_is_a_bad_answer_and_asked_for_once(
    gateway: GatewayProcess, upstream: Upstream
) -> None:
    upstream.scripts[b"/s/huge"] = says(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\nhello" % (2**64 - 1))
    assert gateway.ask("/s/huge").status == 502
    assert upstream.targets() == [b"/s/huge"]
    follow_up(gateway)


def test_interim_answers_are_the_gateways_own_business(gateway: GatewayProcess, upstream: Upstream) -> None:
    upstream.scripts[b"/s/hints"] = says(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\nSet-Cookie: a=b\r\n\r\n",
        answer(b"fin"),
    )
    with gateway.connect() as client:
        client.send(head("/s/hints"))
        answered = client.response()
        assert (answered.status, answered.body) == (200, b"fin")
        assert answered.headers.keys() & {"link", "set-cookie"} == set()
    follow_up(gateway)


@pytest.mark.parametrize(
    "reply",
    [
        answer(b"whole"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nwhole\r\n0\r\nX-Sum: 1\r\n\r\n",
    ],
)
def test_http_10_clients_get_neither_chunks_nor_interim_answers(
    gateway: GatewayProcess, upstream: Upstream, reply: bytes
) -> None:
    async def in_two(peer: Peer, _request: Received) -> bool:
        await peer.say(b"HTTP/1.1 103 Early Hints\r\n\r\n" + reply[:-8])
        await asyncio.sleep(0.02)
        await peer.say(reply[-8:])
        return True

    upstream.scripts[b"/s/old"] = in_two
    with gateway.connect() as client:
        client.send(head("/s/old", version="1.0"))
        raw = client.rest()
    start, _, body = raw.partition(b"\r\n\r\n")
    assert start.startswith(b"HTTP/1.1 200 ")
    assert b"transfer-encoding" not in start.lower()
    assert body == b"whole"


def test_an_http_10_upstream_is_relayed_to_its_end(gateway: GatewayProcess, upstream: Upstream) -> None:
    upstream.scripts[b"/s/old-upstream"] = says(b"HTTP/1.0 200 OK\r\n\r\nall ", b"of it", then="close")
    with gateway.connect() as client:
        client.send(head("/s/old-upstream"))
        assert client.response().body == b"all of it"
        client.send(head("/s/next"))
        assert client.response().body == b"GET /s/next "


def test_a_continue_is_sent_when_the_upload_is_wanted_and_not_otherwise(
    gateway: GatewayProcess, upstream: Upstream
) -> None:
    def expecting(path: str) -> Client:
        client = gateway.connect()
        client.send(head(path, "Expect: 100-continue", "Content-Length: 5", method="POST"))
        return client

    with expecting("/s/wanted") as client:
        assert client.response().status == 100
        client.send(b"hello")
        assert client.response().body == b"POST /s/wanted hello"
    with expecting("/nowhere") as client:
        assert client.response().status == 404
    assert b"expect" not in {name for request in upstream.received for name, _ in request.headers}
