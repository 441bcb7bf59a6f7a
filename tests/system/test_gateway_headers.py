"""What passes the gateway in either direction, what it sets, and answers it doesn't let through; over real sockets."""

from __future__ import annotations

import re

import pytest

from tests.support.gateway_process import GatewayProcess, StartGateway, Upstreams, answer, bearer_route, head
from tests.support.gateway_process import upstream_block as block
from tests.support.scripted_upstream import Received, Upstream, says
from tests.support.signing import Signing
from tests.support.wait import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def upstream(upstreams: Upstreams) -> Upstream:
    return upstreams.start()


@pytest.fixture(scope="module")
def gateway(start_gateway: StartGateway, upstream: Upstream) -> GatewayProcess:
    return start_gateway(block("s", upstream, retries=0) + bearer_route("/s/mine", "s"), PROXY_TOKEN="sesame")


@pytest.fixture(scope="module")
def behind_proxy(start_gateway: StartGateway, upstream: Upstream) -> GatewayProcess:
    """A gateway that believes what its loopback peers say, as from a TLS terminator in front."""
    return start_gateway(block("s", upstream), TRUSTED_PROXIES="127.0.0.0/8, 10.0.0.0/8")


@pytest.fixture(autouse=True)
def _forget(upstream: Upstream) -> None:
    upstream.scripts = {}
    upstream.received.clear()


def passed(upstream: Upstream, gateway: GatewayProcess, *lines: str, path: str = "/s/x") -> Received:
    """What the upstream gets of a request with these header lines."""
    upstream.received.clear()
    assert gateway.ask(path, *lines).status == 200
    return upstream.received[-1]


def names(request: Received) -> set[bytes]:
    return {name.lower() for name, _ in request.headers}


# Requests

SET_ALWAYS = {
    *(b"host", b"x-request-id", b"traceparent", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"),
    *(b"forwarded", b"via", b"x-proxy-token"),
}


def test_hop_by_hop_fields_end_at_the_gateway(gateway: GatewayProcess, upstream: Upstream) -> None:
    request = passed(
        upstream, gateway, "Connection: X-Hop, keep-alive", "X-Hop: 1", "X-Stays: 2", "Keep-Alive: timeout=5",
        "TE: trailers", "Trailer: X", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__",
        "Proxy-Authorization: Basic x", "Proxy-Connection: close",
    )  # fmt: skip
    assert names(request) == SET_ALWAYS | {b"x-stays"}


@pytest.mark.parametrize("name", ["X-Request-ID", "X-Forwarded-For", "Traceparent", "Via", "Host", "Authorization"])
def test_connection_cannot_take_away_what_the_gateway_sets_or_what_identifies(
    gateway: GatewayProcess, upstream: Upstream, name: str
) -> None:
    request = passed(upstream, gateway, f"Connection: {name}, close", "Authorization: Basic eDp5")
    assert names(request) == SET_ALWAYS | {b"authorization"}


def test_forwarded_fields_come_from_the_socket(gateway: GatewayProcess, upstream: Upstream) -> None:
    request = passed(
        upstream, gateway, "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil",
        "Forwarded: for=6.6.6.6", "X-Real-IP: 6.6.6.6", "X-Forwarded-Port: 1", "X-Forwarded-Prefix: /evil",
    )  # fmt: skip
    assert request.header(b"x-forwarded-for") == b"127.0.0.1"
    assert request.header(b"x-forwarded-proto") == b"http"
    assert request.header(b"x-forwarded-host") == b"gateway.test"
    assert request.header(b"forwarded") == b'for=127.0.0.1;proto=http;host="gateway.test"'
    assert names(request) == SET_ALWAYS


def test_a_trusted_proxys_word_is_passed_on(behind_proxy: GatewayProcess, upstream: Upstream) -> None:
    request = passed(
        upstream, behind_proxy, "X-Forwarded-For: 6.6.6.6, 2001:db8::1, 10.1.2.3", "X-Forwarded-Proto: https",
        "X-Forwarded-Host: school.example",
    )  # fmt: skip
    assert request.header(b"x-forwarded-for") == b"2001:db8::1"
    assert request.header(b"x-forwarded-proto") == b"https"
    assert request.header(b"x-forwarded-host") == b"school.example"
    assert request.header(b"forwarded") == b'for="[2001:db8::1]";proto=https;host="school.example"'


def test_what_even_a_trusted_proxy_says_wrongly_is_not_passed_on(
    behind_proxy: GatewayProcess, upstream: Upstream
) -> None:
    request = passed(
        upstream, behind_proxy, "X-Forwarded-For: unknown", "X-Forwarded-Proto: gopher",
        'X-Forwarded-Host: a";proto=https',
    )  # fmt: skip
    assert request.header(b"x-forwarded-for") == b"127.0.0.1"
    assert request.header(b"forwarded") == b'for=127.0.0.1;proto=http;host="gateway.test"'


def test_identity_that_clients_claim_is_dropped(gateway: GatewayProcess, upstream: Upstream) -> None:
    claims = (
        "X-User", "X-User-Id", "X_User_Id", "x_user-id", "X-Username", "X-Roles", "X-Role", "X-Scopes", "X-Remote-User",
        "Remote-User", "X-Authenticated-User", "X-Forwarded-User", "X-Client-IP", "True-Client-IP", "X-Original-URL",
        "X-Rewrite-URL", "X-HTTP-Method-Override", "X_Forwarded_For", "X-Forwarded_For",
    )  # fmt: skip
    request = passed(upstream, gateway, *(f"{name}: admin" for name in claims), "X-Proxy-Token: sesamee")
    assert names(request) == SET_ALWAYS
    assert request.header(b"x-proxy-token") == b"sesame"


def test_the_token_goes_on_with_the_request_it_authorised(
    gateway: GatewayProcess, upstream: Upstream, signing: Signing
) -> None:
    token = signing.bearer()["Authorization"]
    request = passed(upstream, gateway, f"Authorization: {token}", path="/s/mine/x")
    assert request.header(b"authorization") == token.encode()


def test_request_id_and_trace_are_kept_when_good_and_new_otherwise(gateway: GatewayProcess, upstream: Upstream) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    request = passed(upstream, gateway, "X-Request-ID: mine-1", f"Traceparent: 00-{trace}-b7ad6b7169203331-01")
    assert request.header(b"x-request-id") == b"mine-1"
    parent = request.header(b"traceparent")
    assert parent is not None
    assert re.fullmatch(rb"00-%b-[0-9a-f]{16}-01" % trace.encode(), parent)
    assert b"b7ad6b7169203331" not in parent, "the span is the gateway's own"
    request = passed(upstream, gateway, "X-Request-ID: a b", "Traceparent: 00-0-0-0")
    assert re.fullmatch(rb"[0-9a-f]{32}", request.header(b"x-request-id") or b"")
    assert re.fullmatch(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-00", request.header(b"traceparent") or b"")
    assert request.header(b"via") == b"1.1 matricula"


def test_cookies_go_and_come_and_stay_with_their_caller(gateway: GatewayProcess, upstream: Upstream) -> None:
    upstream.scripts[b"/s/login"] = says(
        answer(b"", b"200 OK", b"Set-Cookie: a=1; Path=/", b"Set-Cookie: b=2, c; Expires=Wed, 21 Oct 2026 07:28:00 GMT")
    )
    with gateway.connect() as client:
        client.send(head("/s/login", "Cookie: mine=1", "Cookie: mine=2"))
        fields = client.response().fields
        cookies = [value for name, value in fields if name == "set-cookie"]
        assert cookies == ["a=1; Path=/", "b=2, c; Expires=Wed, 21 Oct 2026 07:28:00 GMT"]
        assert [value for name, value in upstream.received[-1].headers if name == b"cookie"] == [b"mine=1", b"mine=2"]
        client.send(head("/s/next"))
        client.response()
    gateway.ask("/s/other")
    assert all(b"cookie" not in names(request) for request in upstream.received[-2:])


# Answers


def test_an_answers_hop_by_hop_fields_end_at_the_gateway(gateway: GatewayProcess, upstream: Upstream) -> None:
    upstream.scripts[b"/s/hops"] = says(
        answer(
            b"", b"200 OK", b"Connection: X-Hop, X-Request-ID, Set-Cookie, Content-Type", b"X-Hop: 1", b"X-Stays: 2",
            b"Keep-Alive: timeout=5", b"X-Request-ID: not-yours", b"Set-Cookie: a=b", b"Content-Type: text/plain",
            b"Proxy-Authenticate: Basic", b"Upgrade: h2c", b'Alt-Svc: h3=":1"', b"Trailer: X", b"TE: trailers",
        )
    )  # fmt: skip
    answered = gateway.ask("/s/hops", "X-Request-ID: mine")
    passed_on = {name for name, _ in answered.fields}
    assert passed_on & {"x-hop", "keep-alive", "proxy-authenticate", "upgrade", "alt-svc", "trailer", "te"} == set()
    assert "connection" not in passed_on
    assert {"x-stays", "set-cookie", "content-type", "date"} <= passed_on
    assert [value for name, value in answered.fields if name == "x-request-id"] == ["mine"]
    assert answered.headers["ratelimit-policy"].startswith('"anonymous"')


BAD_ANSWERS = {
    "length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "the same length twice": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\nabc",
    "a signed length": b"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
    "a hexadecimal length": b"HTTP/1.1 200 OK\r\nContent-Length: 0x3\r\n\r\nabc",
    "an endless length": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nabc",
    "an empty length": b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nabc",
    "two codings": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "an unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "NUL in a value": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
    "NUL in a name": b"HTTP/1.1 200 OK\r\nX\0: a\r\nContent-Length: 0\r\n\r\n",
    "CR in a value": b"HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n",
    "a folded line": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "a space before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 3\r\n\r\nabc",
    "a huge head": b"HTTP/1.1 200 OK\r\n" + b"X-Fill: %b\r\n" % (b"y" * 8000) * 20 + b"Content-Length: 0\r\n\r\n",
    "too many fields": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"Content-Length: 0\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n",
    "a low status": b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
    "a high status": b"HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n",
    "another version": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "another protocol": b"ICY 200 OK\r\nContent-Length: 0\r\n\r\n",
    "no protocol": b"hello there, this is not HTTP\r\n\r\n",
    "switching protocols": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n\x81",
    "an endless head": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,
    "endless interim answers": b"HTTP/1.1 103 Early\r\nLink: <%b>\r\n\r\n" % (b"y" * 1000) * 100,
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_a_bad_answer_is_a_502_and_ends_its_connection(gateway: GatewayProcess, upstream: Upstream, name: str) -> None:
    upstream.scripts[b"/s/bad"] = says(BAD_ANSWERS[name], then="hold")
    with gateway.connect() as client:
        client.send(head("/s/bad", method="POST"))
        answered = client.response()
        assert (answered.status, answered.headers["content-type"]) == (502, "application/problem+json")
        assert "set-cookie" not in answered.headers
        until(lambda: not upstream.open)
        client.send(head("/s/next"))  # and the client's own connection goes on
        assert client.response().body == b"GET /s/next "


def test_bytes_after_an_answer_are_nobodys(gateway: GatewayProcess, upstream: Upstream) -> None:
    evil = answer(b"evil", b"200 OK", b"Set-Cookie: evil=1")
    upstream.scripts[b"/s/two"] = says(answer(b"first") + evil)
    upstream.scripts[b"/s/late"] = says(answer(b"first"), evil)
    upstream.scripts[b"/s/204"] = says(b"HTTP/1.1 204 No Content\r\n\r\nevil")
    upstream.scripts[b"/s/304"] = says(b"HTTP/1.1 304 Not Modified\r\n\r\n" + evil)
    upstream.scripts[b"/s/head"] = says(answer(b"evil"))
    for path, method in (("/two", "GET"), ("/late", "GET"), ("/204", "GET"), ("/304", "GET"), ("/head", "HEAD")) * 5:
        first = gateway.ask("/s" + path, method=method)
        assert b"evil" not in first.body
        # Not to be told from the next answer once another request has been sent: an idle connection has none.
        until(lambda: not upstream.open)
        for number in range(3):
            assert gateway.ask(f"/s/next/{number}").body == b"GET /s/next/%d " % number


# Upgrades


@pytest.mark.parametrize("path", ["/s/socket", "/", "/healthz"])
def test_a_websocket_is_refused_cleanly(gateway: GatewayProcess, upstream: Upstream, path: str) -> None:
    with gateway.connect() as client:
        client.send(
            head(path, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
        )  # fmt: skip
        answered = client.response()
        assert (answered.status, answered.headers["content-type"]) == (501, "application/problem+json")
        assert client.is_closed()
    assert upstream.received == []


def test_what_follows_a_refused_websocket_is_no_request(gateway: GatewayProcess, upstream: Upstream) -> None:
    with gateway.connect() as client:
        client.send(
            head("/s/socket", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==") + head("/s/hidden-in-frames")
        )  # fmt: skip
        assert client.response().status == 501
        assert client.is_closed()
    assert upstream.received == []


def test_other_upgrades_are_offers_that_nobody_takes(gateway: GatewayProcess, upstream: Upstream) -> None:
    request = passed(upstream, gateway, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAA")
    assert names(request) == SET_ALWAYS
