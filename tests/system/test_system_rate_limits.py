"""Limits shared by all workers: exactly so many pass, answers tell of them, and nobody uses up somebody else's."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.support.edge_server import Response
from tests.support.gateway_api import People, ask_all, json_request, many_connections, request, statuses
from tests.support.whole_system import WholeSystem

pytestmark = [pytest.mark.system, pytest.mark.timeout(180), pytest.mark.xdist_group("rate-limits")]

LIMIT, WINDOW = 100, 120
POLICY = re.compile(r'"([a-z-]+)";q=(\d+);w=(\d+)')
QUOTA = re.compile(r'"([a-z-]+)";r=(\d+);t=(\d+)')


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeSystem]:
    """Limits low enough to reach, with a window that outlasts a test; this machine stands for a proxy nobody trusts."""
    rate = f"{LIMIT} per 2 minutes"
    limits = {"RATE_LIMIT_USER": rate, "RATE_LIMIT_ANONYMOUS": rate, "RATE_LIMIT_LOGIN": "5 per 2 minutes"}
    wide = {"RATE_LIMIT_LOGIN_ACCOUNT": "1000/minute", "RATE_LIMIT_LOGIN_ADDRESS": "1000/minute"}
    started = WholeSystem(tmp_path_factory.mktemp("rate-limits"), environment=limits | wide)
    yield started
    started.close()


@pytest.fixture(scope="module")
def behind_proxy(system: WholeSystem) -> str:
    """The URL of a gateway that believes X-Forwarded-For, so that one test's clients are not another's."""
    return system.start_gateway(TRUSTED_PROXIES="127.0.0.0/8").url


@pytest.fixture(scope="module")
def people(system: WholeSystem, behind_proxy: str) -> Iterator[People]:
    known = People(behind_proxy)
    yield known
    known.close()


def as_client(address: str) -> str:
    return f"X-Forwarded-For: {address}"


def policy_of(answer: Response) -> tuple[str, int, int]:
    match = POLICY.fullmatch(answer.headers["ratelimit-policy"])
    assert match, answer.headers
    return match[1], int(match[2]), int(match[3])


def quota_of(answer: Response) -> tuple[str, int, int]:
    match = QUOTA.fullmatch(answer.headers["ratelimit"])
    assert match, answer.headers
    return match[1], int(match[2]), int(match[3])


def check_limited(answers: list[Response], name: str) -> None:
    """Exactly LIMIT of them passed, each told another rest, and the others were told when to come back."""
    passed = [answer for answer in answers if answer.status != 429]
    refused = [answer for answer in answers if answer.status == 429]
    assert len(passed) == LIMIT
    assert {policy_of(answer) for answer in answers} == {(name, LIMIT, WINDOW)}
    assert sorted(quota_of(answer)[1] for answer in passed) == list(range(LIMIT))
    for answer in refused:
        _, remaining, reset = quota_of(answer)
        assert remaining == 0
        assert 1 <= int(answer.headers["retry-after"]) <= WINDOW * 1.05 + 1
        assert abs(reset - int(answer.headers["retry-after"])) <= 1


def test_of_400_parallel_requests_of_one_user_exactly_100_pass(behind_proxy: str, people: People) -> None:
    username = people.make()
    first, second = people.sign_in(username), people.sign_in(username)
    with many_connections(behind_proxy, 400) as connections:
        # Two sessions of one user share the quota: it is counted by subject.
        for number, connection in enumerate(connections):
            person = first if number % 2 else second
            connection.send(
                request("/students/?limit=1", person.bearer, as_client(f"10.1.{number // 250}.{number % 250}"))
            )
        answers = [connection.response() for connection in connections]
    assert statuses(answers) == {200: LIMIT, 429: 300}
    check_limited(answers, "user")


def test_of_400_parallel_requests_of_one_anonymous_client_exactly_100_pass(behind_proxy: str) -> None:
    asked = request("/.well-known/jwks.json", as_client("192.0.2.1"))
    with many_connections(behind_proxy, 400) as connections:
        answers = ask_all(connections, asked)
    assert statuses(answers) == {200: LIMIT, 429: 300}
    check_limited(answers, "anonymous")


def test_another_client_and_another_user_have_their_own(behind_proxy: str, people: People) -> None:
    with many_connections(behind_proxy, 20) as connections:
        ask_all(connections, request("/.well-known/jwks.json", as_client("192.0.2.50")), 6)
        (refused,) = ask_all(connections[:1], request("/.well-known/jwks.json", as_client("192.0.2.50")))
        (other,) = ask_all(connections[:1], request("/.well-known/jwks.json", as_client("192.0.2.51")))
        person = people.new()
        (user,) = ask_all(connections[:1], request("/students/", person.bearer, as_client("192.0.2.50")))
    assert (refused.status, other.status, user.status) == (429, 200, 200)
    assert quota_of(user)[:2] == ("user", LIMIT - 1)


def test_addresses_of_one_ipv6_network_are_one_client(behind_proxy: str) -> None:
    path = "/.well-known/jwks.json"
    with many_connections(behind_proxy, 10) as connections:
        for number, connection in enumerate(connections * 11):
            connection.send(request(path, as_client(f"2001:db8:0:7::{number:x}")))
            answer = connection.response()
            assert answer.status == (200 if number < LIMIT else 429), number
        (next_door,) = ask_all(connections[:1], request(path, as_client("2001:db8:0:8::1")))
        (written_out,) = ask_all(connections[:1], request(path, as_client("2001:0DB8:0000:0007:ffff::9")))
    assert (next_door.status, written_out.status) == (200, 429)


def test_an_invalid_token_uses_up_its_senders_quota_and_not_the_named_users(behind_proxy: str, people: People) -> None:
    person = people.new()
    header, payload, signature = person.access_token.split(".")
    forged = f"Authorization: Bearer {header}.{payload}.{signature[:-8]}AAAAAAAA"
    with many_connections(behind_proxy, 50) as connections:
        answers = ask_all(connections, request("/students/", forged, as_client("192.0.2.66")), 4)
        (own,) = ask_all(connections[:1], request("/students/", person.bearer, as_client("192.0.2.66")))
    assert statuses(answers) == {401: LIMIT, 429: 100}
    assert {policy_of(answer)[0] for answer in answers} == {"anonymous"}
    assert own.status == 200
    assert quota_of(own)[:2] == ("user", LIMIT - 1)


def test_a_request_that_is_refused_as_revoked_uses_up_no_quota(behind_proxy: str, people: People) -> None:
    username = people.make()
    gone = people.sign_in(username)
    gone("POST", "/auth/logout", 204)
    with many_connections(behind_proxy, 50) as connections:
        answers = ask_all(connections, request("/students/", gone.bearer, as_client("192.0.2.67")), 4)
        person = people.sign_in(username)
        (own,) = ask_all(connections[:1], request("/students/", person.bearer, as_client("192.0.2.67")))
    assert statuses(answers) == {401: 200}
    assert quota_of(own)[1] >= LIMIT - 2, "the logout before, and this one"


def wrong(username: str) -> dict[str, str]:
    return {"username": username, "password": "not the right one"}


def test_sign_in_is_limited_by_address_and_username(behind_proxy: str, people: People) -> None:
    username = people.make()
    with many_connections(behind_proxy, 8) as connections:
        attempt = json_request("POST", "/auth/login", wrong(username), as_client("192.0.2.100"))
        answers = ask_all(connections, attempt)
        assert statuses(answers) == {401: 5, 429: 3}
        refused = next(answer for answer in answers if answer.status == 429)
        assert '"login";q=5;w=120' in refused.headers["ratelimit-policy"]
        assert '"login";r=0' in refused.headers["ratelimit"]
        assert 1 <= int(refused.headers["retry-after"]) <= 120
        other_case = json_request("POST", "/auth/login", wrong(username.upper()), as_client("192.0.2.100"))
        other_user = json_request("POST", "/auth/login", wrong("somebody"), as_client("192.0.2.100"))
        other_address = json_request("POST", "/auth/login", wrong(username), as_client("192.0.2.101"))
        found = [ask_all(connections[:1], each)[0].status for each in (other_case, other_user, other_address)]
    assert found == [429, 401, 401]


def test_ipv4_clients_written_as_ipv6_are_themselves_and_not_one_network(behind_proxy: str) -> None:
    with many_connections(behind_proxy, 1) as (connection,):
        found = []
        for number in range(7):
            client = as_client(f"::ffff:192.0.2.{200 + number}")
            (answer,) = ask_all([connection], json_request("POST", "/auth/login", wrong("nobody"), client))
            found.append(answer.status)
        same_network = [
            ask_all([connection], json_request("POST", "/auth/login", wrong("nobody"), as_client(f"2001:db8::{n}")))
            for n in range(6)
        ]
    assert found == [401] * 7
    assert [answer.status for (answer,) in same_network] == [401] * 5 + [429]


def test_the_form_and_the_json_sign_in_share_one_limit(behind_proxy: str, people: People) -> None:
    username = people.make()
    form = f"username={username}&password=wrong".encode()
    as_form = request(
        "/auth/token",
        "Content-Type: application/x-www-form-urlencoded",
        as_client("192.0.2.102"),
        method="POST",
        body=form,
    )
    as_json = json_request("POST", "/auth/login", wrong(username), as_client("192.0.2.102"))
    with many_connections(behind_proxy, 3) as connections:
        answers = ask_all(connections, as_form) + ask_all(connections, as_json)
    assert statuses(answers) == {401: 5, 429: 1}


def test_a_forwarded_address_from_somebody_untrusted_changes_nothing(system: WholeSystem, people: People) -> None:
    username = people.make()
    with many_connections(system.gateway.url, 1) as (connection,):
        found = []
        for number in range(6):
            lines = [as_client(f"198.51.100.{number}"), f"X-Real-IP: 198.51.100.{number}", "X-Proxy-Token: guessed"]
            lines.append(f"Forwarded: for=198.51.100.{number}")
            (answer,) = ask_all([connection], json_request("POST", "/auth/login", wrong(username), *lines))
            found.append(answer.status)
    assert found == [401] * 5 + [429]


def test_the_gateways_own_pages_are_limited_with_the_same_headers(behind_proxy: str) -> None:
    with many_connections(behind_proxy, 10) as connections:
        answers = ask_all(connections, request("/", as_client("192.0.2.120")), 11)
    assert statuses(answers) == {200: LIMIT, 429: 10}
    assert {policy_of(answer) for answer in answers} == {("anonymous", LIMIT, WINDOW)}


def test_health_is_never_limited(behind_proxy: str) -> None:
    with many_connections(behind_proxy, 20) as connections:
        answers = ask_all(connections, request("/healthz", as_client("192.0.2.130")), 8)
    assert statuses(answers) == {200: 160}
