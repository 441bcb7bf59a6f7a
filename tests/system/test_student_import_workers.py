"""Imports on a student_service with two worker processes: either tells of them, and one may be killed."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from tests.support.gateway_process import Upstreams, serves_keys
from tests.support.ports import free_port
from tests.support.signing import Signing
from tests.support.started_stack import StartedStack
from tests.support.wait import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

ROWS = 12_000
HEADER = "student_number,first_name,last_name,email,year"
TAKEN_FOR_DEAD_SECONDS = 30  # a process that was silent for so long; then another looks every 5


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def service(tmp_path: Path, upstreams: Upstreams, signing: Signing, port: int) -> Iterator[StartedStack]:
    keys = upstreams.start({b"/.well-known/jwks.json": serves_keys(signing)})
    environment = {"PORT": str(port), "WORKERS": "2", "AUTH_SERVICE_URL": keys.url, "LOG_FORMAT": "json"}
    running = StartedStack([sys.executable, "-m", "student_service"], tmp_path / "var", environment)
    try:
        yield running
    finally:
        running.close()


@pytest.fixture
def client(service: StartedStack, signing: Signing, port: int) -> Iterator[httpx2.Client]:
    """Each request on a connection of its own, so that the kernel may give it to either worker."""
    base = f"http://127.0.0.1:{port}"
    headers = {"Authorization": f"Bearer {signing.token(role='registrar')}", "Connection": "close"}
    with httpx2.Client(base_url=base, headers=headers, timeout=20, trust_env=False) as asking:
        until(lambda: answers(asking), timeout=60)
        yield asking


def answers(client: httpx2.Client) -> bool:
    with contextlib.suppress(httpx2.TransportError):
        return client.get("/readyz").status_code == 200
    return False


def workers(service: StartedStack) -> list[psutil.Process]:
    children = psutil.Process(service.process.pid).children()
    return [child for child in children if "resource_tracker" not in " ".join(child.cmdline())]


def begin(client: httpx2.Client) -> str:
    """The path of a large import under way."""
    lines = [f"K{number},Ada,Lovelace {number},k{number}@example.org,3" for number in range(ROWS)]
    begun = client.post(
        "/students/import", content="\n".join([HEADER, *lines]).encode(), headers={"Content-Type": "text/csv"}
    )
    assert begun.status_code in (201, 202), begun.text
    return f"/students/imports/{begun.json()['id']}"


def test_both_workers_tell_the_same_of_an_import_and_answer_meanwhile(client: httpx2.Client) -> None:
    where = begin(client)
    applied = [0]
    seen: list[dict[str, Any]] = []

    def is_done() -> bool:
        assert client.get("/students/?limit=1").status_code == 200
        batch = client.get(where).json()
        seen.append(batch)
        assert batch["rows_applied"] >= applied[-1], "a worker told of an older state"
        applied.append(batch["rows_applied"])
        return bool(batch["state"] == "done")

    until(is_done, timeout=60)
    assert seen[-1]["rows_applied"] == ROWS
    assert client.get("/students/?limit=1").json()["total"] == ROWS


def test_an_import_goes_on_where_it_was_when_its_worker_is_killed(service: StartedStack, client: httpx2.Client) -> None:
    before = {worker.pid: sum(worker.cpu_times()[:2]) for worker in workers(service)}
    where = begin(client)
    until(lambda: client.get(where).json()["rows_applied"] > 0, timeout=60)
    busiest = max(workers(service), key=lambda each: sum(each.cpu_times()[:2]) - before.get(each.pid, 0.0))
    busiest.send_signal(signal.SIGKILL)
    assert client_when_answered(client, where)["state"] == "applying", "it was over before the kill; take more rows"
    until(lambda: client_when_answered(client, where)["state"] == "done", timeout=TAKEN_FOR_DEAD_SECONDS + 60)
    assert client_when_answered(client, where)["rows_applied"] == ROWS
    assert client_when_answered(client, "/students/?limit=1")["total"] == ROWS
    lines = [json.loads(line) for line in service.output.splitlines() if line.startswith("{")]
    assert [line["state"] for line in lines if line["event"] == "batch_taken_over"] == ["applying"]


def client_when_answered(client: httpx2.Client, path: str) -> dict[str, Any]:
    """An answer's JSON; a connection that the killed worker had accepted is lost, and asked again."""
    found: list[dict[str, Any]] = []

    def ask() -> bool:
        with contextlib.suppress(httpx2.TransportError):
            found.append(client.get(path).json())
        return bool(found)

    until(ask, timeout=20)
    return found[-1]
