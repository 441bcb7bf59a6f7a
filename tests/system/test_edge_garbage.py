"""What a request leaves behind in memory: nothing that only the cyclic garbage collector would find."""

from __future__ import annotations

import gc

from gateway.edge import EdgeLimits, Exchange
from tests.support.edge_server import edge_server
from tests.support.wait import until

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def exchanges() -> int:
    return sum(isinstance(each, Exchange) for each in gc.get_objects())


def test_answered_requests_are_freed_without_the_garbage_collector() -> None:
    with edge_server(EdgeLimits()) as server, server.connect() as client:
        gc.collect()
        gc.disable()
        try:
            before = exchanges()
            for _ in range(30):
                client.send(GET)
                assert client.response().status == 200
            until(lambda: exchanges() <= before + 1)
        finally:
            gc.enable()
