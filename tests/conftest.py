"""Fixtures that every kind of test may use: a real Valkey, a real PostgreSQL, a signing key, a checking client."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
from hypothesis import settings
from starlette.testclient import TestClient
from starlette.types import ASGIApp

from servicekit.valkey_process import ValkeyProcess, start_valkey
from tests.support.answers import check_answer
from tests.support.postgres import Postgres, find_binaries, name_in
from tests.support.signing import Signing

MakeClient = Callable[[ASGIApp], TestClient]
MakePostgresUrl = Callable[..., str]
SYSTEM_TESTS = Path(__file__).resolve().parent / "system"

settings.register_profile("tests", deadline=None)  # a crowded machine makes one example slow, which says nothing
settings.load_profile("tests")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of an xdist_group on one worker, and those of a file of system tests: they share processes.

    `--dist loadgroup` goes by a suffix of the node id; pytest-xdist 3.8 writes it where pytest 9.2 no longer reads it.
    """
    if not getattr(config.option, "loadgroup", False):
        return
    for item in items:
        groups = sorted({str(mark.args[0]) for mark in item.iter_markers("xdist_group")})
        if not groups and item.path.parent == SYSTEM_TESTS:
            groups = [item.path.stem]
        suffix = "@" + "_".join(groups)
        if groups and not item.nodeid.endswith(suffix):
            item._id = type(item.id).parse(item.nodeid + suffix)


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyProcess]:
    server = start_valkey(tmp_path_factory.mktemp("valkey"))
    yield server
    server.stop()


@pytest.fixture
def redis_url(valkey: ValkeyProcess) -> str:
    """The URL of an empty Valkey."""
    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()
    return valkey.url


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[ValkeyProcess]:
    """A Valkey that the test may stop, kill or pause."""
    server = start_valkey(tmp_path / "own-valkey")
    yield server
    server.resume()
    server.stop()


@pytest.fixture(scope="session")
def _postgres() -> Iterator[Postgres | None]:
    binaries = find_binaries()
    if binaries is None:
        assert os.environ.get("MATRICULA_REQUIRE_POSTGRES") != "1", "PostgreSQL is required here but not installed"
        yield None
        return
    server = Postgres(binaries)
    yield server
    server.stop()


@pytest.fixture
def make_postgres_url(_postgres: Postgres | None) -> Iterator[MakePostgresUrl]:
    """Makes PostgreSQL databases that are gone after the test: empty ones, or copies of a named one."""
    if _postgres is None:
        pytest.skip("PostgreSQL isn't installed")
    urls: list[str] = []

    def make(template: str = "template1") -> str:
        urls.append(_postgres.database(template))
        return urls[-1]

    yield make
    for url in urls:
        _postgres.drop(name_in(url))


@pytest.fixture
def postgres_url(make_postgres_url: MakePostgresUrl) -> str:
    """The URL of an empty PostgreSQL database."""
    return make_postgres_url()


@pytest.fixture(scope="session")
def signing() -> Signing:
    return Signing()


@pytest.fixture
def make_client() -> Iterator[MakeClient]:
    """Makes clients of an app whose lifespan runs, and whose every answer is held against the contract."""
    with ExitStack() as stack:

        def make(app: ASGIApp) -> TestClient:
            client = stack.enter_context(TestClient(app, raise_server_exceptions=False))
            client.event_hooks["response"].append(check_answer)
            return client

        yield make
