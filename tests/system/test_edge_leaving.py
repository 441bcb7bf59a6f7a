"""What the edge does when a client leaves, wholly or half, or when the server stops; over real sockets."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from tests.support.edge_server import Client, EdgeServer, edge_server, get
from tests.support.wait import until

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def server(request: pytest.FixtureRequest) -> Iterator[EdgeServer]:
    with edge_server(loop=request.param, timeout_keep_alive=1) as running:
        yield running


def test_application_hears_at_once_of_a_client_that_leaves(server: EdgeServer) -> None:
    server.seen.left.clear()
    with server.connect() as client:
        client.send(get("/wait"))
        time.sleep(0.05)
    until(lambda: server.seen.left == ["/wait"], 1)


@pytest.mark.parametrize("framing", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
def test_client_that_leaves_before_its_body_is_read_is_noticed(server: EdgeServer, framing: str) -> None:
    server.seen.left.clear()
    with server.connect() as client:
        client.send(get("/unread", framing, method="POST") + b"c350\r\n" + bytes(50_000) + b"\r\nc350\r\n")
        client.send(bytes(70_000 if "Length" in framing else 40_000))
    until(lambda: server.seen.left == ["/unread"], 1)


def test_client_that_has_only_closed_its_side_gets_its_answers(server: EdgeServer) -> None:
    with server.connect() as client:
        client.send(get("/pause") + GET)
        client.socket.shutdown(socket.SHUT_WR)
        assert client.response().status == 401
        assert client.response().status == 200
        assert client.is_closed()


def test_body_cut_short_never_looks_whole(server: EdgeServer) -> None:
    server.seen.left.clear()
    with server.connect() as client:
        client.send(get("/x", "Content-Length: 10", method="POST") + b"12345")
        client.socket.shutdown(socket.SHUT_WR)
        assert client.rest() == b""
    until(lambda: server.seen.left == ["/x"])


def test_shutdown_lets_a_request_on_its_way_be_answered() -> None:
    with edge_server() as server:
        busy, idle, silent = (server.connect() for _ in range(3))
        for client in (busy, idle, silent):
            client.send(GET)
            client.response()
        busy.send(get("/pause"))
        time.sleep(0.05)
        server.server.should_exit = True
        answer = busy.response()
        assert (answer.status, answer.headers["connection"]) == (401, "close")
        time.sleep(0.05)
        idle.send(GET)
        answer = idle.response()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert silent.is_closed()
        for client in (busy, idle, silent):
            client.socket.close()


def test_nothing_is_left_behind(server: EdgeServer) -> None:
    clients: list[Client] = [server.connect() for _ in range(20)]
    for client in clients:
        client.send(GET[:-7])
        client.socket.close()
    until(lambda: not server.server.server_state.connections, 3)
    until(lambda: not server.server.server_state.tasks, 3)
