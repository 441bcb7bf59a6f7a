"""What the tests of a single service share."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from servicekit.database import utc_now
from tests.conftest import MakeClient
from tests.support.postgres import Postgres, name_in
from tests.support.signing import Signing
from tests.support.students import student_app

PATIENCE_SECONDS = 30.0  # far longer than any of these batches takes, even on a machine with other work

on_both_databases = pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])


@pytest.fixture(autouse=True)
def whole_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches are answered whole, not after two seconds with 202, so that a busy machine changes no answer.

    What becomes of longer ones is shown in the browser and with real processes.
    """
    for module in ("batch_routes", "import_routes"):
        monkeypatch.setattr(f"student_service.{module}.INLINE_SECONDS", PATIENCE_SECONDS)


# student_service: a file of tests that needs another database or clock has a fixture of that name itself.


@pytest.fixture(scope="session")
def sqlite_with_tables(signing: Signing, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as the service's first start leaves it: the tables are there and empty."""
    folder = tmp_path_factory.mktemp("sqlite")
    with TestClient(student_app(signing, folder)):
        pass
    return folder / "students.db"


@pytest.fixture(scope="session")
def postgres_with_tables(
    _postgres: Postgres | None, signing: Signing, tmp_path_factory: pytest.TempPathFactory
) -> str | None:
    """The name of such a database, or None when PostgreSQL isn't installed."""
    if _postgres is None:
        return None
    url = _postgres.database()
    with TestClient(student_app(signing, tmp_path_factory.mktemp("postgresql"), url)):
        pass
    return name_in(url)


@on_both_databases
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without any table."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path}/students.db"


@pytest.fixture
def sqlite_url(sqlite_with_tables: Path, tmp_path: Path) -> str:
    """A copy costs less than making the tables each time."""
    shutil.copyfile(sqlite_with_tables, tmp_path / "students.db")
    return f"sqlite:///{tmp_path}/students.db"


@on_both_databases
def url(request: pytest.FixtureRequest) -> str:
    """A database whose tables are there and empty."""
    if request.param == "postgresql":
        make = request.getfixturevalue("make_postgres_url")
        return str(make(request.getfixturevalue("postgres_with_tables")))
    return str(request.getfixturevalue("sqlite_url"))


@pytest.fixture
def clock() -> Callable[[], datetime]:
    return utc_now


@pytest.fixture
def app(url: str, signing: Signing, tmp_path: Path, clock: Callable[[], datetime]) -> FastAPI:
    return student_app(signing, tmp_path, url, clock)


@pytest.fixture
def client(app: FastAPI, make_client: MakeClient, signing: Signing) -> TestClient:
    """A registrar's client."""
    client = make_client(app)
    client.headers.update(signing.bearer(sub="user-1", username="rita"))
    return client
