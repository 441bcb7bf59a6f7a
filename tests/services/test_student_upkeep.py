"""After a large batch PostgreSQL takes stock at once: statistics, which rows are there, the index for searches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from starlette.testclient import TestClient

from servicekit.database import Database
from servicekit.problems import ServiceUnavailable
from tests.conftest import MakeClient
from tests.support.signing import Signing
from tests.support.student_files import csv_text
from tests.support.students import student_app
from tests.support.wait import until

pytestmark = pytest.mark.postgres
HEADER = ["student_number", "first_name", "last_name", "email", "year"]
TABLES = {"students", "student_search", "student_history"}
COUNTED = sa.text("SELECT relname, vacuum_count, analyze_count FROM pg_stat_user_tables")
# How many pages the visibility map knows to be all visible, of how many, and how many rows the planner believes in.
BELIEVED = sa.text("SELECT relname, relallvisible, relpages, reltuples FROM pg_class WHERE relname = ANY(:tables)")


@pytest.fixture
def app(postgres_url: str, signing: Signing, tmp_path: Path) -> FastAPI:
    return student_app(signing, tmp_path, postgres_url)


@pytest.fixture
def client(app: FastAPI, make_client: MakeClient, signing: Signing) -> TestClient:
    client = make_client(app)
    client.headers.update(signing.bearer())
    return client


def import_many(client: TestClient, count: int) -> None:
    """Import students and wait until that is done."""
    rows: list[list[Any]] = [[f"A{n}", "Ann", f"Ash{n}", f"a{n}@x.org", 3] for n in range(count)]
    answer = client.post("/students/import", content=csv_text([HEADER, *rows]), headers={"Content-Type": "text/csv"})
    assert answer.status_code in (201, 202), answer.text
    where = answer.headers["location"]
    until(lambda: client.get(where).json()["state"] == "done", 30)


def vacuumed(database: Database) -> set[str]:
    """The tables that somebody has vacuumed and analyzed, autovacuum not counted."""
    with database.read() as conn:
        return {row.relname for row in conn.execute(COUNTED) if row.vacuum_count and row.analyze_count} & TABLES


def test_after_a_large_import_postgresql_knows_its_rows(app: FastAPI, client: TestClient) -> None:
    import_many(client, 2_000)
    database: Database = app.state.database
    until(lambda: vacuumed(database) == TABLES, 30)
    with database.read() as conn:
        for row in conn.execute(BELIEVED, {"tables": sorted(TABLES)}):
            assert row.reltuples == 2_000, row.relname
            assert row.relallvisible > row.relpages / 2, row.relname


def test_a_small_import_needs_none_of_it(app: FastAPI, client: TestClient) -> None:
    import_many(client, 20)
    assert vacuumed(app.state.database) == set()


def test_an_import_is_done_though_the_upkeep_after_it_fails(
    app: FastAPI, client: TestClient, capfd: pytest.CaptureFixture[str]
) -> None:
    database: Database = app.state.database
    with database.engine.begin() as conn:  # only another VACUUM waits for this lock, and gives up after five seconds
        conn.execute(sa.text("LOCK TABLE student_search IN SHARE UPDATE EXCLUSIVE MODE"))
        import_many(client, 2_000)
        logged = ""

        def is_told() -> bool:
            nonlocal logged
            logged += capfd.readouterr().out
            return "vacuum_not_done" in logged

        until(is_told, 30)
    assert client.get("/students").json()["total"] == 2_000


def test_the_deadline_of_upkeep_is_its_own(postgres_url: str) -> None:
    database = Database(postgres_url, pool_size=1)
    deadline = sa.text("SHOW statement_timeout")
    try:
        with database.upkeep(60) as conn:
            conn.execute(sa.text("VACUUM"))
            assert conn.execute(deadline).scalar_one() == "1min"
        with pytest.raises(ServiceUnavailable), database.upkeep(0.05) as conn:
            conn.execute(sa.text("SELECT pg_sleep(5)"))
        with database.read() as conn:
            assert conn.execute(deadline).scalar_one() == "10s"
    finally:
        database.dispose()
