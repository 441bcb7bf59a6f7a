"""What an operator sees of a replica that gets no requests: a metric, and a line when it goes and when it is back."""

from __future__ import annotations

import pytest

from tests.support.gateway_process import StartGateway, Upstreams, upstream_block
from tests.support.ports import free_port
from tests.support.wait import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(60)]


def test_an_ejection_and_its_end_are_told(start_gateway: StartGateway, upstreams: Upstreams) -> None:
    port = free_port()
    healthy, dying = upstreams.start(), upstreams.start(port=port)
    gateway = start_gateway(upstream_block("two", healthy, dying))
    series = f'gateway_replica_ejected{{replica="127.0.0.1:{port}",upstream="two"}}'
    other = f'gateway_replica_ejected{{replica="{healthy.url.removeprefix("http://")}",upstream="two"}}'
    assert (gateway.metric(series), gateway.metric(other)) == (0, 0)

    upstreams.stop(dying)
    until(lambda: gateway.ask("/two/try").status == 200 and gateway.metric(series) == 1, timeout=10)
    assert gateway.metric(other) == 0

    upstreams.start(port=port)
    until(lambda: gateway.metric(series) == 0, timeout=10)

    def told() -> list[tuple[str, str, str, str]]:
        return [
            (line["event"], line["level"], line["upstream"], line["replica"])
            for line in gateway.lines()
            if line["event"] in ("replica_ejected", "replica_back")
        ]

    until(lambda: len(told()) >= 2, timeout=10)
    name = f"127.0.0.1:{port}"
    assert told() == [("replica_ejected", "warning", "two", name), ("replica_back", "info", "two", name)]
