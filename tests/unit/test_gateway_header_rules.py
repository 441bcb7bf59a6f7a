"""Which header fields pass the gateway: rules that hold for any message."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.fields import read_fields
from gateway.headers import (
    DROPPED_FROM_REQUEST,
    DROPPED_FROM_RESPONSE,
    HOP_BY_HOP,
    SET_BY_GATEWAY,
    Headers,
    forwarded_headers,
    returned_headers,
)
from servicekit.request_context import RequestFacts

KEPT = [b"authorization", b"content-type", b"cookie", b"accept", b"if-match", b"idempotency-key", b"x-custom", b"range"]
TOKEN = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12).map(str.encode)
names = st.one_of(st.sampled_from(sorted(HOP_BY_HOP | SET_BY_GATEWAY)), st.sampled_from(KEPT), TOKEN)
values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20).map(str.encode)
listed = st.lists(st.one_of(names, names.map(bytes.upper), st.just(b"")), max_size=5).map(b", ".join)
messages = st.lists(st.one_of(st.tuples(names, values), st.tuples(st.just(b"connection"), listed)), max_size=15)


def forwarded(message: Headers, *, client_ip: str = "192.0.2.1", proxy_token: str | None = None) -> Headers:
    headers = [(b"host", b"school.example"), *message]
    facts = RequestFacts("the-id", "0" * 31 + "1", "01", client_ip)
    passed, own = forwarded_headers(headers, dict(headers), facts, scheme="http", proxy_token=proxy_token)
    own_fields = read_fields(own.removesuffix(b"\r\n").split(b"\r\n"))
    assert own_fields is not None
    return passed + own_fields


def named(message: Headers) -> set[bytes]:
    return {t.strip().lower() for name, value in message if name == b"connection" for t in value.split(b",")}


@given(messages)
def test_nothing_that_is_for_one_hop_is_passed_on(message: Headers) -> None:
    assert not {name for name, _ in forwarded(message)} & HOP_BY_HOP
    answer = returned_headers(message, dict(message), request_id=b"id", limits=[])
    assert not {name for name, _ in answer} & HOP_BY_HOP


@given(messages)
def test_what_only_the_gateway_may_say_is_said_once_and_by_it(message: Headers) -> None:
    passed = forwarded(message)
    own = [(name, value) for name, value in passed if name in SET_BY_GATEWAY]
    assert len({name for name, _ in own}) == len(own)
    assert dict(own)[b"x-request-id"] == b"the-id"
    assert dict(own)[b"x-forwarded-for"] == b"192.0.2.1"
    assert b"x-proxy-token" not in dict(own)


@given(messages)
@example([(b"connection", b"authorization, x-custom"), (b"authorization", b"Bearer x"), (b"x-custom", b"1")])
def test_the_rest_passes_as_it_was_and_in_order(message: Headers) -> None:
    gone = DROPPED_FROM_REQUEST | (named(message) - {b"authorization", b"content-type", b"cookie", b"cache-control"})
    expected = [field for field in message if field[0] not in gone]
    assert [field for field in forwarded(message) if field[0] not in SET_BY_GATEWAY] == expected


@given(messages)
def test_identity_cannot_be_talked_away(message: Headers) -> None:
    held = [(b"authorization", b"Bearer x"), (b"cookie", b"a=b"), (b"content-type", b"text/plain")]
    passed = forwarded([*held, *message, (b"connection", b"authorization, cookie, content-type")])
    assert [field for field in passed if field in held][:3] == held


@given(messages, st.lists(st.tuples(st.just(b"set-cookie"), values), max_size=4))
def test_an_answers_fields_pass_in_order_and_cookies_stay_apart(message: Headers, cookies: Headers) -> None:
    answer = returned_headers([*message, *cookies], dict([*message, *cookies]), request_id=b"id", limits=[])
    assert [field for field in answer if field[0] == b"set-cookie"][-len(cookies) or len(answer) :] == cookies
    assert [value for name, value in answer if name == b"x-request-id"] == [b"id"]
    gone = DROPPED_FROM_RESPONSE | (named(message) - {b"authorization", b"content-type", b"cookie", b"cache-control"})
    kept = [field for field in [*message, *cookies] if field[0] not in gone]
    assert [f for f in answer if f[0] not in {b"x-request-id", b"ratelimit", b"ratelimit-policy"}] == kept


def test_an_answers_own_limit_stands_before_the_gateways() -> None:
    theirs = [(b"ratelimit", b'"login";r=1;t=2'), (b"ratelimit-policy", b'"login";q=5;w=60')]
    ours = [(b"ratelimit-policy", b'"user";q=9;w=60'), (b"ratelimit", b'"user";r=8;t=60')]
    answer = returned_headers(theirs, dict(theirs), request_id=b"id", limits=ours)
    assert (b"ratelimit", b'"login";r=1;t=2, "user";r=8;t=60') in answer
    assert (b"ratelimit-policy", b'"login";q=5;w=60, "user";q=9;w=60') in answer
    assert len(answer) == 3


def test_an_ipv6_client_is_quoted_where_its_colons_would_mean_something() -> None:
    passed = dict(forwarded([], client_ip="2001:db8::1", proxy_token="secret"))
    assert passed[b"forwarded"].startswith(b'for="[2001:db8::1]"')
    assert passed[b"x-forwarded-for"] == b"2001:db8::1"
    assert passed[b"x-proxy-token"] == b"secret"
