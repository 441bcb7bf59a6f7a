"""A revocation that has been answered holds at once: at every worker, over every connection, in every form."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx2
import pytest

from tests.support.edge_server import Client
from tests.support.gateway_api import (
    OTHER_PASSWORD,
    PASSWORD,
    People,
    Person,
    ask_all,
    many_connections,
    request,
    statuses,
)
from tests.support.wait import until
from tests.support.whole_system import WholeSystem

pytestmark = [pytest.mark.system, pytest.mark.timeout(180), pytest.mark.xdist_group("whole-system")]

CONNECTIONS, TIMES = 50, 4  # 200 requests at least


def by_logout(people: People, person: Person) -> None:
    person("POST", "/auth/logout", 204)


def by_logout_all_elsewhere(people: People, person: Person) -> None:
    people.sign_in(person.username)("POST", "/auth/logout-all", 204)


def by_deleting_the_session(people: People, person: Person) -> None:
    session_id = person.profile()["session_id"]
    people.sign_in(person.username)("DELETE", f"/auth/sessions/{session_id}", 204)


def by_an_administrator(people: People, person: Person) -> None:
    people.admin("POST", f"/auth/users/{person.profile()['id']}/revoke-sessions", 204)


def by_disabling(people: People, person: Person) -> None:
    people.admin("PATCH", f"/auth/users/{person.profile()['id']}", 200, json={"disabled": True})


def by_another_role(people: People, person: Person) -> None:
    people.admin("PATCH", f"/auth/users/{person.profile()['id']}", 200, json={"role": "registrar"})


def by_a_password_reset(people: People, person: Person) -> None:
    people.admin("PATCH", f"/auth/users/{person.profile()['id']}", 200, json={"password": OTHER_PASSWORD})


def by_the_own_new_password_elsewhere(people: People, person: Person) -> None:
    elsewhere = people.sign_in(person.username)
    change = {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}
    elsewhere("PUT", "/auth/me/password", 204, json=change)
    assert elsewhere("GET", "/students/").status_code == 200, "the session that changed it stays"


def by_deletion(people: People, person: Person) -> None:
    people.admin("DELETE", f"/auth/users/{person.profile()['id']}", 204)


@pytest.mark.parametrize(
    "revoke",
    [
        by_logout,
        by_logout_all_elsewhere,
        by_deleting_the_session,
        by_an_administrator,
        by_disabling,
        by_another_role,
        by_a_password_reset,
        by_the_own_new_password_elsewhere,
        by_deletion,
    ],
)
def test_200_requests_over_many_connections_are_refused_once_it_is_revoked(
    whole_system: WholeSystem, people: People, revoke: Callable[[People, Person], None]
) -> None:
    person = people.new()
    asked = request("/students/?limit=1", person.bearer)
    with ExitStack() as opened:
        connections: list[Client] = []

        def serve_at_both_workers() -> bool:  # the kernel deals them out, and may give one worker fifty in a row
            connections.extend(opened.enter_context(many_connections(whole_system.gateway.url, CONNECTIONS)))
            assert statuses(ask_all(connections, asked)) == {200: len(connections)}  # they remember the token now
            serving = whole_system.gateway.connections_of_workers()
            assert len(serving) == 2, serving
            return min(serving) > 0

        until(serve_at_both_workers)
        revoke(people, person)
        answers = ask_all(connections, asked, TIMES)
    assert statuses(answers) == {401: len(connections) * TIMES}
    assert all('error="invalid_token"' in answer.headers["www-authenticate"] for answer in answers)
    assert person.refresh().status_code == 401


def test_a_revoked_token_opens_nothing_that_the_gateway_serves_itself(people: People) -> None:
    username = people.make("admin")
    person = people.sign_in(username)
    person("GET", "/metrics", 200)
    person("POST", "/auth/logout", 204)
    assert person("GET", "/metrics").status_code == 401


def test_a_second_logout_is_refused_like_any_other_call(people: People) -> None:
    person = people.new()
    person("POST", "/auth/logout", 204)
    person("POST", "/auth/logout", 401)


def test_a_session_that_ends_takes_no_other_with_it(people: People) -> None:
    username = people.make()
    first, second = people.sign_in(username), people.sign_in(username)
    first("POST", "/auth/logout", 204)
    assert second("GET", "/students/").status_code == 200


def test_a_logout_that_races_with_refreshes_leaves_nothing_alive(whole_system: WholeSystem, people: People) -> None:
    username = people.make()
    for _ in range(10):
        issued = _race(people.sign_in(username), refreshers=4)
        url = whole_system.gateway.url
        with httpx2.Client(base_url=url, timeout=30, trust_env=False) as client:
            for pair in issued:
                assert _status_once_it_can_be_told(client, pair["access_token"]) == 401
                again = client.post("/auth/refresh", json={"refresh_token": pair["refresh_token"]})
                assert again.status_code == 401


def _status_once_it_can_be_told(client: httpx2.Client, access_token: str) -> int:
    """The answer to a token; a Redis that this machine kept waiting too long (503) is asked again."""
    seen: list[int] = []

    def is_told() -> bool:
        seen.append(client.get("/students/", headers={"Authorization": f"Bearer {access_token}"}).status_code)
        return seen[-1] != 503

    until(is_told, timeout=20)
    return seen[-1]


def _race(person: Person, refreshers: int) -> list[dict[str, str]]:
    """All tokens ever issued to one session while it was logged out, and how many refreshes succeeded."""
    issued = [{"access_token": person.access_token, "refresh_token": person.refresh_token}]
    start = threading.Barrier(refreshers + 1)

    def refresh(_: int) -> None:
        token = person.refresh_token
        start.wait()
        for _ in range(4):
            answer = person.http.post("/auth/refresh", json={"refresh_token": token})
            if answer.status_code != 200:
                assert answer.status_code == 401, answer.text
                return
            issued.append(answer.json())
            token = answer.json()["refresh_token"]

    def leave() -> None:
        start.wait()
        until(lambda: len(issued) > 2, timeout=20)
        assert person.http.post("/auth/logout").status_code == 204

    with ThreadPoolExecutor(refreshers + 1) as pool:
        leaving = pool.submit(leave)
        list(pool.map(refresh, range(refreshers)))
        leaving.result()
    return issued
