"""Many at once: nothing is lost, doubled or half done, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

from starlette.testclient import TestClient

from tests.conftest import MakeClient
from tests.support.signing import Signing
from tests.support.students import a_student, student_app

AT_ONCE = 12


def at_once(ask: Callable[[int], Any]) -> list[Any]:
    """The answers of requests that begin together."""
    barrier = Barrier(AT_ONCE)

    def go(index: int) -> Any:
        barrier.wait()
        return ask(index)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(go, range(AT_ONCE)))


def test_of_many_requests_with_one_key_exactly_one_has_an_effect(client: TestClient) -> None:
    body, key = a_student(), {"Idempotency-Key": "k"}
    answers = at_once(lambda _: client.post("/students/", json=body, headers=key))
    assert {answer.status_code for answer in answers} <= {201, 409}
    made = [answer for answer in answers if answer.status_code == 201]
    assert len({answer.content for answer in made}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in made) == 1
    assert client.post("/students/", json=body, headers=key).content == made[0].content
    assert client.get("/students").json()["total"] == 1


def test_of_many_with_one_address_exactly_one_is_made(client: TestClient) -> None:
    answers = at_once(lambda i: client.post("/students/", json=a_student(email=f"S{'aA'[i % 2]}me@example.org")))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: AT_ONCE - 1}
    assert {answer.json()["field"] for answer in answers if answer.status_code == 409} == {"email"}


def test_of_many_that_move_to_one_address_exactly_one_does(client: TestClient) -> None:
    paths = [client.post("/students/", json=a_student()).headers["location"] for _ in range(AT_ONCE)]
    answers = at_once(lambda i: client.patch(paths[i], json={"email": "wanted@example.org"}))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: AT_ONCE - 1}
    assert {answer.json()["field"] for answer in answers if answer.status_code == 409} == {"email"}


def test_of_many_changes_of_one_version_exactly_one_is_made(client: TestClient) -> None:
    path = client.post("/students/", json=a_student(year=12)).headers["location"]
    guard = {"If-Match": '"v1"'}
    answers = at_once(lambda i: client.patch(path, json={"year": i % 11 + 1}, headers=guard))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 412: AT_ONCE - 1}
    assert client.get(path).json()["version"] == 2


def test_unguarded_changes_of_different_fields_are_all_kept(client: TestClient) -> None:
    path = client.post("/students/", json=a_student()).headers["location"]
    fields = ["middle_name", "preferred_name", "program", "notes"]
    answers = at_once(lambda i: client.patch(path, json={fields[i % 4]: f"value {i}"}))
    assert {answer.status_code for answer in answers} == {200}
    student = client.get(path).json()
    assert all(student[field] for field in fields)
    assert student["version"] == AT_ONCE + 1
    history = client.get(f"{path}/history").json()["items"]
    assert [entry["version"] for entry in history] == list(range(AT_ONCE + 1, 0, -1))


def test_made_numbers_are_all_different_and_leave_no_gap(client: TestClient) -> None:
    answers = at_once(lambda _: client.post("/students/", json=a_student()))
    numbers = sorted(int(answer.json()["student_number"].partition("-")[2]) for answer in answers)
    assert numbers == list(range(1, AT_ONCE + 1))


def test_of_many_deletions_exactly_one_counts(client: TestClient) -> None:
    path = client.post("/students/", json=a_student()).headers["location"]
    answers = at_once(lambda _: client.delete(path))
    assert Counter(answer.status_code for answer in answers) == {204: 1, 404: AT_ONCE - 1}
    assert client.get(f"{path}/history").json()["total"] == 2


def test_several_processes_may_prepare_the_database_at_the_same_time(
    empty_url: str, make_client: MakeClient, signing: Signing, tmp_path: Path
) -> None:
    apps = [student_app(signing, tmp_path, empty_url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        clients = list(pool.map(make_client, apps))
    assert [client.get("/readyz").status_code for client in clients] == [200] * 4
