"""How the gateway stops and how it takes a new table: nothing under way is lost; one process and two workers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.support.gateway_process import GatewayProcess, StartGateway, Upstreams, answer, head, upstream_block
from tests.support.scripted_upstream import Peer, Received, Upstream
from tests.support.started_stack import lives
from tests.support.wait import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

WORKERS = pytest.mark.parametrize("workers", ["1", "2"])


@pytest.fixture(scope="module")
def upstream(upstreams: Upstreams) -> Upstream:
    return upstreams.start()


@pytest.fixture(autouse=True)
def _forget(upstream: Upstream) -> None:
    upstream.scripts = {}
    upstream.received.clear()


def held(upstream: Upstream, path: bytes) -> asyncio.Event:
    """Let the upstream answer this path only when the event is set."""
    release = asyncio.Event()

    async def script(peer: Peer, _request: Received) -> bool:
        await release.wait()
        await peer.say(answer(b"finished"))
        return True

    upstream.scripts[path] = script
    return release


def refuses(gateway: GatewayProcess) -> bool:
    try:
        gateway.connect(timeout=2).socket.close()
    except ConnectionRefusedError:
        return True
    return False


def all_serve(gateway: GatewayProcess, workers: int) -> None:
    until(lambda: len(gateway.events("service_started")) == workers, timeout=40)


# Stopping


@WORKERS
def test_sigterm_fails_readiness_first_then_closes_the_door_and_lets_what_is_inside_finish(
    start_gateway: StartGateway, upstreams: Upstreams, upstream: Upstream, workers: str
) -> None:
    gateway = start_gateway(upstream_block("s", upstream), WORKERS=workers, DRAIN_SECONDS="1.5")
    release = held(upstream, b"/s/slow")
    all_serve(gateway, int(workers))
    with gateway.connect(timeout=30) as inside, gateway.connect() as idle:
        inside.send(head("/s/slow"))
        idle.send(head("/s/idle"))
        assert idle.response().status == 200
        until(lambda: b"/s/slow" in upstream.targets())
        gateway.signal(signal.SIGTERM)
        until(lambda: gateway.ask("/readyz").status == 503)
        assert gateway.ask("/healthz").status == 200
        assert gateway.ask("/s/still-served").status == 200
        until(lambda: refuses(gateway), timeout=15)
        idle.send(head("/s/last"))
        last = idle.response()
        assert (last.status, last.headers["connection"]) == (200, "close")
        assert gateway.process.poll() is None
        upstreams.call(release.set)
        finished = inside.response()
        assert (finished.body, finished.headers["connection"]) == (b"finished", "close")
    assert gateway.process.wait(15) == 0
    assert gateway.events("service_stopping")
    assert len(gateway.events("request")) >= 5


def test_a_request_that_does_not_finish_holds_the_gateway_only_so_long(
    start_gateway: StartGateway, upstream: Upstream
) -> None:
    gateway = start_gateway(upstream_block("s", upstream), SHUTDOWN_SECONDS="1")
    held(upstream, b"/s/never")
    with gateway.connect(timeout=20) as client:
        client.send(head("/s/never"))
        until(lambda: b"/s/never" in upstream.targets())
        began = time.monotonic()
        gateway.signal(signal.SIGTERM)
        answered = client.response()
        assert (answered.status, answered.headers["retry-after"]) == (503, "1")
        assert gateway.process.wait(15) == 0
        assert 0.9 < time.monotonic() - began < 6
    assert [line["status"] for line in gateway.events("request") if line["path"] == "/s/never"] == [503]


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM twice"])
def test_whoever_is_in_a_hurry_can_leave_out_the_waiting(
    start_gateway: StartGateway, upstream: Upstream, how: str
) -> None:
    gateway = start_gateway(upstream_block("s", upstream), DRAIN_SECONDS="60")
    if how == "SIGINT":
        gateway.signal(signal.SIGINT)
    else:
        gateway.signal(signal.SIGTERM)
        until(lambda: gateway.ask("/readyz").status == 503)
        assert gateway.ask("/readyz").json()["detail"] == "Not ready: this process is stopping."
        gateway.signal(signal.SIGTERM)
    assert gateway.process.wait(10) == 0


@pytest.mark.parametrize("when", ["starting", "serving"])
def test_a_worker_that_is_killed_is_replaced(start_gateway: StartGateway, upstream: Upstream, when: str) -> None:
    gateway = start_gateway(upstream_block("s", upstream), WORKERS="2", wait=False)
    until(lambda: len(workers_of(gateway)) == 2, timeout=40)
    if when == "serving":
        all_serve(gateway, 2)
    victim = workers_of(gateway)[0]
    victim.kill()
    until(lambda: gateway.events("worker_died"), timeout=40)
    until(lambda: len(workers_of(gateway)) == 2 and victim not in workers_of(gateway), timeout=40)
    until(gateway.is_up, timeout=40)
    assert {gateway.ask(f"/s/{number}").status for number in range(20)} == {200}


def workers_of(gateway: GatewayProcess) -> list[psutil.Process]:
    found = []
    for process in psutil.Process(gateway.process.pid).children():
        with contextlib.suppress(psutil.Error):
            if "spawn_main" in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


@pytest.mark.parametrize(("workers", "exit_code"), [("1", 1), ("2", 3)])
def test_a_bad_table_at_the_start_is_one_clear_line_and_an_end(
    start_gateway: StartGateway, workers: str, exit_code: int
) -> None:
    gateway = start_gateway('[[routes]]\nprefix = "/x"\n', WORKERS=workers, wait=False)
    assert gateway.process.wait(60) == exit_code
    assert "configuration error: routes.toml: " in gateway.output.read_text()


# A new table


def versioned(upstream: Upstream, number: int) -> str:
    return upstream_block("s", upstream) + upstream_block(f"v{number}", upstream)


def has(gateway: GatewayProcess, number: int) -> bool:
    """Whether every worker has the table of this number: each new connection goes to some worker."""
    statuses = Counter(gateway.ask(f"/v{number}").status for _ in range(24))
    return statuses == {200: 24}


@WORKERS
def test_sighup_swaps_the_table_whole_or_keeps_the_old_one_and_says_why(
    start_gateway: StartGateway, upstream: Upstream, workers: str
) -> None:
    gateway = start_gateway(versioned(upstream, 1), WORKERS=workers)
    all_serve(gateway, int(workers))
    until(lambda: has(gateway, 1), timeout=20)
    serving = {process.pid for process in workers_of(gateway)}

    gateway.routes_file.write_text(versioned(upstream, 2))
    gateway.signal(signal.SIGHUP)
    until(lambda: has(gateway, 2), timeout=10)
    assert gateway.ask("/v1").status == 404
    until(lambda: len(gateway.events("routes_reloaded")) == int(workers), timeout=10)

    gateway.routes_file.write_text(versioned(upstream, 3) + '[[routes]]\nprefix = "/bad"\nupstream = "nowhere"\n')
    gateway.signal(signal.SIGHUP)
    until(lambda: len(gateway.events("routes_kept")) == int(workers), timeout=10)
    assert "routes #3: access" in gateway.events("routes_kept")[0]["reason"]
    assert has(gateway, 2)
    assert gateway.ask("/v3").status == 404

    gateway.routes_file.unlink()
    gateway.signal(signal.SIGHUP)
    until(lambda: len(gateway.events("routes_kept")) == 2 * int(workers), timeout=10)
    assert has(gateway, 2)
    assert {process.pid for process in workers_of(gateway)} == serving, "no worker was restarted for it"


def while_asking(gateway: GatewayProcess, work: Callable[[], None]) -> Counter[int | str]:
    """How requests fared, on kept and on new connections, while `work` was done."""
    outcomes: Counter[int | str] = Counter()
    stop = threading.Event()

    def ask_on(*, kept: bool) -> None:
        client = gateway.connect()
        while not stop.is_set():
            try:
                client.send(head("/s/under-load"))
                answered = client.response()
                outcomes[answered.status] += 1
            except (OSError, EOFError) as error:
                outcomes[type(error).__name__] += 1
            if not kept:
                client.socket.close()
                client = gateway.connect()
        client.socket.close()

    threads = [threading.Thread(target=ask_on, kwargs={"kept": number % 2 == 0}) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        work()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return outcomes


@WORKERS
def test_reloads_under_load_fail_no_request(start_gateway: StartGateway, upstream: Upstream, workers: str) -> None:
    gateway = start_gateway(versioned(upstream, 0), WORKERS=workers)
    all_serve(gateway, int(workers))
    until(lambda: has(gateway, 0), timeout=20)

    def reload_often() -> None:
        for number in range(1, 6):
            # Each time the upstream in use gets another deadline, so that its client is replaced.
            table = upstream_block("s", upstream, total_seconds=30 + number) + upstream_block(f"v{number}", upstream)
            gateway.routes_file.write_text(table)
            gateway.signal(signal.SIGHUP)
            until(lambda number=number: has(gateway, number), timeout=15)  # type: ignore[misc]  # mypy can't type it

    outcomes = while_asking(gateway, reload_often)
    assert set(outcomes) == {200}, outcomes
    assert outcomes[200] > 50


def test_a_request_under_way_keeps_the_table_it_began_with(
    start_gateway: StartGateway, upstreams: Upstreams, upstream: Upstream
) -> None:
    gateway = start_gateway(upstream_block("s", upstream) + upstream_block("gone", upstream, total_seconds=20))
    release = held(upstream, b"/gone/slow")
    with gateway.connect(timeout=30) as client:
        client.send(head("/gone/slow"))
        until(lambda: b"/gone/slow" in upstream.targets())
        gateway.routes_file.write_text(upstream_block("s", upstream))
        gateway.signal(signal.SIGHUP)
        until(lambda: gateway.ask("/gone/new").status == 404)
        upstreams.call(release.set)
        assert client.response().body == b"finished"


def test_readiness_asks_the_upstreams_of_the_new_table(start_gateway: StartGateway, upstream: Upstream) -> None:
    gateway = start_gateway(upstream_block("s", upstream))
    gateway.routes_file.write_text(upstream_block("s", upstream) + upstream_block("new", upstream))
    gateway.signal(signal.SIGHUP)
    until(lambda: gateway.ask("/new").status == 200)
    assert json.loads(gateway.ask("/readyz").body)["dependencies"].keys() >= {"s", "new"}


def test_nothing_of_a_stopped_gateway_is_left(start_gateway: StartGateway, upstream: Upstream, tmp_path: Path) -> None:
    gateway = start_gateway(upstream_block("s", upstream), WORKERS="2", TMPDIR=str(tmp_path))
    all_serve(gateway, 2)
    family = psutil.Process(gateway.process.pid).children(recursive=True)
    assert gateway.stop() == 0
    until(lambda: not [process for process in family if lives(process)])
    assert list(tmp_path.iterdir()) == [], "the workers' shared counters"
