"""Every message of the corpus, in one piece and over a real socket; what follows it must be right too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.edge_corpus import ACCEPTED, REFUSED, SMUGGLED, Accepted, Message
from tests.support.edge_server import EdgeServer, edge_server

PROBLEM_MEMBERS = {"type", "title", "status", "detail", "instance", "request_id"}


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def server(request: pytest.FixtureRequest) -> Iterator[EdgeServer]:
    with edge_server(loop=request.param) as running:
        yield running


@pytest.mark.parametrize("message", REFUSED, ids=lambda message: message.name)
def test_refused_message_gets_a_problem_and_ends_the_connection(server: EdgeServer, message: Message) -> None:
    before = len(server.refused)
    with server.connect() as client:
        client.send(message.raw)
        answer = client.response()
        assert (answer.status, client.is_closed()) == (message.status, True)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"
    problem = answer.json()
    assert set(problem) == PROBLEM_MEMBERS
    assert problem["status"] == message.status
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert len(server.refused) == before + 1
    assert not any(seen["path"] == "/smuggled" for seen in server.seen.requests)


@pytest.mark.parametrize("message", ACCEPTED, ids=lambda message: message.name)
def test_accepted_message_reaches_the_application_as_it_was_meant(server: EdgeServer, message: Accepted) -> None:
    with server.connect() as client:
        client.send(message.raw)
        answer = client.response()
        assert answer.status == 200
        seen = answer.json()
        headers = dict(seen["headers"])
        assert (seen["method"], seen["raw_path"], seen["body"]) == (message.method, message.raw_path, message.body)
        assert headers.get("host") == message.host
        assert "authorization" not in headers
        if message.closes:
            assert answer.headers["connection"] == "close"
            assert client.is_closed()
        else:
            client.send(SMUGGLED.replace(b"smuggled", b"next"))
            assert client.response().json()["path"] == "/next"
