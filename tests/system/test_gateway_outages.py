"""How the gateway fails with its dependencies, within which time, and how it comes back; all with real processes."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import redis

from servicekit.valkey_process import ValkeyProcess, start_valkey
from tests.support.closing import close_all
from tests.support.edge_server import Response
from tests.support.gateway_process import (
    REPOSITORY,
    GatewayProcess,
    StartGateway,
    Upstreams,
    bearer_route,
    head,
    make_denylist_whole,
    serves_keys,
    upstream_block,
)
from tests.support.ports import free_port
from tests.support.scripted_upstream import Upstream
from tests.support.signing import Signing
from tests.support.wait import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

RECOVERY_SECONDS = 5
AT_ONCE = 0.5  # seconds; generous, for a busy machine


@pytest.fixture(scope="module")
def upstream(upstreams: Upstreams) -> Upstream:
    return upstreams.start()


@pytest.fixture(scope="module")
def routes(upstream: Upstream) -> str:
    return upstream_block("open", upstream) + bearer_route("/mine", "open")


@pytest.fixture(scope="module")
def token(signing: Signing) -> str:
    return "Authorization: " + signing.bearer()["Authorization"]


def timed(gateway: GatewayProcess, path: str, *lines: str) -> tuple[Response, float]:
    began = time.monotonic()
    return gateway.ask(path, *lines), time.monotonic() - began


def recovers(condition: Callable[[], bool]) -> None:
    began = time.monotonic()
    until(condition, timeout=3 * RECOVERY_SECONDS)
    assert time.monotonic() - began < RECOVERY_SECONDS


def is_refused_for_now(answered: Response) -> bool:
    problem = answered.headers["content-type"] == "application/problem+json"
    return (answered.status, problem, int(answered.headers["retry-after"]) >= 1) == (503, True, True)


# Redis


def test_without_redis_protected_routes_are_503_at_once_and_others_limited_locally(
    start_gateway: StartGateway, routes: str, token: str, own_valkey: ValkeyProcess, tmp_path: Path
) -> None:
    make_denylist_whole(own_valkey.url)
    gateway = start_gateway(routes, REDIS_URL=own_valkey.url, RATE_LIMIT_ANONYMOUS="20/minute")
    assert gateway.ask("/mine", token).status == 200
    own_valkey.kill()
    until(lambda: gateway.ask("/mine", token).status != 200)
    answered, seconds = timed(gateway, "/mine", token)
    assert is_refused_for_now(answered)
    assert seconds < AT_ONCE
    passed = [timed(gateway, "/open") for _ in range(22)]
    assert [answered.status for answered, _ in passed] == [200] * 20 + [429] * 2
    assert max(seconds for _, seconds in passed) < AT_ONCE
    assert passed[0][0].headers["ratelimit"].startswith('"anonymous";r=19')
    ready = gateway.ask("/readyz").json()["dependencies"]
    assert (ready["redis"]["status"], ready["denylist"]["status"], ready["signing_keys"]["status"]) == (
        "down",
        "down",
        "up",
    )
    revived = start_valkey(tmp_path / "own-valkey")
    try:
        make_denylist_whole(revived.url)  # it has another run id: only now is the list whole again
        recovers(lambda: gateway.ask("/mine", token).status == 200)
        assert gateway.events("redis_lost")
    finally:
        revived.stop()


def test_without_redis_the_settings_decide_who_passes(
    start_gateway: StartGateway, routes: str, token: str, signing: Signing
) -> None:
    nowhere = f"redis://127.0.0.1:{free_port()}"
    lenient = start_gateway(routes, REDIS_URL=nowhere, DENYLIST_ON_OUTAGE="allow", RATE_LIMIT_ON_OUTAGE="allow")
    assert lenient.ask("/mine", token).status == 200
    assert "ratelimit" not in lenient.ask("/open").headers
    assert lenient.ask("/mine", "Authorization: Bearer x").status == 401
    strict = start_gateway(routes, REDIS_URL=nowhere, RATE_LIMIT_ON_OUTAGE="deny")
    assert is_refused_for_now(strict.ask("/open"))
    assert is_refused_for_now(strict.ask("/mine", token))
    assert strict.ask("/healthz").status == 200


def test_a_hung_redis_costs_one_deadline_and_then_nothing(
    start_gateway: StartGateway, routes: str, token: str, own_valkey: ValkeyProcess
) -> None:
    make_denylist_whole(own_valkey.url)
    gateway = start_gateway(routes, REDIS_URL=own_valkey.url)
    assert gateway.ask("/mine", token).status == 200
    own_valkey.pause()
    with ThreadPoolExecutor(8) as pool:
        first = list(pool.map(lambda _: timed(gateway, "/mine", token), range(8)))
    assert all(is_refused_for_now(answered) for answered, _ in first)
    assert max(seconds for _, seconds in first) < 0.5 + AT_ONCE
    for _ in range(5):
        answered, seconds = timed(gateway, "/mine", token)
        assert is_refused_for_now(answered)
        assert seconds < AT_ONCE
        answered, seconds = timed(gateway, "/open")
        assert (answered.status, seconds < AT_ONCE) == (200, True)
    own_valkey.resume()
    recovers(lambda: gateway.ask("/mine", token).status == 200)


def test_an_empty_redis_is_not_taken_for_an_empty_denylist(
    start_gateway: StartGateway, routes: str, token: str, signing: Signing, own_valkey: ValkeyProcess
) -> None:
    make_denylist_whole(own_valkey.url)
    gateway = start_gateway(routes, REDIS_URL=own_valkey.url)
    revoked = "Authorization: " + signing.bearer(sid="gone")["Authorization"]
    with redis.Redis.from_url(own_valkey.url) as client:
        client.set("denylist:sid:gone", "1")
        assert gateway.ask("/mine", revoked).status == 401
        client.flushall()
        client.script_flush()
        assert is_refused_for_now(gateway.ask("/mine", revoked))
        assert is_refused_for_now(gateway.ask("/mine", token))
        assert gateway.ask("/open").status == 200
        client.set("denylist:sid:gone", "1")
    make_denylist_whole(own_valkey.url)
    assert gateway.ask("/mine", token).status == 200
    assert gateway.ask("/mine", revoked).status == 401


# An upstream


@contextmanager
def service_process(port: int) -> Iterator[subprocess.Popen[bytes]]:
    environment = {"PATH": os.environ["PATH"], "HOST": "127.0.0.1", "PORT": str(port)}
    command = [sys.executable, "-m", "tests.support.fake_service", "service"]
    process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_an_upstream_process_that_hangs_is_a_504_one_that_dies_a_502_and_both_come_back(
    start_gateway: StartGateway,
) -> None:
    port = free_port()
    gateway = start_gateway(
        upstream_block("service", f"http://127.0.0.1:{port}", first_byte_seconds=0.5, connect_seconds=0.5)
    )
    with service_process(port) as process:
        recovers(lambda: gateway.ask("/service").status == 200)
        process.send_signal(signal.SIGSTOP)
        answered, seconds = timed(gateway, "/service")
        assert (answered.status, seconds < 0.5 + AT_ONCE) == (504, True)
        until(lambda: gateway.ask("/service").status == 503, timeout=15)
        answered, seconds = timed(gateway, "/service")
        assert is_refused_for_now(answered)
        assert seconds < AT_ONCE
        process.send_signal(signal.SIGCONT)
        recovers(lambda: gateway.ask("/service").status == 200)
        process.kill()
        process.wait()
        answered, seconds = timed(gateway, "/service")
        assert (answered.status, seconds < AT_ONCE) == (502, True)
    with service_process(port):
        recovers(lambda: gateway.ask("/service").status == 200)


# A cancelled request's verdict


@contextmanager
def slow_link(upstreams: Upstreams, port: int, seconds: float) -> Iterator[int]:
    """The port of a way to Redis on which replies take their time."""
    tasks: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
        while data := await reader.read(65536):
            await asyncio.sleep(delay)
            writer.write(data)
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other_reader, other_writer = await asyncio.open_connection("127.0.0.1", port)
        writers.extend((writer, other_writer))
        for work in (carry(reader, other_writer, 0), carry(other_reader, writer, seconds)):
            tasks.add(asyncio.create_task(work))

    async def stop() -> None:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await close_all(writers)

    server = upstreams.run(asyncio.start_server(accept, "127.0.0.1", 0))
    yield server.sockets[0].getsockname()[1]
    upstreams.run(stop())


def test_a_cancelled_requests_verdict_never_reaches_another(
    start_gateway: StartGateway, upstreams: Upstreams, routes: str, signing: Signing, tmp_path: Path
) -> None:
    port = free_port()
    server = start_valkey(tmp_path / "tcp", arguments=("--port", str(port), "--bind", "127.0.0.1"))
    try:
        make_denylist_whole(server.url)
        good = "Authorization: " + signing.bearer(sid="good")["Authorization"]
        bad = "Authorization: " + signing.bearer(sid="bad")["Authorization"]
        with redis.Redis.from_url(server.url) as client:
            client.set("denylist:sid:bad", "1")
        with slow_link(upstreams, port, 0.03) as slow_port:
            gateway = start_gateway(routes, REDIS_URL=f"redis://127.0.0.1:{slow_port}")
            until(lambda: gateway.ask("/mine", good).status == 200)
            stop = threading.Event()

            def leave_again_and_again(seed: int) -> int:
                chance, left = random.Random(seed), 0
                while not stop.is_set():
                    with gateway.connect() as client:
                        client.send(head("/mine", chance.choice((good, bad))))
                        time.sleep(chance.random() * 0.04)
                        left += not client.peek()
                return left

            def ask(number: int) -> bool:
                expected, line = ((200, good), (401, bad))[number % 2]
                return gateway.ask("/mine", line).status == expected

            with ThreadPoolExecutor(12) as pool:
                leavers = [pool.submit(leave_again_and_again, seed) for seed in range(6)]
                right = list(pool.map(ask, range(400)))
                stop.set()
                assert sum(leaver.result() for leaver in leavers) > 50, "hardly anyone left in time"
            assert all(right)
            assert not gateway.events("redis_lost")
    finally:
        server.stop()


# Signing keys


def test_without_keys_tokens_are_503_and_the_rest_works(
    start_gateway: StartGateway, upstreams: Upstreams, routes: str, token: str, signing: Signing
) -> None:
    port = free_port()
    gateway = start_gateway(routes, AUTH_SERVICE_URL=f"http://127.0.0.1:{port}")
    answered, seconds = timed(gateway, "/mine", token)
    assert is_refused_for_now(answered)
    assert seconds < 2 + AT_ONCE
    assert gateway.ask("/open").status == 200
    assert gateway.ask("/readyz").json()["dependencies"]["signing_keys"]["status"] == "down"
    source = upstreams.start({b"/.well-known/jwks.json": serves_keys(signing)}, port=port)
    recovers(lambda: gateway.ask("/mine", token).status == 200)
    upstreams.stop(source)
    other = "Authorization: " + signing.bearer()["Authorization"]
    assert gateway.ask("/mine", other).status == 200, "known keys stay in use"
    strange = "Authorization: " + Signing("strange").bearer()["Authorization"]
    answered, seconds = timed(gateway, "/mine", strange)
    assert (answered.status, seconds < 2 + AT_ONCE) == (401, True)


def test_a_key_source_that_hangs_has_a_deadline(start_gateway: StartGateway, routes: str, token: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0), backlog=100)) as silent:
        gateway = start_gateway(routes, AUTH_SERVICE_URL=f"http://127.0.0.1:{silent.getsockname()[1]}")
        with ThreadPoolExecutor(5) as pool:
            asked = list(pool.map(lambda _: timed(gateway, "/mine", token), range(5)))
        assert all(is_refused_for_now(answered) for answered, _ in asked)
        assert max(seconds for _, seconds in asked) < 2 + AT_ONCE
        assert timed(gateway, "/open")[1] < AT_ONCE
