"""What the gateway asks its upstreams on the side, for /readyz and /openapi.json, holds up nothing else."""

from __future__ import annotations

import ssl
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from gateway.routes.documentation import FETCH_SECONDS
from tests.support.gateway_process import StartGateway, Upstreams, answer, upstream_block
from tests.support.scripted_upstream import Upstream, says

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
ASKED = 20


@pytest.fixture(scope="module")
def upstream(upstreams: Upstreams) -> Upstream:
    return upstreams.start({b"/healthz": says(answer(b"{}"))})


def test_readiness_reads_no_certificates_each_time(start_gateway: StartGateway, upstream: Upstream) -> None:
    """Anyone may ask for /readyz, as often as they like, and the event loop that answers serves everyone."""
    gateway = start_gateway("".join(upstream_block(f"s{number}", upstream) for number in range(6)))
    assert gateway.ask("/readyz").status == 200
    started = time.thread_time()
    ssl.create_default_context()
    certificates = time.thread_time() - started
    process = psutil.Process(gateway.process.pid)
    before = process.cpu_times().user
    for _ in range(ASKED):
        gateway.ask("/readyz")
    assert (process.cpu_times().user - before) / ASKED < 2 * certificates


def test_many_who_ask_for_the_document_of_a_hung_service_wait_for_one_look_at_it(
    start_gateway: StartGateway, upstreams: Upstreams
) -> None:
    hung = upstreams.start({b"/openapi.json": says(then="hold")})
    gateway = start_gateway(upstream_block("s", hung).replace("openapi = false", "openapi = true"))

    def ask(_number: int) -> float:
        started = time.monotonic()
        assert gateway.ask("/openapi.json", timeout=60).status == 200
        return time.monotonic() - started

    with ThreadPoolExecutor(6) as pool:
        assert max(pool.map(ask, range(6))) < 2.5 * FETCH_SECONDS
    assert hung.targets().count(b"/openapi.json") <= 2

    hung.scripts[b"/openapi.json"] = says(
        answer(b'{"paths": {"/s/found": {"get": {"responses": {}}}}}', b"200 OK", b"Content-Type: application/json")
    )
    deadline = time.monotonic() + 5
    while "/s/found" not in gateway.ask("/openapi.json").json()["paths"]:
        assert time.monotonic() < deadline, "it is asked again once it may be back"
