"""How long a session lasts: for a while without a request, and never longer than a day's work in all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from redis.asyncio import Redis

from admin_ui.sealing import Sealer
from admin_ui.session_store import SessionStore, Tokens
from tests.support.scripted_gateway import Person, ScriptedGateway, admin_ui_client

PAGE = "/admin/students/new"
IDLE_SECONDS, MAX_SECONDS = 7_200, 300


@contextmanager
def signed_in(state_dir: Path, redis_url: str, **settings: int) -> Iterator[Person]:
    gateway = ScriptedGateway()
    gateway.says("GET /students/stats", body={"by_program": [], "by_year": [], "by_status": {}, "total": 0})
    try:
        with admin_ui_client(gateway, state_dir, redis_url, **settings) as client:
            person = Person(client, gateway)
            person.sign_in("registrar")
            yield person
    finally:
        gateway.close()


@pytest.fixture
def kept(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


def the_place(kept: redis.Redis) -> bytes:
    (place,) = [key for key in kept.scan_iter("ui:session:*") if not key.endswith(b":refreshing")]
    return bytes(place)


def test_a_request_puts_the_idle_end_of_a_session_off(tmp_path: Path, redis_url: str, kept: redis.Redis) -> None:
    with signed_in(tmp_path, redis_url, admin_ui_session_idle_ttl=IDLE_SECONDS) as person:
        place = the_place(kept)
        kept.expire(place, 60)
        assert person.get(PAGE).status_code == 200
        assert 60 < kept.ttl(place) <= IDLE_SECONDS


def test_whoever_was_idle_too_long_signs_in_again_and_comes_back(
    tmp_path: Path, redis_url: str, kept: redis.Redis
) -> None:
    with signed_in(tmp_path, redis_url) as person:
        kept.expireat(the_place(kept), int(time.time()) - 1)
        answer = person.client.get(PAGE, follow_redirects=False)
        assert answer.status_code == 303
        assert answer.headers["location"] == f"/admin/login?next={PAGE}&ended=1"


def test_no_request_puts_the_last_end_of_a_session_off(tmp_path: Path, redis_url: str, kept: redis.Redis) -> None:
    ttl = {"admin_ui_session_idle_ttl": IDLE_SECONDS, "admin_ui_session_max_ttl": MAX_SECONDS}
    with signed_in(tmp_path, redis_url, **ttl) as person:
        assert person.get(PAGE).status_code == 200
        assert 0 < kept.ttl(the_place(kept)) <= MAX_SECONDS


def test_a_session_past_its_last_end_is_gone_even_if_redis_still_has_it(redis_url: str) -> None:
    async def try_it() -> None:
        async with Redis.from_url(redis_url) as client:
            store = SessionStore(client, Sealer(("k" * 40,)), idle_seconds=IDLE_SECONDS, max_seconds=MAX_SECONDS)
            profile = {"id": "u", "username": "ada", "role": "viewer", "scopes": ["students:read"]}
            session_id, session = await store.create(Tokens("access", "refresh", time.time() + 900), profile)
            assert await store.find(session_id) == session
            assert await store.save(replace(session, ends_at=time.time() - 1))
            await client.persist(session.place)
            assert await store.find(session_id) is None
            assert not await client.exists(session.place)

    asyncio.run(try_it())
