"""The last answer on a connection arrives whole, or is visibly broken, whatever the client does meanwhile."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.support.edge_server import LARGE_BYTES, QUICK, EdgeServer, edge_server, get
from tests.support.wait import until

PATIENT = replace(QUICK, write_idle_seconds=10, linger_seconds=0.1)


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def server(request: pytest.FixtureRequest) -> Iterator[EdgeServer]:
    with edge_server(loop=request.param, timeout_keep_alive=1) as running:
        yield running


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def patient(request: pytest.FixtureRequest) -> Iterator[EdgeServer]:
    with edge_server(PATIENT, loop=request.param) as running:
        yield running


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("extra", [b"\r\n", get("/x"), b""])
@pytest.mark.parametrize("has_closed_its_side", [False, True])
def test_a_slow_reader_gets_the_whole_last_answer(
    patient: EdgeServer, version: str, extra: bytes, has_closed_its_side: bool
) -> None:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        connection.settimeout(10)
        connection.connect(("127.0.0.1", patient.port))
        connection.sendall(get("/large", "Connection: close", version=version) + extra)
        if has_closed_its_side:
            connection.shutdown(socket.SHUT_WR)
        time.sleep(0.6)  # many times as long as a client may linger that has nothing to read
        received = bytearray()
        while data := connection.recv(1 << 20):
            received += data
    body = received.partition(b"\r\n\r\n")[2]
    framing = len(f"{LARGE_BYTES:x}\r\n\r\n0\r\n\r\n") if version == "1.1" else 0
    assert len(body) == LARGE_BYTES + framing


def test_an_answered_client_that_reads_nothing_is_dropped_in_the_end() -> None:
    with edge_server(replace(PATIENT, write_idle_seconds=0.3)) as server, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(get("/large", "Connection: close") + b"\r\n")
        until(lambda: server.seen.requests)
        until(lambda: not server.server.server_state.connections)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_half_closed_client_gets_an_answer_that_keeps_coming(server: EdgeServer, version: str) -> None:
    with server.connect() as client:
        client.send(get("/drip", version=version))
        client.socket.shutdown(socket.SHUT_WR)
        assert client.response().body == b"one,two,three,four,five"


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_half_closed_client_is_given_up_visibly_when_nothing_comes(server: EdgeServer, version: str) -> None:
    server.seen.left.clear()
    with server.connect() as client:
        client.send(get("/stuck", version=version))
        client.socket.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionResetError if version == "1.0" else EOFError):
            client.response()
    until(lambda: server.seen.left == ["/stuck"], 1)


def test_an_empty_line_long_before_a_head_is_not_its_first_byte(server: EdgeServer) -> None:
    with server.connect() as client:
        client.send(get("/x", "Content-Length: 5", method="POST") + b"hello\r\n")
        assert client.response().status == 200
        time.sleep(0.5)  # longer than a head may take, shorter than a connection may be idle
        client.send(b"GET /x HTTP/1.1\r\n")
        time.sleep(0.1)
        client.send(b"Host: a\r\n\r\n")
        assert client.response().status == 200


def test_the_rest_of_a_body_may_come_slowly_once_it_was_answered(server: EdgeServer) -> None:
    with server.connect() as client:
        client.send(get("/early", "Content-Length: 20000", method="POST") + bytes(10_000))
        answer = client.response()
        assert (answer.status, "connection" in answer.headers) == (401, False)
        for _ in range(20):
            time.sleep(0.03)
            client.send(bytes(500))
        client.send(get("/next"))
        assert client.response().json()["path"] == "/next"


def test_the_rest_of_a_body_that_does_not_come_ends_the_connection(server: EdgeServer) -> None:
    with server.connect() as client:
        client.send(get("/early", "Content-Length: 60", method="POST") + bytes(20))
        assert client.response().status == 401
        assert client.is_closed()
