"""The route table: whole segments, the longest prefix, and errors that name the block and the key."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin_ui.settings import Settings as AdminSettings
from gateway.rate_policy import RatePolicy
from gateway.route import RouteTable
from gateway.route_table import RouteTableError, parse_route_table

OWN = Path(__file__).resolve().parent.parent.parent / "gateway" / "routes.toml"
URLS = dict.fromkeys(("AUTH_SERVICE_URL", "STUDENT_SERVICE_URL", "ADMIN_UI_URL"), ("http://127.0.0.1:1",))
POLICIES = {"anonymous": RatePolicy("anonymous", 1, 1), "user": RatePolicy("user", 1, 1)}
GOOD = """
[upstreams.one]
urls = ["http://127.0.0.1:1"]
[[routes]]
prefix = "/one"
upstream = "one"
access = "bearer"
methods = { GET = "a b", POST = "" }
"""
segments = st.lists(st.sampled_from(["a", "b", "ab", "A", "%41", "a.b", ""]), min_size=1, max_size=4)
prefixes = st.sets(
    st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=3).map(tuple), min_size=1, max_size=6
)


def parse(text: str) -> RouteTable:
    return parse_route_table(text, environment_urls=URLS, policies=POLICIES)


def table_of(chosen: set[tuple[str, ...]]) -> RouteTable:
    text = '[upstreams.one]\nurls = ["http://127.0.0.1:1"]\n'
    for parts in chosen:
        text += (
            f'[[routes]]\nprefix = "/{"/".join(parts)}"\nupstream = "one"\naccess = "all"\nmethods = {{ GET = "" }}\n'
        )
    return parse(text)


@given(prefixes, segments)
def test_the_longest_prefix_of_whole_segments_wins(chosen: set[tuple[str, ...]], path: list[str]) -> None:
    fitting = [parts for parts in chosen if tuple(path[: len(parts)]) == parts]
    found = table_of(chosen).match(("/" + "/".join(path)).encode())
    if fitting:
        assert found is not None
        assert found.prefix == "/" + "/".join(path[: max(map(len, fitting))])
    else:
        assert found is None


@pytest.mark.parametrize(
    ("path", "prefix"),
    [
        (b"/students", "/students"),
        (b"/students/", "/students"),
        (b"/students/1/history", "/students"),
        (b"/studentsx", None),
        (b"/student", None),
        (b"/Students", None),
        (b"/auth/users", "/auth/users"),
        (b"/auth/users/1/sessions", "/auth/users"),
        (b"/auth/usersx", "/auth"),
        (b"/auth/login", "/auth/login"),
        (b"/auth/me", "/auth"),
        (b"/.well-known/jwks.json", "/.well-known/jwks.json"),
        (b"/.well-known", None),
        (b"/", None),
        (b"/metrics", None),
    ],
)
def test_the_gateways_own_table_sends_each_path_where_it_belongs(path: bytes, prefix: str | None) -> None:
    found = parse(OWN.read_text()).match(path)
    assert (found.prefix if found else None) == prefix


def test_the_gateways_own_table_guards_what_the_contract_guards() -> None:
    table = parse(OWN.read_text())
    needed = {
        (b"/students/", "GET"): {"students:read"},
        (b"/students/1", "DELETE"): {"students:write"},
        (b"/students/1/restore", "POST"): {"students:write"},
        (b"/auth/users/", "POST"): {"users:manage"},
        (b"/auth/audit", "GET"): {"users:manage"},
        (b"/auth/me", "GET"): set(),
    }
    for (path, method), scopes in needed.items():
        route = table.match(path)
        assert route is not None
        assert route.needs_token
        assert route.scopes[method] == scopes
    for path in (b"/auth/login", b"/auth/token", b"/auth/refresh", b"/.well-known/jwks.json"):
        route = table.match(path)
        assert route is not None
        assert not route.needs_token


def test_a_page_is_waited_for_longer_than_it_waits_itself() -> None:
    """Else a hung service makes a person see the gateway's JSON instead of a page that says what to do."""
    upstreams = parse(OWN.read_text(encoding="utf-8")).upstreams
    services = [upstreams[name].first_byte_seconds for name in ("auth_service", "student_service")]
    page_waits = AdminSettings.model_fields["gateway_timeout"].default
    assert max(services) < page_waits < upstreams["admin_ui"].first_byte_seconds


def test_a_route_is_ready_for_use() -> None:
    (route,) = parse(GOOD).routes
    assert route.scopes == {"GET": frozenset({"a", "b"}), "POST": frozenset()}
    assert route.allow == "GET, POST"


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('prefix = "/one"', 'prefix = "/"', r"routes #1: prefix"),
        ('prefix = "/one"', 'prefix = "/one/"', r"routes #1: prefix"),
        ('prefix = "/one"', 'prefix = "one"', r"routes #1: prefix"),
        ('prefix = "/one"', 'prefix = "/a/../b"', r"routes #1: prefix"),
        ('prefix = "/one"', 'prefix = "/%41"', r"routes #1: prefix: .*/A"),
        ('upstream = "one"', 'upstream = "two"', r"routes #1 \(/one\): upstream"),
        ('access = "bearer"', 'access = "some"', r"routes #1: access"),
        ('access = "bearer"', 'access = "all"', r"routes #1 \(/one\): methods"),
        ('GET = "a b"', 'BREW = "a"', r"routes #1: methods: .*BREW"),
        ('methods = { GET = "a b", POST = "" }', "methods = {}", r"routes #1: methods"),
        ('access = "bearer"', 'access = "bearer"\nlimit = "none"', r"routes #1 \(/one\): limit"),
        ('access = "bearer"', 'access = "bearer"\nspeed = 1', r"routes #1: speed"),
        ('urls = ["http://127.0.0.1:1"]', "urls = []", r"upstreams\.one: urls"),
        ('urls = ["http://127.0.0.1:1"]', 'urls = ["ftp://x"]', r"upstreams\.one: urls"),
        ('urls = ["http://127.0.0.1:1"]', 'env = "NO_SUCH_URL"', r"upstreams\.one: env"),
        ('urls = ["http://127.0.0.1:1"]', "", r"upstreams\.one"),
        ('urls = ["http://127.0.0.1:1"]', 'urls = ["http://x"]\nretries = 99', r"upstreams\.one: retries"),
        ("[[routes]]", '[limits.user]\nrate = "1/minute"\n[[routes]]', r"limits\.user"),
        ("[[routes]]", '[limits.x]\nrate = "often"\n[[routes]]', r"limits\.x: rate"),
        ("[[routes]]", "[[routes", r"not TOML"),
    ],
)
def test_a_table_that_cannot_be_used_says_which_block_and_key(old: str, new: str, named: str) -> None:
    assert old in GOOD
    with pytest.raises(RouteTableError, match=named):
        parse(GOOD.replace(old, new, 1))


def test_a_prefix_that_stands_twice_is_named() -> None:
    with pytest.raises(RouteTableError, match=r"routes #2 \(/one\): prefix: stands twice"):
        parse(GOOD + GOOD[GOOD.index("[[routes]]") :])


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(RouteTableError) as caught:
        parse(GOOD.replace('"one"\naccess', '"two"\nlimit = "none"\naccess'))
    assert len(str(caught.value).splitlines()) == 2
