"""What the edge does with slow, leaving, impatient and pipelining clients, over real sockets."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.support.edge_server import QUICK, EdgeServer, edge_server, get

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def server(request: pytest.FixtureRequest) -> Iterator[EdgeServer]:
    with edge_server(loop=request.param, timeout_keep_alive=1) as running:
        yield running


def until(condition: object, timeout_seconds: float = 2.0) -> bool:
    assert callable(condition)
    deadline = time.monotonic() + timeout_seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(condition())


# Time


def test_head_that_stops_half_way_is_408(server: EdgeServer) -> None:
    with server.connect() as client:
        client.send(b"GET /x HTTP/1.1\r\nHo")
        assert client.response().status == 408
        assert client.is_closed()


def test_head_that_drips_is_408_though_bytes_keep_coming(server: EdgeServer) -> None:
    with server.connect() as client:
        client.send(GET)
        client.response()
        started = time.monotonic()
        client.socket.settimeout(0.05)
        for byte in GET * 3:
            client.send(bytes((byte,)))
            try:
                client.received += client.socket.recv(65536)
                break
            except TimeoutError:
                pass
        assert client.response().status == 408
        assert time.monotonic() - started < 1


def test_connection_that_never_sends_is_closed_without_an_answer(server: EdgeServer) -> None:
    with server.connect() as client:
        assert client.rest() == b""


def test_idle_connection_is_closed_without_an_answer(server: EdgeServer) -> None:
    with server.connect() as client:
        client.send(GET)
        client.response()
        time.sleep(0.5)  # longer than a head may take: between requests only keep-alive's limit counts
        client.send(GET + b"\r\n")
        client.response()
        started = time.monotonic()
        assert client.rest() == b""
        assert time.monotonic() - started > 0.8


def test_body_that_drips_is_408(server: EdgeServer) -> None:
    with server.connect() as client:
        client.send(get("/x", "Content-Length: 1000", method="POST") + b"some")
        answer = client.response()
        assert (answer.status, answer.json()["instance"]) == (408, "/x")
        assert client.is_closed()
    assert until(lambda: "/x" in server.seen.left)
    assert server.refused[-1].reached_application


def test_body_that_drips_to_an_application_that_has_answered_breaks_off(server: EdgeServer) -> None:
    with server.connect() as client:
        client.send(get("/endless", "Content-Length: 1000", method="POST") + b"some")
        with pytest.raises(ConnectionResetError):
            client.rest()


def test_body_that_is_slow_but_fast_enough_arrives(server: EdgeServer) -> None:
    with server.connect() as client:
        client.send(get("/x", "Content-Length: 4000", method="POST"))
        for _ in range(8):
            client.send(b"x" * 500)
            time.sleep(0.08)
        assert client.response().json()["body"] == "x" * 4000


def test_time_in_which_the_application_reads_nothing_is_not_the_clients(server: EdgeServer) -> None:
    with server.connect() as client:
        client.send(get("/pause", "Expect: 100-continue", "Content-Length: 9", method="POST"))
        assert client.response().status == 401


def test_client_that_reads_nothing_is_dropped(server: EdgeServer) -> None:
    with server.connect() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.send(get("/endless"))
        assert until(lambda: "/endless" in server.seen.left, 5)


def test_client_that_reads_slowly_is_kept() -> None:
    with edge_server(limits=replace(QUICK, write_idle_seconds=0.3)) as server, server.connect() as client:
        client.send(get("/endless"))
        for _ in range(12):
            time.sleep(0.05)
            assert client.socket.recv(1 << 20)
        assert server.seen.left == []


def test_client_that_reads_slowly_is_kept_though_the_kernel_holds_much_for_it() -> None:
    """The kernel asks for more only when a good part of what it holds is taken, here after a second or more."""
    with edge_server(limits=replace(QUICK, write_idle_seconds=0.5)) as server, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        connection.settimeout(5)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(get("/endless"))
        for _ in range(50):
            time.sleep(0.05)
            assert connection.recv(4096)
        assert server.seen.left == []


# Order


def test_pipelined_requests_are_answered_in_order(server: EdgeServer) -> None:
    with server.connect() as client:
        bodies = [b"%d" % number * number for number in range(1, 40)]
        client.send(
            b"".join(
                get(f"/{number}", f"Content-Length: {len(body)}", method="POST") + body + get("/pause")
                for number, body in enumerate(bodies)
            )
        )
        for number, body in enumerate(bodies[:3]):
            seen = client.response().json()
            assert (seen["path"], seen["body"]) == (f"/{number}", body.decode())
            assert client.response().body == b"no"


def test_pipelined_request_is_not_started_before_the_answer_to_the_one_before(server: EdgeServer) -> None:
    server.seen.requests.clear()
    with server.connect() as client:
        client.send(get("/wait") + get("/second") * 20_000)
        assert until(lambda: any(seen["path"] == "/wait" for seen in server.seen.requests))
        time.sleep(0.1)
        assert not any(seen["path"] == "/second" for seen in server.seen.requests)


def test_malformed_pipelined_request_is_refused_after_the_answer_before_it(server: EdgeServer) -> None:
    with server.connect() as client:
        client.send(get("/pause") + b"GET / HTTP/1.1\r\n\r\n" + get("/smuggled"))
        assert client.response().status == 401
        assert client.response().status == 400
        assert client.is_closed()


def test_request_after_one_that_closes_is_not_answered(server: EdgeServer) -> None:
    with server.connect() as client:
        client.send(get("/x", "Connection: close") + get("/after-close"))
        assert client.response().status == 200
        assert client.is_closed()
    assert not any(seen["path"] == "/after-close" for seen in server.seen.requests)


# Bodies


def test_continue_is_sent_only_when_the_application_wants_the_body(server: EdgeServer) -> None:
    with server.connect() as client:
        client.send(get("/x", "Expect: 100-Continue", "Content-Length: 5", method="POST"))
        assert client.response().status == 100
        client.send(b"hello")
        assert client.response().json()["body"] == "hello"
        client.send(get("/early", "Expect: 100-continue", "Content-Length: 5", method="POST"))
        answer = client.response()
        assert (answer.status, answer.headers["connection"]) == (401, "close")
        assert client.is_closed()


def test_continue_is_not_sent_for_a_body_that_is_already_there(server: EdgeServer) -> None:
    with server.connect() as client:
        client.send(get("/x", "Expect: 100-continue", "Content-Length: 5", method="POST") + b"hello")
        assert client.response().status == 200


def test_short_rest_of_an_unread_body_is_skipped(server: EdgeServer) -> None:
    with server.connect() as client:
        client.send(get("/early", "Content-Length: 35", method="POST"))
        answer = client.response()
        assert (answer.status, "connection" in answer.headers) == (401, False)
        client.send(get("/smuggled").ljust(35, b"x") + get("/next"))
        assert client.response().json()["path"] == "/next"


def test_client_that_sends_on_can_still_read_the_answer_that_came_early(server: EdgeServer) -> None:
    with server.connect() as client:
        client.send(get("/early", "Content-Length: 50000000", method="POST"))
        for _ in range(20):
            client.send(bytes(65536))
        answer = client.response()
        assert (answer.status, answer.headers["connection"]) == (401, "close")


def test_large_body_passes_in_flat_pieces(server: EdgeServer) -> None:
    with server.connect() as client:
        body = b"0123456789abcdef" * 65536
        client.send(get("/x", f"Content-Length: {len(body)}", method="POST") + body)
        assert client.response().json()["body"] == body.decode()


# Answers


def test_unfinished_response_is_visibly_broken(server: EdgeServer) -> None:
    with server.connect() as client:
        client.send(get("/abort"))
        with pytest.raises((EOFError, ConnectionResetError)):
            client.response()
    with server.connect() as client:
        client.send(get("/abort", version="1.0"))
        with pytest.raises(ConnectionResetError):
            client.rest()


def test_http_10_response_has_no_chunks_and_ends_with_the_connection(server: EdgeServer) -> None:
    with server.connect() as client:
        client.send(get("/stream", version="1.0"))
        answer = client.response()
        assert (answer.body, answer.headers["connection"]) == (b"one,two,three", "close")
        assert "transfer-encoding" not in answer.headers


def test_head_and_304_have_no_body(server: EdgeServer) -> None:
    with server.connect() as client:
        client.send(get("/x", method="HEAD") + get("/stream", method="HEAD") + get("/304") + get("/next"))
        assert int(client.response(to_head=True).headers["content-length"]) > 0
        assert client.response(to_head=True).status == 200
        assert client.response().headers["content-length"] == "1234"
        assert client.response().json()["path"] == "/next"


def test_refused_head_request_has_no_body(server: EdgeServer) -> None:
    with server.connect() as client:
        client.send(b"HEAD / HTTP/1.1\r\nX-Request-ID: abc\r\n\r\n")
        answer = client.response(to_head=True)
        assert (answer.status, answer.headers["x-request-id"]) == (400, "abc")
        assert client.is_closed()


def test_request_id_of_a_refused_request_is_kept_if_it_is_a_good_one(server: EdgeServer) -> None:
    for request_id, kept in (("abc-1.2_3", True), ("x" * 65, False), ("a b", False)):
        with server.connect() as client:
            client.send(f"GET /x?secret HTTP/1.1\r\nX-Request-ID: {request_id}\r\n\r\n".encode())
            answer = client.response()
        assert (answer.json()["request_id"] == request_id) is kept
        assert answer.json()["instance"] == "/x"
        assert server.refused[-1].path == "/x"


@pytest.mark.parametrize("path", ["/crash", "/split"])
def test_application_that_fails_is_a_500_problem(server: EdgeServer, path: str) -> None:
    with server.connect() as client:
        client.send(get(path, "X-Request-ID: abc"))
        answer = client.response()
    assert (answer.status, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == "abc"
    assert "set-cookie" not in answer.headers


def test_options_asterisk_is_the_applications_to_answer(server: EdgeServer) -> None:
    with server.connect() as client:
        client.send(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
        assert client.response().json()["raw_path"] == "*"
        assert client.response().status == 200


def test_overload_is_a_503_problem() -> None:
    with edge_server(limit_concurrency=2) as server, server.connect() as first:
        first.send(get("/wait"))
        assert until(lambda: server.seen.requests)
        with server.connect() as second:  # only now: connections count, too
            second.send(GET)
            answer = second.response()
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
        assert (server.refused[-1].reason, server.refused[-1].reached_application) == ("overloaded", False)
