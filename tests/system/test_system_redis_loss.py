"""Redis flushed, restarted, killed or hung: a revoked token never comes back, and the system recovers by itself."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial

import httpx2
import pytest
import redis

from tests.support.gateway_api import ADMIN, People, ask_all, many_connections, request, statuses
from tests.support.wait import until
from tests.support.whole_system import Program, WholeSystem

pytestmark = [pytest.mark.system, pytest.mark.timeout(180), pytest.mark.xdist_group("redis-loss")]

RECOVERY_SECONDS = 5
PATIENCE_SECONDS = 2  # half a second each at the gateway and at auth_service, on a busy machine


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeSystem]:
    """One whose Valkey keeps only the snapshots that a test tells it to keep."""
    started = WholeSystem(tmp_path_factory.mktemp("redis-loss"), valkey_arguments=("--appendonly", "no"))
    yield started
    started.close()


@pytest.fixture
def people(system: WholeSystem) -> Iterator[People]:
    until(system.is_whole, timeout=20)
    known = People(system.gateway.url)
    yield known
    known.close()
    system.valkey.resume()
    if not system.valkey.running():
        system.start_valkey()


def flush(system: WholeSystem) -> None:
    with redis.Redis.from_url(system.valkey.url) as client:
        client.flushall()


def save_snapshot(system: WholeSystem) -> None:
    with redis.Redis.from_url(system.valkey.url) as client:
        client.save()


def restart_empty(system: WholeSystem) -> None:
    system.valkey.kill()
    (system.folder / "valkey" / "dump.rdb").unlink(missing_ok=True)
    system.start_valkey()


def restart_from_snapshot(system: WholeSystem) -> None:
    system.valkey.kill()
    assert (system.folder / "valkey" / "dump.rdb").exists()
    system.start_valkey()


def never_alive_again(system: WholeSystem, bearer: str) -> None:
    """Ask over and over until the system is whole, and on: 503 at first, perhaps, then 401, and never anything else."""
    asked = request("/students/?limit=1", bearer)
    seen: list[int] = []
    deadline = time.monotonic() + RECOVERY_SECONDS * 4
    while seen[-100:] != [401] * 100:
        assert time.monotonic() < deadline, "not whole again"
        with many_connections(system.gateway.url, 20) as connections:
            seen += [answer.status for answer in ask_all(connections, asked)]
        assert set(seen) <= {401, 503}, set(seen)


def sign_in_works_soon(system: WholeSystem) -> None:
    since = time.monotonic()

    def signed_in() -> bool:
        answer = httpx2.post(f"{system.gateway.url}/auth/login", json=ADMIN, timeout=10, trust_env=False)
        if answer.status_code != 200:
            return False
        bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        listed = httpx2.get(f"{system.gateway.url}/students/", headers=bearer, timeout=10, trust_env=False)
        assert listed.status_code in (200, 503)
        return listed.status_code == 200

    until(signed_in, timeout=RECOVERY_SECONDS * 4)
    assert time.monotonic() - since < RECOVERY_SECONDS


@pytest.mark.parametrize("lose", [flush, restart_empty])
def test_a_logout_outlives_the_loss_of_everything_in_redis(system: WholeSystem, people: People, lose: object) -> None:
    assert callable(lose)
    gone, living = people.new(), people.new()
    gone("POST", "/auth/logout", 204)
    lose(system)
    never_alive_again(system, gone.bearer)
    sign_in_works_soon(system)
    assert living("GET", "/students/").status_code == 200


def test_a_snapshot_from_before_the_logout_does_not_bring_the_token_back(system: WholeSystem, people: People) -> None:
    gone, living = people.new(), people.new()
    with redis.Redis.from_url(system.valkey.url) as client:
        assert client.get("denylist:whole"), "the snapshot says that it is whole"
    save_snapshot(system)
    gone("POST", "/auth/logout", 204)
    restart_from_snapshot(system)
    never_alive_again(system, gone.bearer)
    sign_in_works_soon(system)
    assert living("GET", "/students/").status_code == 200


def test_only_the_marker_lost_is_a_loss_too(system: WholeSystem, people: People) -> None:
    gone = people.new()
    gone("POST", "/auth/logout", 204)
    with redis.Redis.from_url(system.valkey.url) as client:
        client.delete("denylist:whole", *client.keys("denylist:sid:*"))
    never_alive_again(system, gone.bearer)


@pytest.mark.parametrize("how", ["killed", "hung"])
def test_without_redis_protected_routes_are_503_at_once_and_the_rest_goes_on(
    system: WholeSystem, people: People, how: str
) -> None:
    living = people.new()
    if how == "killed":
        system.valkey.kill()
    else:
        system.valkey.pause()
    with many_connections(system.gateway.url, 40) as connections:
        since = time.monotonic()
        answers = ask_all(connections, request("/students/", living.bearer), 2)
        took = time.monotonic() - since
    assert statuses(answers) == {503: 80}
    assert {answer.headers["retry-after"] for answer in answers} == {"1"}
    assert took < 8, "nobody waits for a Redis that doesn't answer"
    with httpx2.Client(base_url=system.gateway.url, timeout=20, trust_env=False) as anyone:
        assert anyone.get("/.well-known/jwks.json").status_code == 200
        assert anyone.get("/healthz").status_code == 200
        assert anyone.get("/readyz").json()["dependencies"]["redis"]["status"] == "down"
        assert anyone.post("/auth/login", json=ADMIN).status_code == 200, "signing in is limited by each process itself"
        assert anyone.get("/students/").status_code == 401, "without a token, a token is what is missing"
    back_again(system)
    sign_in_works_soon(system)
    assert living("GET", "/students/").status_code == 200


def test_a_hung_redis_keeps_nobody_waiting_for_the_gateways_own_pages_and_for_signing_in(
    system: WholeSystem, people: People
) -> None:
    assert people.new()("GET", "/students/").status_code == 200
    with httpx2.Client(base_url=system.gateway.url, timeout=20, trust_env=False) as anyone:
        system.valkey.pause()
        for _ in range(6):
            for path in ("/", "/docs", "/openapi.json"):
                assert within(PATIENCE_SECONDS, partial(anyone.get, path)).status_code == 200
            assert within(PATIENCE_SECONDS, partial(anyone.post, "/auth/login", json=ADMIN)).status_code == 200
        system.valkey.resume()
        sign_in_works_soon(system)
        for program, ask in (
            (system.gateway, partial(anyone.get, "/")),
            (system.auth, partial(anyone.post, "/auth/login", json=ADMIN)),
        ):
            until(partial(counts_in_redis_after, ask, program), timeout=20)


def counts_in_redis_after(ask: Callable[[], httpx2.Response], program: Program) -> bool:
    assert ask().status_code == 200
    return any(record["event"] == "rate_limit_storage_back" for record in program.records())


def within(seconds: float, ask: Callable[[], httpx2.Response]) -> httpx2.Response:
    since = time.monotonic()
    answer = ask()
    assert time.monotonic() - since < seconds
    return answer


@pytest.mark.parametrize("way", ["gateway", "auth_service"])
def test_a_logout_that_redis_could_not_take_is_no_204_and_is_kept_when_it_was_stored(
    system: WholeSystem, people: People, way: str
) -> None:
    person = people.new()
    system.valkey.kill()
    url = system.gateway.url if way == "gateway" else system.auth.url
    bearer = {"Authorization": f"Bearer {person.access_token}"}
    answer = httpx2.post(f"{url}/auth/logout", headers=bearer, timeout=20, trust_env=False)
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) >= 1
    back_again(system)
    if way == "auth_service":  # it was stored: from now on it only becomes effective
        never_alive_again(system, person.bearer)
        assert person.refresh().status_code == 401
        return
    until(lambda: person("GET", "/auth/me").status_code == 200, timeout=20)
    person("POST", "/auth/logout", 204)
    never_alive_again(system, person.bearer)


def test_a_logout_that_was_stored_while_redis_was_away_can_be_repeated(system: WholeSystem, people: People) -> None:
    person = people.new()
    bearer = {"Authorization": f"Bearer {person.access_token}"}
    system.valkey.pause()
    first = httpx2.post(f"{system.auth.url}/auth/logout", headers=bearer, timeout=30, trust_env=False)
    assert first.status_code == 503
    system.valkey.resume()
    again = httpx2.post(f"{system.auth.url}/auth/logout", headers=bearer, timeout=30, trust_env=False)
    assert again.status_code in (204, 401), "finished by this call, or already by the service itself"
    never_alive_again(system, person.bearer)


def back_again(system: WholeSystem) -> None:
    if system.valkey.running():
        system.valkey.resume()
        return
    shutil.rmtree(system.folder / "valkey", ignore_errors=True)
    system.start_valkey()
