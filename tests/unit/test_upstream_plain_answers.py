"""The short way to read an answer: whatever it takes, llhttp would have taken, and would have read alike."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.upstream.answer import Answer

Outcome = tuple[Any, ...]

PLAIN_OR_NOT = (
    *(b"HTTP/1.1 200 OK", b"HTTP/1.1 404 Not Found", b"HTTP/1.1 204 No Content", b"HTTP/1.1 304 Not Modified"),
    *(b"HTTP/1.0 200 OK", b"HTTP/1.1 200 Fine", b"HTTP/1.1 200", b"HTTP/1.1 100 Continue", b"HTTP/1.1  200 OK"),
)
ODD_LINES = (
    *(b"Content-Length: 5", b"content-length: 05", b"Content-Length: 6", b"Content-Length: +5", b"Content-Length : 5"),
    *(b"Content-Length: 5, 5", b"Content-Length:5 ", b"Content-Length: 0", b"Transfer-Encoding: chunked"),
    *(b"Connection: close", b"Connection: keep-alive", b"Connection: Keep-Alive, X-A", b"Set-Cookie: a=b"),
    *(b"Set-Cookie: c", b" folded", b"\tfolded", b"X", b"X:", b": y", b"X-A: a\0b", b"X-A: a\nb", b"X-A: a\rb"),
    *(b"X-A: \x80\xff", b"X-\xe9: a", b"X-A:\t a \t", b"Upgrade: h2c", b"X_A: 1", b"Keep-Alive: timeout=5"),
)
STATUS = st.sampled_from(PLAIN_OR_NOT)
LINE = st.one_of(st.sampled_from(ODD_LINES), st.binary(max_size=12))
BODY = st.sampled_from([b"hello", b"", b"hello!", b"hell", b"hello\r\n", b"\r\n\r\nx", b"helloHTTP/1.1 200 OK\r\n\r\n"])


def read(pieces: list[bytes], *, is_head_request: bool) -> Outcome:
    """What comes of an answer that arrives in these pieces: the parts that decide what a client gets."""
    answer = Answer()
    answer.is_head_request = is_head_request
    for piece in pieces:
        answer.feed(piece)
        if answer.fault is not None:
            return ("refused",)
    return (
        *(answer.status, answer.headers, b"".join(answer.chunks), answer.head_done, answer.is_complete),
        *(answer.has_extra, answer.keep_alive, answer.until_eof),
    )


@settings(max_examples=1500, deadline=None)
@given(STATUS, st.lists(LINE, max_size=5), BODY, st.booleans(), st.none() | st.integers(0, 4))
@example(b"HTTP/1.1 200 OK", [b"Content-Length: 5"], b"hello", False, None)
@example(b"HTTP/1.1 200 OK", [b"Content-Length: 5"], b"hello", False, 0)
@example(b"HTTP/1.1 200 OK", [b"Content-Length: 5"], b"hello!", False, 3)
@example(b"HTTP/1.1 200 OK", [b"Content-Length: 5", b"Content-Length: 5"], b"hello", False, None)
@example(b"HTTP/1.1 200 OK", [b"Content-Length: 5", b"Transfer-Encoding: chunked"], b"hello", False, None)
def test_a_head_in_one_piece_is_read_as_if_it_came_in_two(
    status: bytes, lines: list[bytes], body: bytes, is_head_request: bool, body_cut: int | None
) -> None:
    """Its body comes with it, or in part, or not at all."""
    answer = b"\r\n".join([status, *lines, b"", b""]) + body
    cut = len(answer) if body_cut is None else min(len(answer), len(answer) - len(body) + body_cut)
    rest = [answer[cut:]] if cut < len(answer) else []
    whole = read([answer[:cut], *rest], is_head_request=is_head_request)
    assert whole == read([answer[:1], answer[1:cut], *rest], is_head_request=is_head_request)


def test_answers_by_both_ways_follow_each_other_on_one_connection() -> None:
    answer = Answer()
    plain = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
    for message in (plain, chunked, plain, plain, chunked, plain):
        answer.feed(message)
        assert (answer.fault, answer.is_complete, answer.has_extra) == (None, True, False)
        assert b"".join(answer.chunks) == b"hi"
        answer.reset()
