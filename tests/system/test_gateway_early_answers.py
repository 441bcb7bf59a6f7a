"""Upstreams that answer an upload before it has arrived: keeping its connection open, or closing it on the rest."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

from tests.support.edge_server import Response
from tests.support.gateway_process import GatewayProcess, StartGateway, Upstreams, answer, head, upstream_block
from tests.support.scripted_upstream import Upstream, says

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

PIECE = bytes(100_000)
PIECES = 50


@pytest.fixture(scope="module")
def upstream(upstreams: Upstreams) -> Upstream:
    return upstreams.start(
        {
            b"/unread/closes": says(answer(b"too big", b"413 Content Too Large", b"Connection: close"), then="close"),
            b"/unread/closes-unsaid": says(answer(b"too big", b"413 Content Too Large"), then="close"),
            b"/unread/stays": says(answer(b"too big", b"413 Content Too Large"), then="hold"),
        }
    )


@pytest.fixture(scope="module")
def gateway(start_gateway: StartGateway, upstream: Upstream) -> GatewayProcess:
    return start_gateway(upstream_block("unread", upstream))


def upload(gateway: GatewayProcess, path: str, *, chunked: bool) -> Response:
    """Send five megabytes, and read the answer meanwhile."""
    with gateway.connect() as client:

        def send() -> None:
            if chunked:
                client.send(head(path, "Transfer-Encoding: chunked", method="POST"))
                client.send((b"%x\r\n%b\r\n" % (len(PIECE), PIECE)) * PIECES + b"0\r\n\r\n")
            else:
                length = len(PIECE) * PIECES
                client.send(head(path, f"Content-Length: {length}", method="POST") + PIECE * PIECES)

        sending = threading.Thread(target=send)
        sending.start()
        try:
            return client.response()
        finally:
            with contextlib.suppress(OSError):  # closed by the gateway already
                client.socket.shutdown(socket.SHUT_RDWR)
            sending.join()


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
@pytest.mark.parametrize("end", ["closes", "closes-unsaid", "stays"])
def test_an_early_refusal_of_an_upload_reaches_the_client_and_ejects_nobody(
    gateway: GatewayProcess, upstream: Upstream, end: str, *, chunked: bool
) -> None:
    for _ in range(12):  # more than the failures in a row that eject a replica
        refusal = upload(gateway, f"/unread/{end}", chunked=chunked)
        assert (refusal.status, refusal.body) == (413, b"too big")
    assert gateway.ask("/unread/after").body == b"GET /unread/after "
    assert not gateway.events("replica_ejected")
