"""What the metrics and the log tell of a WebSocket, which lasts as long as its people have something to say."""

from __future__ import annotations

import pytest

from tests.support.gateway_process import StartGateway, Upstreams, head, upstream_block
from tests.support.raw_websocket import HANDSHAKE, switches
from tests.support.wait import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


def test_the_time_that_people_talk_is_no_latency(start_gateway: StartGateway, upstreams: Upstreams) -> None:
    chat = upstreams.start({b"/chat": switches})
    gateway = start_gateway(upstream_block("chat", chat) + "websocket = true\n")
    with gateway.connect() as client:
        client.send(head("/chat", *HANDSHAKE))
        assert client.response().status == 101
        client.socket.settimeout(1.2)  # a conversation with a long pause
        with pytest.raises(TimeoutError):
            client.socket.recv(1)
    until(lambda: [line for line in gateway.events("request") if line["route"] == "/chat"])
    (line,) = (line for line in gateway.events("request") if line["route"] == "/chat")
    assert line["duration_ms"] > 1000
    labels = 'method="GET",route="/chat",service="gateway"'
    assert gateway.metric(f"http_request_duration_seconds_count{{{labels}}}") == 1
    assert gateway.metric(f"http_request_duration_seconds_sum{{{labels}}}") < 1
