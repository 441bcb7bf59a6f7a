"""A PostgreSQL that is there and does nothing (stopped, swapped out, waiting for its disk) is a 503 after a while."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from servicekit.database import Database
from servicekit.problems import ServiceUnavailable
from tests.conftest import MakeClient
from tests.support.postgres import Postgres, find_binaries
from tests.support.signing import Signing
from tests.support.students import a_student, student_app
from tests.support.wait import until

pytestmark = pytest.mark.postgres


@pytest.fixture
def server() -> Iterator[Postgres]:
    """One of its own, so that it may be stopped."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL isn't installed")
    server = Postgres(binaries)
    yield server
    server.stop()


@contextmanager
def hung(server: Postgres) -> Iterator[None]:
    """Every process of the server stopped, as SIGSTOP does it."""
    (pid_file,) = server._folder.glob("data/postmaster.pid")
    postmaster = psutil.Process(int(pid_file.read_text().split()[0]))
    processes = [postmaster, *postmaster.children()]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


def test_requests_are_503_while_the_database_hangs_and_served_when_it_goes_on(
    server: Postgres, make_client: MakeClient, signing: Signing, tmp_path: Path
) -> None:
    client = make_client(student_app(signing, tmp_path, server.database()))
    client.headers.update(signing.bearer())
    path = client.post("/students/", json=a_student()).headers["location"]
    with ThreadPoolExecutor(2) as pool:
        with hung(server):
            began = time.monotonic()
            answers = [pool.submit(client.get, path), pool.submit(client.patch, path, json={"notes": "x"})]
            # The gateway gives up after 15 seconds; the reason should reach the client before.
            until(lambda: all(answer.done() for answer in answers), timeout=14)
        for answer in answers:
            assert answer.result().status_code == 503
            assert int(answer.result().headers["retry-after"]) >= 1
        assert time.monotonic() - began < 15
    until(lambda: client.get(path).status_code == 200, timeout=10)
    assert client.get(path).json()["version"] == 1  # what was answered 503 isn't done later


def test_connections_that_the_server_closed_are_replaced_unnoticed(
    postgres_url: str, make_client: MakeClient, signing: Signing, tmp_path: Path
) -> None:
    client = make_client(student_app(signing, tmp_path, postgres_url))
    client.headers.update(signing.bearer())
    path = client.post("/students/", json=a_student()).headers["location"]
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    database = Database(postgres_url, pool_size=1)
    try:
        with database.read() as connection:
            closed = connection.execute(sa.text(f"{others} AND pid <> pg_backend_pid()")).scalars().all()
    finally:
        database.dispose()
    assert True in closed
    assert client.get(path).status_code == 200
    assert client.patch(path, json={"notes": "x"}).status_code == 200


def test_a_question_without_an_answer_ends_and_leaves_no_answer_to_the_next(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("servicekit.database.ANSWER_SECONDS", 0.3)
    database = Database(postgres_url, pool_size=1)
    try:
        with pytest.raises(ServiceUnavailable), database.read() as connection:
            connection.execute(sa.text("SELECT 'late' FROM pg_sleep(5)"))
        with database.read() as connection:
            assert connection.execute(sa.text("SELECT 'next'")).scalar_one() == "next"
    finally:
        database.dispose()


def test_what_a_start_has_to_do_may_take_longer(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("servicekit.database.ANSWER_SECONDS", 0.3)
    database = Database(postgres_url, pool_size=1)
    try:
        with database.patience(), database.write() as connection:
            assert connection.execute(sa.text("SELECT 'done' FROM pg_sleep(1)")).scalar_one() == "done"
        with pytest.raises(ServiceUnavailable), database.write() as connection:
            connection.execute(sa.text("SELECT pg_sleep(1)"))
    finally:
        database.dispose()
