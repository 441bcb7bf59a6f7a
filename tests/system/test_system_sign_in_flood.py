"""A flood of sign-ins costs the service a fixed amount of memory, and nobody else their answers."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor

import httpx2
import psutil
import pytest

from tests.support.gateway_api import PASSWORD, People
from tests.support.whole_system import WholeSystem

pytestmark = [pytest.mark.system, pytest.mark.timeout(180), pytest.mark.xdist_group("whole-system")]

AT_ONCE, ATTEMPTS = 120, 360  # more at once than may wait
ANSWER_SECONDS = 10  # "not kept waiting by the flood" on a slow machine; an idle one answers in milliseconds
MEBIBYTE = 1 << 20


def flood(client: httpx2.Client, username: str) -> list[Future[httpx2.Response]]:
    """Sign-ins that all come at the same time, every other one with a wrong password."""

    def attempt(number: int) -> httpx2.Response:
        password = PASSWORD if number % 2 else "not the password of this"
        return client.post("/auth/login", json={"username": username, "password": password})

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [pool.submit(attempt, number) for number in range(ATTEMPTS)]


def test_a_flood_of_sign_ins_exhausts_no_memory_and_starves_nobody(whole_system: WholeSystem, people: People) -> None:
    username = people.make()
    person = people.sign_in(username)
    process = psutil.Process(whole_system.auth.process.pid)
    before, peak, seen = process.memory_info().rss, 0, Counter[int]()
    limits = httpx2.Limits(max_connections=AT_ONCE)
    with (
        httpx2.Client(base_url=whole_system.auth.url, timeout=60, limits=limits, trust_env=False) as flooding,
        httpx2.Client(base_url=whole_system.auth.url, timeout=ANSWER_SECONDS, trust_env=False) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        attempts = pool.submit(flood, flooding, username)
        while not attempts.done():
            seen[other.get("/auth/me", headers={"Authorization": f"Bearer {person.access_token}"}).status_code] += 1
            peak = max(peak, process.memory_info().rss)
        answers = [each.result() for each in attempts.result()]
    statuses = Counter(answer.status_code for answer in answers)
    assert set(seen) == {200}, seen
    assert seen[200] > 5, "others are served while the flood lasts"
    assert set(statuses) == {200, 401, 503}, statuses
    assert all("retry-after" in answer.headers for answer in answers if answer.status_code == 503)
    # Two threads with 19 MiB each, a hundred connections and their requests: far from 120 times 19 MiB.
    assert (peak - before) / MEBIBYTE < 200
