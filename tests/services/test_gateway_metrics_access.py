"""Who may read the gateway's own `/metrics`, with a real Valkey behind it."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis
from pydantic import SecretStr
from starlette.testclient import TestClient

from gateway.main import create_app
from gateway.settings import Settings
from servicekit.valkey_process import ValkeyProcess
from tests.conftest import MakeClient
from tests.support.signing import Signing

SCRAPER = {"Authorization": "Bearer a-scraper's-own-token"}


@pytest.fixture
def client(make_client: MakeClient, signing: Signing, redis_url: str, tmp_path: Path) -> TestClient:
    settings = Settings(state_dir=tmp_path, redis_url=redis_url, metrics_token=SecretStr("a-scraper's-own-token"))
    with redis.Redis.from_url(redis_url) as server:
        server.set("denylist:whole", server.info("server")["run_id"])
    return make_client(create_app(settings, verifier=signing.verifier))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_an_operator_and_a_scraper_may_read_the_metrics(client: TestClient, signing: Signing) -> None:
    assert client.get("/metrics", headers=bearer(signing.token(scope="ops:read"))).status_code == 200
    assert client.get("/metrics", headers=SCRAPER).status_code == 200
    assert client.get("/metrics", headers=bearer(signing.token(scope="students:read"))).status_code == 403
    assert client.get("/metrics").status_code == 401


def test_a_revoked_token_reads_no_metrics(client: TestClient, signing: Signing, redis_url: str) -> None:
    token = signing.token(scope="ops:read", sid="signed-out")
    assert client.get("/metrics", headers=bearer(token)).status_code == 200
    with redis.Redis.from_url(redis_url) as server:
        server.set("denylist:sid:signed-out", "1")
    assert client.get("/metrics", headers=bearer(token)).status_code == 401


def test_without_the_denylist_only_the_scraper_reads_the_metrics(
    client: TestClient, signing: Signing, valkey: ValkeyProcess
) -> None:
    with redis.Redis.from_url(valkey.url) as server:
        server.flushall()
    assert client.get("/metrics", headers=bearer(signing.token(scope="ops:read"))).status_code == 503
    assert client.get("/metrics", headers=SCRAPER).status_code == 200
