"""The reader of request heads by itself: what it gives, remembers and forgets."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import fields as known
from gateway.edge import head as reader
from gateway.edge.errors import Refused
from gateway.edge.head import CHUNKED, is_authority, parse_head
from gateway.edge.refusal import chosen_request_id

NAME = st.text("abcXYZ019-_.!#$%&'*+^`|~", min_size=1, max_size=12).map(str.encode)
VALUE = st.binary(max_size=30).filter(lambda value: not set(value) & {*range(9), *range(10, 32), 127})


def test_head_is_read_into_its_parts() -> None:
    head = parse_head(
        b"POST /a%20b?c=d HTTP/1.1\r\nHost: x:1\r\nACCEPT:  a, b\t\r\nTransfer-Encoding: Chunked\r\n"
        b"Expect: 100-continue\r\n"
    )
    assert head == (
        "POST",
        b"/a%20b",
        b"c=d",
        "1.1",
        [(b"host", b"x:1"), (b"accept", b"a, b"), (b"transfer-encoding", b"Chunked"), (b"expect", b"100-continue")],
        {b"host": b"x:1", b"accept": b"a, b", b"transfer-encoding": b"Chunked", b"expect": b"100-continue"},
        CHUNKED,
        True,
        True,
        False,
    )


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(NAME, VALUE), max_size=10))
def test_fields_come_out_as_they_went_in(fields: list[tuple[bytes, bytes]]) -> None:
    fields = [field for field in fields if field[0].lower() not in reader._ONCE | reader._UNUSUAL]
    lines = b"".join(b"%b:%b\r\n" % field for field in fields)
    for _ in range(2):  # the second time from memory
        head = parse_head(b"GET / HTTP/1.1\r\nHost: a\r\n" + lines)
        assert head.headers[1:] == [(name.lower(), value.strip(b" \t")) for name, value in fields]


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=60))
def test_what_is_accepted_has_nothing_that_could_end_a_line(value: bytes) -> None:
    try:
        head = parse_head(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + value + b"\r\n")
    except Refused:
        return
    for name, field in head.headers:
        assert not set(name + field) & {*range(9), *range(10, 32), 127}


def test_memory_of_lines_is_bounded() -> None:
    for number in range(2 * known.MAX_KNOWN_LINES):
        parse_head(b"GET / HTTP/1.1\r\nHost: a\r\nX: %d\r\nY: %b\r\n" % (number, b"y" * 2000))
    assert len(known._known) <= known.MAX_KNOWN_LINES
    assert max(map(len, known._known)) <= known.MAX_KNOWN_LINE_BYTES


def test_line_that_was_refused_is_refused_again() -> None:
    for _ in range(3):
        with pytest.raises(Refused):
            parse_head(b"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n")


@pytest.mark.parametrize(
    "value", [b"a", b"a.b-c_d:65535", b"127.0.0.1", b"[::1]", b"[::ffff:1.2.3.4]:80", b"xn--caf-dma"]
)
def test_host_with_optional_port_is_an_authority(value: bytes) -> None:
    assert is_authority(value)


@pytest.mark.parametrize(
    "value", [b"", b":80", b"a:", b"a:65536", b"a:99999", b"-a", b"[::1", b"::1", b"a b", b"a\n", b"u@a"]
)
def test_anything_else_is_no_authority(value: bytes) -> None:
    assert not is_authority(value)


def test_only_a_good_request_id_is_kept() -> None:
    assert chosen_request_id([(b"x-request-id", b"aB3._-")]) == "aB3._-"
    assert len(chosen_request_id([(b"x-request-id", b"a b")])) == 32
    assert len(chosen_request_id([])) == 32
