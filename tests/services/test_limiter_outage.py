"""The limiter of the gateway's own pages when its Redis hangs: hardly anybody waits, and later it counts again."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
import redis
from fastapi import Depends, FastAPI
from starlette.testclient import TestClient

from gateway.routes.guard import own_endpoints_guard
from gateway.settings import Settings
from servicekit.app import layers
from servicekit.throttle import AWAY_SECONDS
from servicekit.valkey_process import ValkeyProcess
from tests.support.wait import until

DEADLINE, AT_ONCE = 0.5, 0.4  # seconds; the second is generous, for a busy machine
KEYS = "LIMITS:*"


@pytest.fixture
def limited(own_valkey: ValkeyProcess, tmp_path: Path) -> Callable[[str], TestClient]:
    """Makes one page with the limit."""

    def page(on_outage: str) -> TestClient:
        settings = Settings.model_validate(
            {
                "redis_url": own_valkey.url,
                "state_dir": tmp_path,
                "rate_limit_anonymous": "5/minute",
                "rate_limit_on_outage": on_outage,
            }
        )
        app = FastAPI(dependencies=[Depends(own_endpoints_guard(settings))], middleware=layers(settings, "gateway"))
        app.get("/page")(lambda: "here")
        return TestClient(app)

    return page


def timed(client: TestClient) -> tuple[httpx2.Response, float]:
    began = time.monotonic()
    return client.get("/page"), time.monotonic() - began


@pytest.mark.parametrize("on_outage", ["local", "deny", "allow"])
@pytest.mark.parametrize("is_connected", [True, False])
def test_a_hung_redis_costs_one_deadline_and_then_nothing(
    limited: Callable[[str], TestClient], own_valkey: ValkeyProcess, on_outage: str, is_connected: bool
) -> None:
    client = limited(on_outage)
    if is_connected:
        assert client.get("/page").status_code == 200
    own_valkey.pause()
    with ThreadPoolExecutor(4) as pool:
        first = list(pool.map(timed, [client] * 4))
    later = [timed(client) for _ in range(3)]
    expected = {
        "local": [200] * 5 + [429] * 2,  # this process's own count begins anew
        "deny": [503] * 7,
        "allow": [200] * 7,
    }
    assert [answer.status_code for answer, _ in first + later] == expected[on_outage]
    assert max(seconds for _, seconds in first) < DEADLINE + AT_ONCE
    assert max(seconds for _, seconds in later) < AT_ONCE
    if on_outage == "deny":
        assert {answer.headers["retry-after"] for answer, _ in first + later} == {"1"}


def test_of_those_who_come_while_it_hangs_on_one_asks_and_nobody_else_waits(
    limited: Callable[[str], TestClient], own_valkey: ValkeyProcess
) -> None:
    client = limited("allow")
    own_valkey.pause()
    client.get("/page")
    time.sleep(AWAY_SECONDS)
    with ThreadPoolExecutor(6) as pool:
        took = sorted(seconds for _, seconds in pool.map(timed, [client] * 6))
    assert took[-2] < AT_ONCE
    assert DEADLINE <= took[-1] < DEADLINE + AT_ONCE


@pytest.mark.parametrize("on_outage", ["local", "deny", "allow"])
def test_once_it_goes_on_it_counts_again(
    limited: Callable[[str], TestClient], own_valkey: ValkeyProcess, on_outage: str
) -> None:
    client = limited(on_outage)
    own_valkey.pause()
    client.get("/page")
    own_valkey.resume()
    with redis.Redis.from_url(own_valkey.url) as store:
        # What waited in the paused server's queue was counted when it went on.
        until(store.ping)
        store.flushall()
        until(lambda: client.get("/page").status_code != 500 and store.keys(KEYS) != [], timeout=AWAY_SECONDS + 5)
        [counted] = store.keys(KEYS)
        before = store.llen(counted)
        assert client.get("/page").status_code == 200
        assert store.llen(counted) == before + 1


def test_a_connection_that_went_stale_is_no_outage(
    limited: Callable[[str], TestClient], own_valkey: ValkeyProcess
) -> None:
    client = limited("deny")
    assert client.get("/page").status_code == 200
    with redis.Redis.from_url(own_valkey.url) as store:
        store.client_kill_filter(_type="normal", skipme=True)
    assert client.get("/page").status_code == 200
