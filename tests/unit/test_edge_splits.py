"""However the network cuts a message, the verdict is the same: the corpus in single bytes and in random pieces."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st
from uvicorn.server import ServerState

from gateway.edge import EdgeProtocol
from gateway.edge.body import ChunkedBody
from gateway.edge.errors import Refused
from tests.support.edge_corpus import ACCEPTED, REFUSED, Accepted, Message
from tests.support.edge_server import Seen

POST = b"POST /x HTTP/1.1\r\nHost: a\r\n"
TOKENS = [
    *(b"GET ", b"POST ", b"/", b"/x", b" HTTP/1.1", b"Host: a", b"Content-Length: 3", b"Transfer-Encoding: chunked"),
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"0\r\n\r\n", b"abc", b":", b" ", b"\t", b"\x00", b"\xff", b";", b"3", b"0"),
]


class Wire(asyncio.Transport):
    """The other end of a connection, in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.ended = False

    def write(self, data: Any) -> None:
        assert not self.ended, "written after the end"
        self.sent += data

    def write_eof(self) -> None:
        self.ended = True

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        self.ended = True

    def abort(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return self.ended

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Verdict(NamedTuple):
    statuses: list[int]
    ended: bool
    paths: list[str]


def deliver(pieces: Iterable[bytes]) -> Verdict:
    """Deliver a connection's bytes in these pieces, the application running in between."""
    seen = Seen()

    async def connection() -> Wire:
        config = uvicorn.Config(seen.app, log_config=None, interface="asgi3", proxy_headers=False, access_log=False)
        loop = asyncio.get_running_loop()
        protocol = EdgeProtocol(config=config, server_state=ServerState(), app_state={}, _loop=loop)
        wire = Wire()
        protocol.connection_made(wire)
        for number, piece in enumerate(pieces):
            protocol.data_received(piece)
            if number % 5 == 0:
                await asyncio.sleep(0)
        for _ in range(50):
            await asyncio.sleep(0)
        protocol.connection_lost(None)
        return wire

    wire = asyncio.run(connection())
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", wire.sent)]
    return Verdict(statuses, wire.ended, [request["path"] for request in seen.requests])


def single_bytes(raw: bytes) -> list[bytes]:
    return [raw[at : at + 1] for at in range(len(raw))]


def random_pieces(raw: bytes, seed: str) -> list[bytes]:
    chance = random.Random(seed)
    cuts = sorted(chance.sample(range(1, len(raw)), min(len(raw) - 1, chance.randint(1, 12))))
    return [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)]


@pytest.mark.parametrize("message", REFUSED, ids=lambda message: message.name)
def test_refused_message_is_refused_however_it_is_cut(message: Message) -> None:
    cuts = [random_pieces(message.raw, f"{message.name}{number}") for number in range(4)]
    if len(message.raw) < 2000:
        cuts.append(single_bytes(message.raw))
    for pieces in cuts:
        verdict = deliver(pieces)
        # What comes before the fault may have been a whole request; the fault is the last thing answered.
        assert (verdict.statuses[-1], verdict.ended) == (message.status, True)
        assert "/smuggled" not in verdict.paths


@pytest.mark.parametrize("message", ACCEPTED, ids=lambda message: message.name)
def test_accepted_message_is_accepted_however_it_is_cut(message: Accepted) -> None:
    following = b"" if message.closes else b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
    raw = message.raw + following
    for pieces in (single_bytes(raw), *(random_pieces(raw, f"{message.name}{number}") for number in range(4))):
        verdict = deliver(pieces)
        assert verdict.statuses == ([200] if message.closes else [200, 200])
        assert verdict.ended is message.closes
        assert verdict.paths == [message.raw_path, *(["/next"] if following else [])]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=50), max_size=8), st.data())
def test_chunks_are_joined_however_they_are_cut(chunks: list[bytes], data: st.DataObject) -> None:
    raw = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\nX: y\r\n\r\nnext"
    cuts = sorted(data.draw(st.sets(st.integers(1, len(raw) - 1))))
    body = ChunkedBody()
    content, following = b"", None
    for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        if following is not None:
            following += raw[start:end]
            continue
        part, following = body.feed(raw[start:end])
        content += part
    assert (content, following) == (b"".join(chunks), b"next")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.data())
def test_random_bytes_never_surprise_the_reader_of_chunks(raw: bytes, data: st.DataObject) -> None:
    def outcome(pieces: Iterable[bytes]) -> tuple[str, bytes]:
        body, content = ChunkedBody(), b""
        try:
            for piece in pieces:
                part, following = body.feed(piece)
                content += part
                if following is not None:
                    return "complete", content
        except Refused:
            return "refused", b""
        return "incomplete", content

    cut = data.draw(st.integers(0, len(raw)))
    assert outcome([raw]) == outcome([raw[:cut], raw[cut:]]) == outcome(single_bytes(raw))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([b"", POST, POST + b"Transfer-Encoding: chunked\r\n\r\n"]),
    st.lists(st.sampled_from(TOKENS), max_size=14),
    st.randoms(use_true_random=False),
)
def test_random_messages_get_one_verdict_whole_or_cut(start: bytes, parts: list[bytes], chance: random.Random) -> None:
    raw = start + b"".join(parts)
    whole = deliver([raw])
    cuts = sorted(chance.sample(range(1, len(raw)), min(len(raw) - 1, 6))) if len(raw) > 1 else []
    for pieces in ([raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)], single_bytes(raw)):
        verdict = deliver(pieces)
        assert verdict.ended == whole.ended
        assert verdict.statuses[-1:] == whole.statuses[-1:]
