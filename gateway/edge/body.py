"""Where a request's body ends, by Content-Length or by its chunks (RFC 9112 §6 and §7.1).

Pure: fed with segments as they arrive, however they are cut. `feed` returns the body's bytes and, once the body has
ended, what followed it (else None); it raises Refused 400 on what no right client sends.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from gateway.edge.errors import Refused

MAX_CHUNK_LINE_BYTES: Final = 512
MAX_EXTENSION_BYTES: Final = 4096  # of all chunks of one body together
MAX_TRAILER_BYTES: Final = 8192
TINY_CHUNKS_ALLOWED: Final = 10_000
TINY_CHUNK_BYTES: Final = 8  # beyond that many chunks, this must be their average: they cost us more than their sender

_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(;[\t\x20-\x7e\x80-\xff]*)?\r\n")
_CHUNK_LINE_BEGUN = re.compile(rb"[0-9A-Fa-f]{0,15}|[0-9A-Fa-f]{1,15}(?:;[\t\x20-\x7e\x80-\xff]*)?\r?")
_TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n")
_TRAILER_BEGUN = re.compile(rb"\r?|[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?::[\t\x20-\x7e\x80-\xff]*\r?)?")


class Body(Protocol):
    """A body that is still arriving."""

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]: ...

    def at_most(self, count: int) -> bool:
        """Tell whether it is certain that no more than `count` bytes are still to come."""

    def can_end_with(self, count: int, last: bytes) -> bool:
        """Tell whether the body can be complete after `count` more bytes, the last of them `last`."""


class FixedBody:
    """A body of a known length."""

    __slots__ = ("_left",)

    def __init__(self, length: int) -> None:
        self._left = length

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        left = self._left
        if len(data) < left:
            self._left = left - len(data)
            return data, None
        self._left = 0
        if len(data) == left:
            return data, b""
        return data[:left], data[left:]

    def at_most(self, count: int) -> bool:
        return self._left <= count

    def can_end_with(self, count: int, last: bytes) -> bool:
        return self._left <= count


class ChunkedBody:
    """A body in chunks. Extensions are ignored within a bound; trailers are checked, counted and dropped."""

    __slots__ = ("_chunks", "_extension_bytes", "_held", "_in_trailers", "_left", "_size", "_trailer_bytes")

    def __init__(self) -> None:
        self._held = b""  # an incomplete line
        self._left = 0  # of the chunk under way, its CRLF counted
        self._in_trailers = False
        self._chunks = self._size = self._extension_bytes = self._trailer_bytes = 0

    def at_most(self, count: int) -> bool:  # only the chunks tell, and they haven't come
        return False

    def can_end_with(self, count: int, last: bytes) -> bool:
        return last.endswith(b"\r\n\r\n") and self._left <= count

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        if self._held:
            data = self._held + data
            self._held = b""
        content: list[bytes] = []
        position = 0
        while not self._in_trailers:
            if self._left:
                position = self._take_data(data, position, content)
                if self._left:
                    return b"".join(content), None
            line = _CHUNK_LINE.match(data, position, position + MAX_CHUNK_LINE_BYTES)
            if line is None:
                self._hold(data[position:], _CHUNK_LINE_BEGUN, MAX_CHUNK_LINE_BYTES)
                return b"".join(content), None
            position = line.end()
            self._start_chunk(int(line[1], 16), len(line[2] or b""))
        return b"".join(content), self._skip_trailers(data, position)

    def _start_chunk(self, size: int, extension_bytes: int) -> None:
        self._chunks += 1
        self._size += size
        self._extension_bytes += extension_bytes
        if self._extension_bytes > MAX_EXTENSION_BYTES:
            raise Refused(400, "chunk_extensions", "The body's chunk extensions are too long.")
        if self._chunks > TINY_CHUNKS_ALLOWED and self._size < self._chunks * TINY_CHUNK_BYTES:
            raise Refused(400, "tiny_chunks", "The body comes in too many tiny chunks.")
        if size == 0:
            self._in_trailers = True
        else:
            self._left = size + 2

    def _take_data(self, data: bytes, position: int, content: list[bytes]) -> int:
        """Take what `data` has of the chunk under way, and check the CRLF after it."""
        left = self._left
        end = position + left
        if left > 2:
            content.append(data[position : end - 2])
        tail = data[max(end - 2, position) : end]
        if tail and tail != b"\r\n"[2 - min(left, 2) :][: len(tail)]:
            raise Refused(400, "chunk_malformed", "A chunk's data doesn't end where its size says.")
        self._left = max(0, end - len(data))
        return min(end, len(data))

    def _skip_trailers(self, data: bytes, position: int) -> bytes | None:
        while True:
            if data.startswith(b"\r\n", position):
                return data[position + 2 :]
            line = _TRAILER.match(data, position, position + MAX_TRAILER_BYTES)
            if line is None:
                self._hold(data[position:], _TRAILER_BEGUN, MAX_TRAILER_BYTES)
                return None
            self._trailer_bytes += line.end() - position
            if self._trailer_bytes > MAX_TRAILER_BYTES:
                raise Refused(400, "trailers_too_large", "The body's trailers are too long.")
            position = line.end()

    def _hold(self, rest: bytes, begun: re.Pattern[bytes], limit: int) -> None:
        """Keep an incomplete line for the next segment, if it can still become a right one."""
        if len(rest) >= limit or begun.fullmatch(rest) is None:
            raise Refused(400, "chunk_malformed", "The body's chunks are malformed.")
        self._held = rest
