"""However the network cuts an answer, the result is the same; cut short at any point, it never looks complete."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.upstream import BadUpstreamResponse, Deadlines, UpstreamClosed, UpstreamError, UpstreamResponse
from gateway.upstream.connection import Connection

OK = b"HTTP/1.1 200 OK\r\n"
COMPLETE = {
    "length": (OK + b"Content-Length: 5\r\nX: y\r\n\r\nhello", b"hello"),
    "no body": (OK + b"Content-Length: 0\r\n\r\n", b""),
    "204": (b"HTTP/1.1 204 No Content\r\nServer: a\r\n\r\n", b""),
    "304": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: a\r\n\r\n", b""),
    "chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;ext=1\r\nllo\r\n0\r\n\r\n", b"hello"),
    "trailers": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\nSet-Cookie: a\r\n\r\n",
        b"hello",
    ),
    "interim": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nhi",
        b"hi",
    ),
    "body of line ends": (OK + b"Content-Length: 4\r\n\r\n\r\n\r\n", b"\r\n\r\n"),
    "body like a head": (
        OK + b"Content-Length: 38\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        OK + b"Content-Length: 0\r\n\r\n",
    ),
}


class Wire(asyncio.Transport):
    """The other end of a connection, in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = False

    def write(self, data: Any) -> None:
        pass

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.aborted

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self

    def setsockopt(self, *_: int) -> None:
        pass


class Owner:
    """Notes how exchanges end: it must be told of each exactly once."""

    name = "peer:1"

    def __init__(self) -> None:
        self.ends: list[str] = []

    def opened(self, connection: Connection) -> None:
        pass

    def lost(self, connection: Connection) -> None:
        pass

    def done(self, connection: Connection, *, reusable: bool) -> None:
        self.ends.append("reusable" if reusable else "done")

    def failed(self, connection: Connection, error: BaseException) -> None:
        self.ends.append("failed")

    def abandoned(self, connection: Connection) -> None:
        self.ends.append("abandoned")


class Link:
    """A connection that is fed by hand."""

    def __init__(self) -> None:
        self.owner = Owner()
        self.wire = Wire()
        self.connection = Connection(self.owner, asyncio.get_running_loop(), Deadlines(), lambda: 0.0)
        self.connection.connection_made(self.wire)

    async def exchange(self, pieces: list[bytes], *, then_eof: bool = False) -> tuple[UpstreamResponse, bytes]:
        answer = self.connection.begin(b"GET", is_head_request=False, started=0, total_at=100)
        for piece in pieces:
            if not self.wire.aborted:
                self.connection.data_received(piece)
        if then_eof and not self.wire.aborted:
            self.connection.eof_received()
            self.connection.connection_lost(None)
        response = await answer
        body = b""
        while chunk := await response.read_chunk():
            body += chunk
        return response, body


def cut(data: bytes, points: list[int]) -> list[bytes]:
    edges = [0, *sorted({point % len(data) for point in points}), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges) if start < end]


async def run(
    pieces: list[bytes], *, then_eof: bool = False
) -> tuple[int, bytes, list[tuple[bytes, bytes]], list[str]]:
    link = Link()
    response, body = await link.exchange(pieces, then_eof=then_eof)
    return response.status, body, response.headers, link.owner.ends


@pytest.mark.parametrize("name", COMPLETE)
@settings(max_examples=60, deadline=None)
@given(points=st.lists(st.integers(0, 1000), max_size=8))
def test_an_answer_is_the_same_however_it_is_cut(name: str, points: list[int]) -> None:
    data, body = COMPLETE[name]
    whole = asyncio.run(run([data]))
    assert whole[1] == body
    assert whole[3] == ["reusable"]
    assert asyncio.run(run(cut(data, points)))[:3] == whole[:3]


@pytest.mark.parametrize("name", COMPLETE)
def test_an_answer_in_single_bytes_is_the_same(name: str) -> None:
    data, _ = COMPLETE[name]
    assert asyncio.run(run([data[at : at + 1] for at in range(len(data))]))[:3] == asyncio.run(run([data]))[:3]


@pytest.mark.parametrize("name", COMPLETE)
def test_an_answer_cut_short_at_any_point_never_looks_complete(name: str) -> None:
    async def cut_everywhere() -> None:
        data, _ = COMPLETE[name]
        for end in range(1, len(data)):
            for pieces in ([data[:end]], [data[: end // 2], data[end // 2 : end]]):
                with pytest.raises(UpstreamClosed):
                    await run([each for each in pieces if each], then_eof=True)

    asyncio.run(cut_everywhere())


def test_trailers_are_no_headers() -> None:
    _, _, headers, _ = asyncio.run(run([COMPLETE["trailers"][0]]))
    assert headers == [(b"transfer-encoding", b"chunked")]


@pytest.mark.parametrize(("upload", "end"), [("done", "reusable"), ("under way", "done"), ("failed", "done")])
def test_an_answer_keeps_its_connection_if_the_whole_request_was_written(upload: str, end: str) -> None:
    """It may come in the turn of the event loop in which the last of the request is written."""

    async def write() -> None:
        if upload == "under way":
            await asyncio.Event().wait()
        if upload == "failed":
            raise ValueError

    async def exchange() -> list[str]:
        link = Link()
        answer = link.connection.begin(b"POST", is_head_request=False, started=0, total_at=100)
        task = asyncio.create_task(write())
        link.connection.upload(task)
        await asyncio.sleep(0)
        assert task.done() == (upload != "under way")
        link.connection.data_received(COMPLETE["length"][0])
        await answer
        await asyncio.wait([task])
        return link.owner.ends

    assert asyncio.run(exchange()) == [end]


def test_an_answer_that_ends_with_its_connection_is_complete_then() -> None:
    result = asyncio.run(run([b"HTTP/1.0 200 OK\r\n\r\n", b"hel", b"lo"], then_eof=True))
    assert result == (200, b"hello", [], ["done"])


def test_an_answer_that_ends_with_its_connection_is_cut_short_by_a_reset() -> None:
    async def reset() -> None:
        link = Link()
        answer = link.connection.begin(b"GET", is_head_request=False, started=0, total_at=100)
        link.connection.data_received(b"HTTP/1.0 200 OK\r\n\r\nhel")
        link.connection.connection_lost(ConnectionResetError())
        response = await answer
        assert await response.read_chunk() == b"hel"
        with pytest.raises(UpstreamClosed):
            await response.read_chunk()

    asyncio.run(reset())


@settings(max_examples=150, deadline=None)
@given(
    first=st.sampled_from(sorted(COMPLETE)),
    second=st.sampled_from(sorted(COMPLETE)),
    extra=st.sampled_from([b"", b"\r\n", b"\n", b"x", b"\0", OK, OK + b"Content-Length: 3\r\n\r\nbad", b"0\r\n\r\n"]),
    points=st.lists(st.integers(0, 1000), max_size=6),
)
def test_bytes_after_an_answer_never_reach_the_next_one(
    first: str, second: str, extra: bytes, points: list[int]
) -> None:
    async def both() -> None:
        link = Link()
        _, body = await link.exchange(cut(COMPLETE[first][0] + extra, points))
        assert body == COMPLETE[first][1]
        if extra.strip() and not link.wire.aborted:
            raise AssertionError("kept, though more came than the answer")
        if not link.wire.aborted:
            _, body = await link.exchange(cut(COMPLETE[second][0], points))
            assert body == COMPLETE[second][1]

    asyncio.run(both())


@settings(max_examples=400, deadline=None)
@given(
    data=st.lists(
        st.sampled_from([
            OK, b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 304 a\r\n", b"HTTP/1.1 100 Continue\r\n\r\n",
            b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n",
            b"\r\n", b"abc", b"3\r\n", b"0\r\n", b"\n", b"\0", b"X: y\r\n", b" z\r\n",
        ]),
        min_size=1, max_size=9,
    ).map(b"".join),
    points=st.lists(st.integers(0, 1000), max_size=5),
    is_head_request=st.booleans(),
)  # fmt: skip
def test_any_bytes_at_all_end_the_exchange_exactly_once(data: bytes, points: list[int], is_head_request: bool) -> None:
    async def feed() -> None:
        link = Link()
        answer = link.connection.begin(b"GET", is_head_request=is_head_request, started=0, total_at=100)
        for piece in cut(data, points):
            if not link.wire.aborted:
                link.connection.data_received(piece)
        if not link.wire.aborted:
            link.connection.eof_received()
        link.connection.connection_lost(None)
        assert len(link.owner.ends) == 1
        failure = None
        try:
            response = await answer
            while await response.read_chunk():
                pass
        except UpstreamError as error:
            failure = error
        assert failure is None or isinstance(failure, BadUpstreamResponse | UpstreamClosed)

    asyncio.run(feed())
