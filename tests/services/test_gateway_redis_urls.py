"""The gateway's own connection to Redis takes what a URL can say: password, user, database number, TLS."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from gateway.redis_link import RedisLink, render_command
from servicekit.valkey_process import ValkeyProcess, start_valkey
from tests.support.tls_front import TlsFront, make_certificate

KEY = b"where"


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[ValkeyProcess]:
    """A Valkey that wants a password, with a word in its database 3."""
    server = start_valkey(tmp_path / "guarded")
    with redis.Redis(unix_socket_path=str(server.socket_path), db=3) as client:
        client.set(KEY, b"database 3")
        client.config_set("requirepass", "s3cret@/:")
    yield server
    server.stop()


async def word_at(url: str) -> object:
    """What the link finds, or None when it can't connect."""
    link = RedisLink(url, [b"return 1"])
    await link.start(wait_seconds=2)
    try:
        return await link.call(render_command(b"GET", KEY)) if link.is_up else None
    finally:
        await link.stop()


async def word_over_tls(server: ValkeyProcess, folder: Path, query: str) -> object:
    front = TlsFront(server.socket_path, *make_certificate(folder))
    await front.start()
    try:
        return await word_at(f"rediss://:s3cret%40%2F%3A@127.0.0.1:{front.port}/3{query}")
    finally:
        await front.stop()


def test_a_password_and_a_database_number_work(guarded: ValkeyProcess) -> None:
    url = guarded.url.replace("unix://", "unix://:s3cret%40%2F%3A@").replace("db=0", "db=3")
    assert asyncio.run(word_at(url)) == b"database 3"


def test_a_named_user_works(guarded: ValkeyProcess) -> None:
    url = guarded.url.replace("unix://", "unix://default:s3cret%40%2F%3A@").replace("db=0", "db=3")
    assert asyncio.run(word_at(url)) == b"database 3"


def test_a_wrong_password_connects_to_nothing(guarded: ValkeyProcess) -> None:
    assert asyncio.run(word_at(guarded.url.replace("unix://", "unix://:wrong@"))) is None


def test_tls_works_with_a_certificate_that_is_trusted(guarded: ValkeyProcess, tmp_path: Path) -> None:
    query = f"?ssl_ca_certs={tmp_path / 'tls.pem'}"
    assert asyncio.run(word_over_tls(guarded, tmp_path, query)) == b"database 3"


def test_a_certificate_that_nobody_vouches_for_is_refused(guarded: ValkeyProcess, tmp_path: Path) -> None:
    assert asyncio.run(word_over_tls(guarded, tmp_path, "")) is None


def test_a_certificate_is_not_looked_at_when_the_url_says_so(guarded: ValkeyProcess, tmp_path: Path) -> None:
    assert asyncio.run(word_over_tls(guarded, tmp_path, "?ssl_cert_reqs=none")) == b"database 3"
