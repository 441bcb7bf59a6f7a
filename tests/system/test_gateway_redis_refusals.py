"""A Redis that answers, but not what it was asked for: full, or a replica since its fail-over."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from servicekit.valkey_process import ValkeyProcess, start_valkey
from tests.support.gateway_process import (
    StartGateway,
    Upstreams,
    answer,
    bearer_route,
    make_denylist_whole,
    upstream_block,
)
from tests.support.redis_switch import RedisSwitch
from tests.support.scripted_upstream import Upstream, says
from tests.support.signing import Signing
from tests.support.wait import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def upstream(upstreams: Upstreams) -> Upstream:
    return upstreams.start({b"/healthz": says(answer(b"{}"))})


@pytest.fixture(scope="module")
def routes(upstream: Upstream) -> str:
    return upstream_block("s", upstream) + bearer_route("/s/mine", "s")


def test_a_full_redis_is_told_of_and_not_called_ready(
    start_gateway: StartGateway, own_valkey: ValkeyProcess, routes: str, signing: Signing
) -> None:
    make_denylist_whole(own_valkey.url)
    gateway = start_gateway(routes, REDIS_URL=own_valkey.url)
    bearer = f"Authorization: Bearer {signing.token()}"
    assert gateway.ask("/s/mine", bearer).status == 200
    with redis.Redis.from_url(own_valkey.url) as client:
        client.config_set("maxmemory", 1)
        refusals = [gateway.ask("/s/mine", bearer) for _ in range(20)]
        assert {(each.status, each.headers["retry-after"]) for each in refusals} == {(503, "1")}
        unready = gateway.ask("/readyz")
        assert (unready.status, unready.json()["dependencies"]["redis"]["status"]) == (503, "down")
        until(lambda: gateway.events("redis_refused"))
        assert [line["error"] for line in gateway.events("redis_refused")] == ["OOM"], "once is enough"
        client.config_set("maxmemory", 0)
    assert gateway.ask("/s/mine", bearer).status == 200
    assert gateway.ask("/readyz").status == 200


def test_a_fail_over_behind_one_name_is_followed_though_the_old_server_keeps_its_connections(
    start_gateway: StartGateway, own_valkey: ValkeyProcess, tmp_path: Path, upstreams: Upstreams, routes: str,
    signing: Signing,
) -> None:  # fmt: skip
    successor = start_valkey(tmp_path / "successor")
    switch = RedisSwitch(own_valkey.url)
    upstreams.run(switch.start())
    try:
        for server in (own_valkey, successor):
            make_denylist_whole(server.url)
        gateway = start_gateway(routes, REDIS_URL=f"redis://127.0.0.1:{switch.port}")
        revoked, bearer = "d1e2", f"Authorization: Bearer {signing.token()}"
        assert gateway.ask("/s/mine", bearer).status == 200
        with redis.Redis.from_url(own_valkey.url) as old, redis.Redis.from_url(successor.url) as new:
            old.replicaof("127.0.0.1", "1")  # demoted; its clients' connections stay
            assert gateway.ask("/s/mine", bearer).status == 503
            new.set(f"denylist:sid:{revoked}", "")
            switch.url = successor.url
            until(lambda: gateway.ask("/s/mine", bearer).status == 200, timeout=5)
        assert gateway.ask("/s/mine", f"Authorization: Bearer {signing.token(sid=revoked)}").status == 401
    finally:
        upstreams.run(switch.stop())
        successor.stop()
