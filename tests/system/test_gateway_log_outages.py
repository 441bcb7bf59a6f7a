"""Where the gateway's log goes may stop, fill up or close: it costs lines, which are counted, and never an answer."""

from __future__ import annotations

import os
import threading
import time

import pytest

from tests.support.gateway_process import GatewayProcess, StartGateway, Upstreams, bearer_route, head, upstream_block
from tests.support.signing import Signing
from tests.support.wait import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

RECOVERY_SECONDS = 5
AT_ONCE = 0.5  # seconds; generous, for a busy machine


@pytest.fixture(scope="module")
def routes(upstreams: Upstreams) -> str:
    return upstream_block("open", upstreams.start()) + bearer_route("/mine", "open")


@pytest.fixture(scope="module")
def token(signing: Signing) -> str:
    return "Authorization: " + signing.bearer()["Authorization"]


def fill_the_log(gateway: GatewayProcess, lines: int) -> None:
    """Requests that the gateway answers itself: quick, and a line each."""
    request, batch = head("/open", method="PATCH"), 100
    with gateway.connect() as client:
        for _ in range(lines // batch):
            client.send(request * batch)
            for _ in range(batch):
                assert client.response().status == 405


def test_a_stopped_reader_of_the_log_costs_lines_and_never_an_answer(
    start_gateway: StartGateway, routes: str, token: str
) -> None:
    reading, writing = os.pipe()
    gateway = start_gateway(routes, stdout=writing)
    os.close(writing)
    fill_the_log(gateway, 22_000)  # the pipe, the queue of 20,000 lines, and more
    began = time.monotonic()
    assert gateway.ask("/mine", token).status == 200
    assert time.monotonic() - began < AT_ONCE
    assert gateway.metric("log_lines_dropped_total") > 500
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.extend(iter(lambda: os.read(reading, 1 << 20), b"")))
    reader.start()
    until(lambda: any(b"log_lines_dropped" in piece for piece in received), timeout=RECOVERY_SECONDS)
    gateway.ask("/open/again")
    until(lambda: any(b"/open/again" in piece for piece in received), timeout=RECOVERY_SECONDS)
    assert gateway.stop() == 0
    reader.join(10)
    os.close(reading)


def test_a_gateway_whose_log_is_stopped_still_stops(start_gateway: StartGateway, routes: str) -> None:
    reading, writing = os.pipe()
    gateway = start_gateway(routes, stdout=writing)
    os.close(writing)
    fill_the_log(gateway, 2_000)
    began = time.monotonic()
    assert gateway.stop() == 0
    assert time.monotonic() - began < 8
    os.close(reading)


@pytest.mark.parametrize("sink", ["full", "closed"])
def test_a_log_that_takes_nothing_is_counted_and_costs_no_answer(
    start_gateway: StartGateway, routes: str, token: str, sink: str
) -> None:
    if sink == "full":
        descriptor = os.open("/dev/full", os.O_WRONLY)
    else:
        reading, descriptor = os.pipe()
        os.close(reading)
    gateway = start_gateway(routes, stdout=descriptor)
    os.close(descriptor)
    fill_the_log(gateway, 300)
    assert gateway.ask("/mine", token).status == 200
    until(lambda: gateway.metric("log_lines_dropped_total") >= 300)
    assert gateway.stop() == 0
