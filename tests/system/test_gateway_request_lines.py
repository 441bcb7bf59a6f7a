"""Every request's one line in the log, also of those that are out of the ordinary; and what is told of it upstream."""

from __future__ import annotations

import re
import select
from typing import Any

import pytest

from tests.support.gateway_process import GatewayProcess, StartGateway, Upstreams, head, upstream_block
from tests.support.scripted_upstream import Upstream
from tests.support.wait import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(scope="module")
def upstream(upstreams: Upstreams) -> Upstream:
    return upstreams.start()


@pytest.fixture(scope="module")
def gateway(start_gateway: StartGateway, upstream: Upstream) -> GatewayProcess:
    return start_gateway(upstream_block("s", upstream), TRUSTED_PROXIES="127.0.0.0/8")


def line_of(gateway: GatewayProcess, request_id: str) -> dict[str, Any]:
    def lines() -> list[dict[str, Any]]:
        return [line for line in gateway.events("request") if line["request_id"] == request_id]

    until(lines)
    (line,) = lines()
    return line


def test_options_asterisk_is_answered_and_logged(gateway: GatewayProcess) -> None:
    with gateway.connect() as client:
        client.send(head("*", "X-Request-ID: asterisk", method="OPTIONS") + head("/s/next"))
        answered = client.response()
        assert (answered.status, answered.body, answered.headers["x-request-id"]) == (204, b"", "asterisk")
        assert {"GET", "OPTIONS"} <= set(answered.headers["allow"].split(", "))
        assert client.response().body == b"GET /s/next "
    line = line_of(gateway, "asterisk")
    assert (line["method"], line["path"], line["status"]) == ("OPTIONS", "*", 204)


@pytest.mark.parametrize("path", ["/s/" + "a" * 8000, "/s/" + "%22" * 2600, "/s/" + "%01" * 2600])
def test_a_long_path_makes_no_line_that_a_pipe_would_take_in_pieces(gateway: GatewayProcess, path: str) -> None:
    request_id = f"long-{path[4:6].replace('%', '')}"
    assert gateway.ask(path, f"X-Request-ID: {request_id}").status in (200, 400)
    line = line_of(gateway, request_id)
    assert line["path"].startswith("/s/")
    (raw,) = [each for each in gateway.output.read_bytes().splitlines() if request_id.encode() in each]
    assert len(raw) < select.PIPE_BUF


@pytest.mark.parametrize(
    "traceparent",
    [None, "nonsense", f"00-{'0' * 32}-b7ad6b7169203331-01", f"00-{TRACE}-b7ad6b7169203331-01-extra"],
)
def test_the_state_of_a_trace_that_is_not_continued_goes_no_further(
    gateway: GatewayProcess, upstream: Upstream, traceparent: str | None
) -> None:
    lines = [] if traceparent is None else [f"traceparent: {traceparent}"]
    gateway.ask("/s/x", *lines, "tracestate: vendor=value")
    assert upstream.received[-1].header(b"tracestate") is None


@pytest.mark.parametrize(
    "traceparent", [f"00-{TRACE}-b7ad6b7169203331-01", f"cc-{TRACE}-b7ad6b7169203331-01-what-the-future-will-be"]
)
def test_the_state_of_a_trace_that_is_continued_goes_on(
    gateway: GatewayProcess, upstream: Upstream, traceparent: str
) -> None:
    gateway.ask("/s/x", f"traceparent: {traceparent}", "tracestate: vendor=value")
    assert upstream.received[-1].header(b"tracestate") == b"vendor=value"
    assert TRACE.encode() in (upstream.received[-1].header(b"traceparent") or b"")


@pytest.mark.parametrize("zone", ["eth0", '1";host="evil', "1;proto=evil"])
def test_an_address_with_a_zone_is_nobodys_from_outside(gateway: GatewayProcess, upstream: Upstream, zone: str) -> None:
    """A zone is free text, which would be told on in Forwarded."""
    gateway.ask("/s/x", f"X-Forwarded-For: fe80::1%{zone}")
    received = upstream.received[-1]
    assert received.header(b"x-forwarded-for") == b"127.0.0.1"
    assert received.header(b"forwarded") == b'for=127.0.0.1;proto=http;host="gateway.test"'


def test_no_terminal_obeys_what_stands_in_a_path(start_gateway: StartGateway, upstream: Upstream) -> None:
    gateway = start_gateway(upstream_block("s", upstream), LOG_FORMAT="console")
    assert gateway.ask("/nope/%1b%5B2Jx").status == 400
    assert gateway.ask("/nope/%C2%9B2Jx").status == 400
    assert gateway.ask("/s/%E2%80%AEtxt").status == 200  # a format character, no control
    until(lambda: rb"\u202e" in gateway.output.read_bytes(), timeout=10)
    text = re.sub(r"\x1b\[[0-9;]*m", "", gateway.output.read_text())  # without the colours of the lines themselves
    assert r"path='/nope/\x1b[2Jx'" in text
    assert r"path='/nope/\x9b2Jx'" in text
    assert not set("\x1b\x9b\u202e") & set(text)
