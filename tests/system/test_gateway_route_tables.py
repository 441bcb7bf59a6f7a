"""Tables that look right and aren't, and tables that change under requests and limits."""

from __future__ import annotations

import signal
import socket

import pytest

from tests.support.gateway_process import GatewayProcess, StartGateway, Upstreams, answer, head, upstream_block
from tests.support.raw_websocket import HANDSHAKE, switches
from tests.support.scripted_upstream import Upstream, says
from tests.support.wait import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def upstream(upstreams: Upstreams) -> Upstream:
    return upstreams.start()


@pytest.fixture(scope="module")
def gateway(start_gateway: StartGateway, upstream: Upstream) -> GatewayProcess:
    return start_gateway(upstream_block("s", upstream))


def reload(gateway: GatewayProcess, table: bytes, event: str = "routes_reloaded") -> str:
    """Give it another table; returns the reason if that was to be refused."""
    seen = len(gateway.events(event))
    gateway.routes_file.write_bytes(table)
    gateway.signal(signal.SIGHUP)
    until(lambda: len(gateway.events(event)) > seen)
    return str(gateway.events(event)[-1].get("reason"))


UNUSABLE_URLS = [
    "http://127.0.0.1:99999",
    "http://127.0.0.1:0",
    "http://127.0.0.1:http",
    "http://",
    "http://:8001",
    "http://127.0.0.1/path",
    "http://127.0.0.1?query",
    "http://user:hunter2@127.0.0.1",
    "http://[::1",
    "http://schüler.example",
]


@pytest.mark.parametrize("url", UNUSABLE_URLS)
def test_a_url_that_no_client_could_use_is_named_and_the_old_table_kept(
    gateway: GatewayProcess, upstream: Upstream, url: str
) -> None:
    reason = reload(gateway, upstream_block("bad", url).encode(), "routes_kept")
    assert "upstreams.bad: urls #1: " in reason
    assert "hunter2" not in gateway.output.read_text()
    assert (gateway.ask("/s/x").status, gateway.ask("/bad").status) == (200, 404)


def test_a_url_that_no_client_could_use_is_one_clear_line_at_the_start(start_gateway: StartGateway) -> None:
    gateway = start_gateway(upstream_block("bad", UNUSABLE_URLS[0]), wait=False)
    assert gateway.process.wait(60) == 1
    written = gateway.output.read_text()
    assert "configuration error: routes.toml: upstreams.bad: urls #1: " in written
    assert "uncaught_exception" not in written


def test_a_table_in_another_encoding_is_kept_out(gateway: GatewayProcess, upstream: Upstream) -> None:
    reason = reload(gateway, upstream_block("t", upstream).encode() + "# Schüler\n".encode("latin-1"), "routes_kept")
    assert "not UTF-8" in reason
    assert gateway.ask("/s/x").status == 200


@pytest.mark.parametrize("name", ['a\\"b', "a b", "é", "a\\nb"])
def test_a_limits_name_that_cannot_stand_in_a_header_is_refused(
    gateway: GatewayProcess, upstream: Upstream, name: str
) -> None:
    table = f'[limits."{name}"]\nrate = "1/minute"\n' + upstream_block("t", upstream)
    assert "a limit's name" in reload(gateway, table.encode(), "routes_kept")


def test_a_url_with_a_slash_at_its_end_is_asked_at_the_same_places(
    start_gateway: StartGateway, upstreams: Upstreams
) -> None:
    upstream = upstreams.start({b"/healthz": says(answer(b"{}")), b"//healthz": says(answer(b"", b"404 Not Found"))})
    gateway = start_gateway(upstream_block("s", f"{upstream.url}/"))
    assert gateway.ask("/s/x").body == b"GET /s/x "
    assert gateway.ask("/readyz").status == 200


def test_a_body_that_takes_longer_than_any_exchange_still_goes_where_the_old_table_said(
    start_gateway: StartGateway, upstream: Upstream
) -> None:
    gateway = start_gateway(upstream_block("s", upstream, total_seconds=0.5))
    with gateway.connect() as client:
        client.send(head("/s/slow", "Content-Length: 10", method="POST") + b"hello")
        assert gateway.ask("/s/x").status == 200  # by then that one is under way
        reload(gateway, upstream_block("s", upstream, total_seconds=5).encode())
        reload(gateway, upstream_block("t", upstream).encode())
        client.socket.settimeout(1.5)  # three times as long as an exchange with the upstream may take
        with pytest.raises(TimeoutError):
            client.socket.recv(1)
        client.socket.settimeout(10)
        client.send(b"world")
        assert client.response().body == b"POST /s/slow helloworld"


def test_a_websocket_outlives_any_exchange_of_the_table_that_it_began_with(
    start_gateway: StartGateway, upstreams: Upstreams
) -> None:
    chat = upstreams.start({b"/chat": switches})
    gateway = start_gateway(upstream_block("chat", chat, total_seconds=0.5) + "websocket = true\n")
    with gateway.connect() as client:
        client.send(head("/chat", *HANDSHAKE))
        assert client.response().status == 101
        reload(gateway, upstream_block("chat", chat, total_seconds=5).encode())
        client.socket.settimeout(1.5)  # three times as long as a request may take
        with pytest.raises(TimeoutError):
            client.socket.recv(1)
        client.socket.settimeout(10)
        client.send(b"still here")
        assert client.socket.recv(100) == b"still here"
        assert len(chat.open) == 1
    until(lambda: not chat.open)


def test_a_limit_over_another_time_starts_afresh_and_tells_the_truth(
    start_gateway: StartGateway, upstream: Upstream
) -> None:
    def limited(rate: str) -> str:
        limit = f'[limits.pace]\nrate = "{rate}"\nper = "client"\n'
        return limit + upstream_block("s", upstream) + 'limit = "pace"\n'

    gateway = start_gateway(limited("3/minute"))
    assert [gateway.ask("/s/x").status for _ in range(4)] == [200, 200, 200, 429]
    reload(gateway, limited("5/hour").encode())
    first = gateway.ask("/s/x")
    assert (first.status, first.headers["ratelimit-policy"]) == (200, '"pace";q=5;w=3600')
    remaining, seconds = (int(part.partition("=")[2]) for part in first.headers["ratelimit"].split(";")[1:])
    assert remaining == 4
    assert 3600 <= seconds <= 3600 * 1.05


def test_sighup_does_not_end_a_gateway_that_is_still_starting(start_gateway: StartGateway, upstream: Upstream) -> None:
    gateway = start_gateway(upstream_block("s", upstream), wait=False)
    until(lambda: is_taken(gateway.port), timeout=40)
    gateway.signal(signal.SIGHUP)
    until(lambda: gateway.process.poll() is not None or gateway.is_up(), timeout=40)
    assert gateway.process.poll() is None
    assert gateway.ask("/s/x").status == 200


def is_taken(port: int) -> bool:
    """Whether somebody has bound it: the first thing that a starting gateway does."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
