"""Upstreams that speak TLS: reached only if their certificate is one that the system, or SSL_CERT_FILE, vouches for."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from tests.support.gateway_process import StartGateway, Upstreams, answer, head
from tests.support.gateway_process import upstream_block as block
from tests.support.scripted_upstream import Upstream, says
from tests.support.tls_front import make_certificate
from tests.support.wait import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(60)]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def upstream(upstreams: Upstreams, certificate: tuple[Path, Path]) -> Upstream:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return upstreams.start(tls=context)


def test_requests_pass_encrypted_on_connections_that_are_kept(
    start_gateway: StartGateway, upstream: Upstream, certificate: tuple[Path, Path]
) -> None:
    gateway = start_gateway(block("s", f"https://127.0.0.1:{upstream.port}"), SSL_CERT_FILE=str(certificate[0]))
    upstream.scripts[b"/s/large"] = says(answer(bytes(3_000_000)))
    before = upstream.connections
    with gateway.connect() as client:
        for number in range(5):
            client.send(head(f"/s/{number}"))
            assert client.response().body == b"GET /s/%d " % number
        assert upstream.connections - before == 1
        body = bytes(range(256)) * 4000
        client.send(head("/s/up", f"Content-Length: {len(body)}", method="POST") + body)
        assert client.response().body == b"POST /s/up " + body
        client.send(head("/s/large"))
        assert client.response().body == bytes(3_000_000)
    assert upstream.received[-1].header(b"host") == b"127.0.0.1:%d" % upstream.port


def test_a_certificate_that_nobody_vouches_for_is_a_bad_gateway(
    start_gateway: StartGateway, upstream: Upstream
) -> None:
    gateway = start_gateway(block("s", f"https://127.0.0.1:{upstream.port}", retries=0))
    before = len(upstream.received)
    assert gateway.ask("/s/x").status == 502
    assert len(upstream.received) == before
    until(lambda: any("failure" in e for e in gateway.events("request")))
    assert gateway.events("request")[-1]["failure"] == "ConnectError"


def test_an_upstream_that_never_finishes_its_handshake_is_a_gateway_timeout(
    start_gateway: StartGateway, upstreams: Upstreams
) -> None:
    plain = upstreams.start()  # waits for the end of a request's head, which a TLS hello isn't
    gateway = start_gateway(block("s", f"https://127.0.0.1:{plain.port}", retries=0, connect_seconds=0.5))
    assert gateway.ask("/s/x").status == 504
    assert plain.received == []
