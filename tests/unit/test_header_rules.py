"""Whatever a peer sends, the gateway's header rules hold: what it sets stands once, what is hop-by-hop ends here."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.fields import read_fields
from gateway.headers import HOP_BY_HOP, SET_BY_GATEWAY, Headers, forwarded_headers, returned_headers
from servicekit.request_context import RequestFacts

SPECIAL = sorted(HOP_BY_HOP | SET_BY_GATEWAY | {b"host", b"cookie", b"set-cookie", b"authorization", b"accept"})
NAMES = st.one_of(st.sampled_from(SPECIAL), st.text("abcxyz-_019", min_size=1, max_size=10).map(str.encode))
VALUES = st.one_of(
    st.sampled_from([b"", b"close", b"1", b"https", b"evil.example", b"a, b", b'"quoted"']),
    st.lists(NAMES, min_size=1, max_size=4).map(b", ".join),
    st.binary(max_size=12).map(lambda raw: bytes(octet for octet in raw if octet >= 0x20 and octet != 0x7F)),
)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=14)
NEVER_TAKEN_AWAY = {b"authorization", b"content-type", b"set-cookie", b"cookie", b"cache-control"}
SET_ONCE = (
    *(b"x-request-id", b"traceparent", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded"),
    *(b"via", b"x-proxy-token"),
)
many = settings(max_examples=300, deadline=None)


def fields_of(lines: bytes) -> Headers:
    """The fields of rendered lines, each of which must be a right one."""
    assert lines.endswith(b"\r\n")
    fields = read_fields(lines[:-2].split(b"\r\n"))
    assert fields is not None
    return fields


def forward(headers: Headers, *, is_from_proxy: bool) -> Headers:
    facts = RequestFacts("the-id", "0" * 31 + "1", "01", "203.0.113.9")
    facts.is_from_proxy = is_from_proxy
    passed, own = forwarded_headers(headers, dict(headers), facts, scheme="http", proxy_token="sesame")
    return passed + fields_of(own)


def named_by_connection(headers: Headers) -> set[bytes]:
    values = [value for name, value in headers if name == b"connection"]
    return {token.strip().lower() for value in values for token in value.split(b",")}


@many
@given(FIELDS, st.booleans())
def test_a_forwarded_request_has_each_field_of_the_gateways_once_and_nothing_hop_by_hop(
    headers: Headers, is_from_proxy: bool
) -> None:
    passed = forward(headers, is_from_proxy=is_from_proxy)
    counts = Counter(name for name, _ in passed)
    assert [counts[name] for name in SET_ONCE] == [1] * len(SET_ONCE)
    assert not counts.keys() & (HOP_BY_HOP | SET_BY_GATEWAY - set(SET_ONCE) | {b"host", b"content-length", b"expect"})
    values = dict(passed)
    assert (values[b"x-request-id"], values[b"x-forwarded-for"]) == (b"the-id", b"203.0.113.9")
    assert values[b"x-forwarded-proto"] in (b"http", b"https")
    if not is_from_proxy:
        assert values[b"x-forwarded-proto"] == b"http"
    assert not any(name.replace(b"_", b"-") in SET_BY_GATEWAY for name in counts.keys() - set(SET_ONCE))


@many
@given(FIELDS)
def test_end_to_end_fields_pass_in_order_unless_connection_names_them(headers: Headers) -> None:
    ended = named_by_connection(headers) - NEVER_TAKEN_AWAY
    known = HOP_BY_HOP | SET_BY_GATEWAY | {b"host", b"content-length", b"expect"}
    end_to_end = [
        (name, value)
        for name, value in headers
        if name not in known and name not in ended and name.replace(b"_", b"-") not in SET_BY_GATEWAY
    ]
    assert forward(headers, is_from_proxy=False)[: len(end_to_end)] == end_to_end


@many
@given(FIELDS)
def test_an_answer_keeps_its_cookies_apart_and_has_one_request_id(headers: Headers) -> None:
    limits = [(b"ratelimit-policy", b'"user";q=1;w=60'), (b"ratelimit", b'"user";r=0;t=60')]
    passed = returned_headers(headers, dict(headers), request_id=b"the-id", limits=limits)
    cookies = [value for name, value in headers if name == b"set-cookie"]
    assert [value for name, value in passed if name == b"set-cookie"] == cookies
    assert [value for name, value in passed if name == b"x-request-id"] == [b"the-id"]
    assert not {name for name, _ in passed} & HOP_BY_HOP
    counts = Counter(name for name, _ in passed)
    assert (counts[b"ratelimit"], counts[b"ratelimit-policy"]) == (1, 1)
