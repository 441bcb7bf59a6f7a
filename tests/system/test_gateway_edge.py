"""The edge of the real gateway: the whole corpus with an upstream behind it, slow clients, and paths in disguise."""

from __future__ import annotations

import contextlib
import time
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.edge_corpus import ACCEPTED, REFUSED, SMUGGLED, Accepted, Message
from tests.support.edge_server import Client
from tests.support.gateway_process import GatewayProcess, StartGateway, Upstreams, bearer_route, head, upstream_block
from tests.support.scripted_upstream import Upstream
from tests.support.signing import Signing
from tests.support.wait import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

SECRET = b"/open/secret"


@pytest.fixture(scope="module")
def upstream(upstreams: Upstreams) -> Upstream:
    return upstreams.start()


@pytest.fixture(scope="module")
def gateway(start_gateway: StartGateway, upstream: Upstream) -> GatewayProcess:
    routes = upstream_block("x", upstream) + upstream_block("open", upstream) + bearer_route(SECRET.decode(), "open")
    return start_gateway(routes)


@pytest.fixture(autouse=True)
def _forget(upstream: Upstream) -> None:
    upstream.received.clear()


def follow_up(gateway: GatewayProcess, client: Client) -> None:
    """Each of the next requests gets its own answer, on a connection that goes on and on a new one."""
    client.send(head("/x/next"))
    assert client.response().body == b"GET /x/next "
    assert gateway.ask("/x/new").body == b"GET /x/new "


# Messages


@pytest.mark.parametrize("message", REFUSED, ids=lambda message: message.name)
def test_a_malformed_message_reaches_no_upstream_and_harms_no_one(
    gateway: GatewayProcess, upstream: Upstream, message: Message
) -> None:
    with gateway.connect() as other, gateway.connect() as client:
        other.send(head("/x/before"))
        assert other.response().body == b"GET /x/before "
        client.send(message.raw)
        answered = client.response()
        assert (answered.status, client.is_closed()) == (message.status, True)
        assert answered.headers["content-type"] == "application/problem+json"
        assert answered.json()["request_id"] == answered.headers["x-request-id"]
        follow_up(gateway, other)
    # A body's fault shows when a part of it has been forwarded already: that exchange was broken off.
    complete = [request for request in upstream.received if request.is_complete]
    assert [request.target for request in complete] == [b"/x/before", b"/x/next", b"/x/new"]
    assert not any(b"smuggled" in request.target + request.body for request in upstream.received)


@pytest.mark.parametrize(
    "message", [each for each in ACCEPTED if each.raw_path == "/x"], ids=lambda message: message.name
)
def test_an_unusual_message_reaches_the_upstream_as_one_ordinary_request(
    gateway: GatewayProcess, upstream: Upstream, message: Accepted
) -> None:
    with gateway.connect() as client:
        client.send(message.raw)
        answered = client.response()
        if message.method == "OPTIONS":
            assert answered.status == 405
            return
        assert answered.body == f"{message.method} /x {message.body}".encode()
        (request,) = upstream.received
        assert request.body == message.body.encode()
        framing = [name for name, _ in request.headers if name in (b"content-length", b"transfer-encoding")]
        assert len(framing) <= 1
        if message.closes:
            assert client.is_closed()
        else:
            follow_up(gateway, client)


def test_pipelined_requests_get_their_own_answers_in_order(gateway: GatewayProcess) -> None:
    with gateway.connect() as client:
        client.send(
            b"".join(
                head(f"/x/{number}", f"Content-Length: {len(SMUGGLED)}", method="POST")
                + SMUGGLED
                + head(f"/x/{number}")
                for number in range(40)
            )
        )
        for number in range(40):
            assert client.response().body == b"POST /x/%d %b" % (number, SMUGGLED)
            assert client.response().body == b"GET /x/%d " % number


def test_refusals_are_logged_and_counted(gateway: GatewayProcess) -> None:
    before = gateway.metric('gateway_refused_total{reason="framing_ambiguous",status="400"}')
    with gateway.connect() as client:
        framing = ("Content-Length: 1", "Transfer-Encoding: chunked")
        client.send(head("/x?secret=1", *framing, "X-Request-ID: find-me", method="POST"))
        assert client.response().headers["x-request-id"] == "find-me"
    until(lambda: [line for line in gateway.events("request") if line["request_id"] == "find-me"])
    (line,) = [line for line in gateway.events("request") if line["request_id"] == "find-me"]
    assert (line["status"], line["path"], line["failure"]) == (400, "/x", "framing_ambiguous")
    assert gateway.metric('gateway_refused_total{reason="framing_ambiguous",status="400"}') == before + 1


def test_a_path_cannot_write_lines_into_the_log(gateway: GatewayProcess) -> None:
    gateway.ask('/x/%0a{"event":"forged"}', "User-Agent: \x85")
    gateway.ask("/x/%22%7d%1b[31m", "X-Request-ID: seen")
    gateway.ask("/x/seen%E2%80%A8forged")
    until(lambda: [line for line in gateway.events("request") if "seen" in line["path"]])
    assert not gateway.events("forged")
    assert b"\x1b" not in gateway.output.read_bytes()


# Time: the limits are the real ones, so all slow clients are slow at once


def test_slow_clients_are_ended_in_time(gateway: GatewayProcess, upstream: Upstream) -> None:
    clients = {name: gateway.connect(timeout=30) for name in ("silent", "stopped", "dripping", "body", "fast enough")}
    began = time.monotonic()
    ended: dict[str, tuple[float, bytes]] = {}
    clients["stopped"].send(head("/x")[:-5])
    clients["body"].send(head("/x/slow", "Content-Length: 100000", method="POST"))
    clients["fast enough"].send(head("/x/steady", "Content-Length: 30000", method="POST"))
    dripping = head("/x/drip", "X-Long: " + "y" * 300)
    steady = 0
    for tick in range(200):
        with contextlib.suppress(OSError):
            clients["dripping"].socket.send(dripping[tick : tick + 1])
            clients["body"].socket.send(b"x")
        if steady < 30_000:
            clients["fast enough"].send(b"x" * 200)
            steady += 200
        for name, client in clients.items():
            received = client.peek()
            if name not in ended and (received or client.has_ended):
                ended[name] = (time.monotonic() - began, received)
        if len(ended) == len(clients):
            break
        time.sleep(0.09)
    for client in clients.values():
        client.socket.close()
    assert ended.keys() == clients.keys()
    for name, (seconds, received) in ended.items():
        if name == "fast enough":
            assert received.startswith(b"HTTP/1.1 200 ")
            continue
        assert 9 < seconds < 14, name
        assert received.startswith(b"HTTP/1.1 408 ") if name != "silent" else not received, name
    assert [request.target for request in upstream.received if request.is_complete] == [b"/x/steady"]
    assert gateway.ask("/x/after").status == 200


# Paths

DISGUISES = [
    "/open/secret", "/open/secret/", "/open/secret/x", "/open/./secret", "/open/x/../secret", "/open//secret",
    "//open/secret", "/x/../open/secret", "/x/..%2fopen/secret", "/x/%2e%2e/open/secret", "/x/%2E%2E%2Fopen%2Fsecret",
    "/x/..;/open/secret", "/x/..%3b/open/secret", "/open/..;x=y/open/secret", "/open;x/secret", "/open/;/secret",
    "/x\\..\\open\\secret", "/open\\secret", "/open%5csecret", "/x/..%5copen%5csecret", "/open%2fsecret",
    "/open%2Fsecret", "/open/%73ecret", "/open/s%65cret", "/%6fpen/secret", "/open/secret%00", "/open/%00secret",
    "/open/secret%00.css", "/open/secret%20", "/open/secret%09", "/open/secret.", "/open/secret..", "/open/secret;",
    "/open/secret%3b.css", "/open/secret%23", "/open/secret%3f", "/open/%252e%252e/open/secret",
    "/x/%252e%252e%252fopen%252fsecret", "/open/%c0%ae%c0%ae/open/secret", "/open%c0%afsecret", "/open/%2573ecret",
    "/open/SECRET", "/OPEN/secret", "/open/\xef\xbc\x8fsecret", "/open/%ef%bc%8fsecret", "/open/%u0073ecret",
    "http://gateway.test/open/secret", "http://gateway.test/x/../open/secret", "/open/secret?x=/../../x",
    "/x?/../open/secret", "/x#/open/secret", "/x/%23/../open/secret", "/open/.%2e/open/secret", "/open/%2e/secret",
    "/open/secret/%2e%2e", "/open/secret%2f", "/open/secret/..", "/open/./././secret", "/x/..%252f..%252fopen/secret",
    "/open/%%32%66secret", "/open/secret%0d%0aX:y", "/open\tsecret", "/.../open/secret", "/open/ secret",
]  # fmt: skip


def may_mean_secret(target: bytes) -> bool:
    """Whether some server's reading of a forwarded target, however careless, is below the protected prefix."""
    path = target.partition(b"?")[0].partition(b"#")[0]
    for _ in range(3):
        path = unquote_to_bytes(path)
        segments: list[bytes] = []
        for segment in path.replace(b"\\", b"/").split(b"/"):
            name = segment.partition(b";")[0].partition(b"\0")[0]
            if name == b"..":
                segments = segments[:-1]
            elif name not in (b"", b"."):
                segments.append(name)
        if segments[:2] == [b"open", b"secret"]:
            return True
    return False


@pytest.mark.parametrize("target", DISGUISES)
def test_no_spelling_of_a_path_goes_around_its_route(gateway: GatewayProcess, upstream: Upstream, target: str) -> None:
    with gateway.connect() as client:
        client.send(head(target))
        answered = client.response()
    assert not any(may_mean_secret(request.target) for request in upstream.received)
    if may_mean_secret(target.encode("latin-1").removeprefix(b"http://gateway.test")):
        assert answered.status in (400, 401)


def test_equivalent_spellings_are_authorised_alike_and_forwarded_in_one_form(
    gateway: GatewayProcess, upstream: Upstream, signing: Signing
) -> None:
    bearer = f"Authorization: {signing.bearer()['Authorization']}"
    for target in ("/open/secret/a", "/open/%73ecret/%61", "/%6Fpen/secret/a", "http://gateway.test/open/secret/a"):
        assert gateway.ask(target).status == 401
        assert gateway.ask(target, bearer).status == 200
    assert upstream.targets() == [b"/open/secret/a"] * 4


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from([
            "/", "//", "open", "secret", "x", ".", "..", "%2e", "%2E%2e", "%2f", "%5c", "\\", ";", "%3b", "%00", "%25",
            "%73", "%6f", "%252e", "?", "#", "%20", "%c0%ae", "%c0%af", "a", "=", "&", ":", "@", "%0a", "%41",
        ]),
        min_size=1, max_size=10,
    ).map("".join)
)  # fmt: skip
def test_no_combination_of_path_tricks_goes_around_a_route(
    gateway: GatewayProcess, upstream: Upstream, path: str
) -> None:
    upstream.received.clear()
    with gateway.connect() as client:
        client.send(head(path if path.startswith("/") else "/open/" + path))
        client.response()
    assert not any(may_mean_secret(request.target) for request in upstream.received)
