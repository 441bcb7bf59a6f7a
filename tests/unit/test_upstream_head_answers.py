"""Whatever follows the head of an answer to HEAD is too much, and ends its connection; so does no byte of the head."""

from __future__ import annotations

import pytest

from gateway.upstream.answer import Answer

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
HEADS = {
    "chunked": CHUNKED,
    "length": OK + b"Content-Length: 1234\r\n\r\n",
    "no length": OK + b"Server: a\r\n\r\n",
    "no fields": OK + b"\r\n",
    "length 0": OK + b"Content-Length: 0\r\n\r\n",
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "304": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n",
    "interim": INTERIM + CHUNKED,
}
EXTRAS = (
    *(b"5", b"5;a=b", b"5\r", b"5\r\n", b"5\r\nhello\r\n0\r\n\r\n", b"0\r\n\r\n", b"0", b"X", b"\0"),
    *(b"\r", b"\n", b"\r\n", b"\r\n\r\n", OK, CHUNKED, b"hello\r\n\r\n", b"5" * 100),
)


def read(*pieces: bytes) -> Answer:
    """The answer to HEAD that arrives in these pieces, as far as it is read: once complete, nobody feeds it."""
    answer = Answer()
    answer.is_head_request = True
    for piece in pieces:
        if piece and not answer.is_complete:
            answer.feed(piece)
    return answer


def is_good(answer: Answer) -> bool:
    return answer.is_complete and answer.fault is None and not answer.chunks


@pytest.mark.parametrize("extra", EXTRAS)
@pytest.mark.parametrize("name", HEADS)
def test_any_byte_after_the_head_is_seen(name: str, extra: bytes) -> None:
    head = HEADS[name]
    for cut in range(len(head)):
        answer = read(head[:cut], head[cut:] + extra)
        assert is_good(answer), cut
        assert answer.has_extra, cut
    for cut in range(len(head) - 8, len(head) - 1):
        answer = read(*(head[at : at + 1] for at in range(cut)), head[cut:] + extra)
        assert is_good(answer), cut
        assert answer.has_extra, cut


@pytest.mark.parametrize("name", HEADS)
def test_a_head_alone_is_all_there_is_however_it_is_cut(name: str) -> None:
    head = HEADS[name]
    for first in range(len(head)):
        for second in range(first, len(head), 3):
            answer = read(head[:first], head[first:second], head[second:])
            assert is_good(answer), (first, second)
            assert not answer.has_extra, (first, second)


def test_the_next_answer_on_the_connection_is_read_as_the_first_was() -> None:
    answer = read(CHUNKED[:-2], CHUNKED[-2:])
    for pieces, has_extra in (([CHUNKED], False), ([b"H", CHUNKED[1:]], False), ([CHUNKED + b"5"], True)):
        answer.reset()
        for piece in pieces:
            assert not answer.is_complete
            answer.feed(piece)
        assert is_good(answer)
        assert answer.has_extra == has_extra


@pytest.mark.parametrize("is_head_request", [True, False])
@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 10**18, 2**64, 10**40])
def test_a_length_that_no_machine_counts_to_is_a_fault(length: int, is_head_request: bool) -> None:
    answer = Answer()
    answer.is_head_request = is_head_request
    answer.feed(OK + b"Content-Length: %d\r\n\r\nhello" % length)
    # From 2**64 on llhttp refuses it itself.
    assert answer.fault == ("content_length" if length < 2**64 else "malformed")
    assert not answer.is_complete


def test_the_longest_length_is_counted() -> None:
    answer = Answer()
    for piece in (OK + b"Content-Length: 999999999999999999\r\n", b"\r\nhello", b"hello"):
        answer.feed(piece)
    assert (answer.fault, answer.is_complete, answer.chunks) == (None, False, [b"hello", b"hello"])
