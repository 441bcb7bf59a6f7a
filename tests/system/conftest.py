"""A gateway of the module's own and upstreams to put behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from servicekit.valkey_process import ValkeyProcess
from tests.support.gateway_api import People
from tests.support.gateway_process import StartGateway, Upstreams, gateways, make_denylist_whole, serves_keys
from tests.support.scripted_upstream import Upstream
from tests.support.signing import Signing
from tests.support.whole_system import WholeSystem


@pytest.fixture(scope="module")
def upstreams() -> Iterator[Upstreams]:
    started = Upstreams()
    yield started
    started.close()


@pytest.fixture(scope="module")
def keys(upstreams: Upstreams, signing: Signing) -> Upstream:
    """An upstream that serves the key set, in auth_service's place."""
    return upstreams.start({b"/.well-known/jwks.json": serves_keys(signing)})


@pytest.fixture(scope="module")
def start_gateway(
    tmp_path_factory: pytest.TempPathFactory, valkey: ValkeyProcess, keys: Upstream
) -> Iterator[StartGateway]:
    """Starts gateways that share the session's Valkey, whose denylist is whole and empty."""
    make_denylist_whole(valkey.url)
    folder: Path = tmp_path_factory.mktemp("gateways")
    with gateways(folder, valkey.url, keys.url) as start:
        yield start


@pytest.fixture(scope="session")
def whole_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeSystem]:
    """The core of the system, once for all modules of the group "whole-system"; nobody stops anything in it."""
    system = WholeSystem(tmp_path_factory.mktemp("whole-system"))
    yield system
    system.close()


@pytest.fixture(scope="module")
def people(whole_system: WholeSystem) -> Iterator[People]:
    """Users of the whole system."""
    known = People(whole_system.gateway.url)
    yield known
    known.close()
