"""Read one answer from a connection: llhttp parses, and this judges what llhttp lets pass.

llhttp refuses in its strict mode bare LF, obs-fold, control characters, CL with TE, two lengths or a list of them,
bad chunks. Added here is what a proxy needs beyond that: the versions and the transfer coding we speak, bounds,
answers to HEAD (httptools can't tell llhttp of it), trailers that stay out of the headers, every byte too much.

An answer of the plainest kind whose head comes in one piece is read here, by a grammar that admits less than llhttp
does (1.6 µs against 3.6 for nine fields); all others, and all that look wrong, are llhttp's.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final, NoReturn

import httptools

from gateway.fields import read_fields
from gateway.upstream.request import Headers

MAX_HEAD_BYTES: Final = 64 * 1024
MAX_HEADERS: Final = 200
MAX_LENGTH_DIGITS: Final = 18  # of a Content-Length: all such numbers fit into 64 bits with a sign

# Status lines of answers that may be read the short way: those whose body's length is what Content-Length says.
_PLAIN_STATUS: Final = {
    b"HTTP/1.1 %d %b" % (status, status.phrase.encode()): int(status) for status in HTTPStatus if status >= 200
}
for _without_body in (b"HTTP/1.1 204 No Content", b"HTTP/1.1 304 Not Modified"):
    del _PLAIN_STATUS[_without_body]


class Answer:
    """What has been read of an answer; itself the protocol that httptools calls back."""

    __slots__ = (
        "_fields",
        "_left",
        "_parser",
        "_received",
        "_sees_end",
        "_tail",
        "_unproductive",
        "chunks",
        "content_length",
        "fault",
        "fields",
        "has_extra",
        "head_done",
        "headers",
        "is_complete",
        "is_head_request",
        "keep_alive",
        "may_switch",
        "rest",
        "status",
        "until_eof",
    )

    def __init__(self) -> None:
        self._parser: Any = httptools.HttpResponseParser(self)
        self._sees_end = True  # whether the parser knows that the last message has ended
        self._tail = b""  # of an answer to HEAD: the last bytes of its piece before this one
        self.is_head_request = False
        self.may_switch = False  # a WebSocket was asked for: 101 is an answer
        self.rest = b""  # what followed a 101
        self.reset()

    def reset(self) -> None:
        """Make ready for the next answer on the same connection."""
        self._fields: Headers = []
        self._received = 0
        self._left = 0  # bytes of a body that llhttp needn't see
        self._unproductive = 0
        self.status = 0
        self.headers: Headers = []  # of the final response, once head_done
        self.fields: dict[bytes, bytes] = {}  # the same by name, the last of each
        self.chunks: list[bytes] = []  # of the body, as far as nobody has taken them
        self.content_length: int | None = None
        self.fault: str | None = None
        self.head_done = self.is_complete = self.has_extra = self.until_eof = self.keep_alive = False
        if not self._sees_end:
            self._parser = httptools.HttpResponseParser(self)
            self._sees_end = True

    def feed(self, data: bytes) -> None:
        """Parse what has arrived; `fault` says whether it is wrong (and the error of httptools is raised)."""
        if self._left:
            self._take_rest(data)
            return
        if not self._received:
            if self._read_plain(data):
                return
            if data[0] != 0x48:  # "H": llhttp would skip line ends
                self.fault = "malformed"
                return
        chunk_count = len(self.chunks)
        self._received += len(data)
        if self.is_head_request:
            self._parse_heads(data)
        else:
            self._parse(data)
        if self.fault is None and self.status != 101:
            self._judge(data, has_body=len(self.chunks) > chunk_count)

    def _judge(self, data: bytes, *, has_body: bool) -> None:
        if self.is_complete:
            if data[-1] in b"\r\n" and not self.is_head_request and not self._ends_right(data):
                self.has_extra = True
        elif not self.head_done:
            if self._received > MAX_HEAD_BYTES:
                self.fault = "head_too_large"
        elif self.content_length is not None:
            # What is left of a body of known length is only counted: llhttp would copy all of it, to say the same.
            self._left = self.content_length - sum(map(len, self.chunks))
            self._sees_end = False
        elif has_body:
            self._unproductive = 0
        else:  # chunk extensions or trailers
            self._unproductive += len(data)
            if self._unproductive > MAX_HEAD_BYTES:
                self.fault = "framing_too_large"

    def _take_rest(self, data: bytes) -> None:
        left = self._left
        self._received += len(data)
        if len(data) < left:
            self._left = left - len(data)
            self.chunks.append(data)
            return
        self._left = 0
        self.chunks.append(data if len(data) == left else data[:left])
        self.has_extra = len(data) > left
        self.is_complete = True

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as stop:
            if isinstance(stop, httptools.HttpParserUpgrade) and self.status == 101 and self.fault is None:
                self.rest = data[stop.args[0] :]
                return
            if not self.is_complete:
                self.fault = self.fault or "malformed"
                return
            self.has_extra = True

    def _parse_heads(self, data: bytes) -> None:
        """Parse an answer to HEAD up to its end, that of the first head that isn't an interim answer's.

        llhttp takes what follows for a body that may be cut anywhere, and wouldn't tell of it before it had some.
        """
        tail = b"" if self._received == len(data) else self._tail
        data = tail + data
        at = len(tail)
        while at < len(data) and not self.is_complete and self.fault is None:
            # From before `at`: the end may have begun in the piece before. One that is found twice does no harm.
            found = data.find(b"\r\n\r\n", max(0, at - 3))
            end = len(data) if found < 0 else found + 4
            self._parse(data[at:end])
            at = end
        self.has_extra = self.has_extra or at < len(data)
        self._tail = data[-3:]

    def _read_plain(self, data: bytes) -> bool:
        """Read a final answer's whole head, and what has come of a body whose length it says.

        False, and nothing done, if it isn't that, or if more than the answer has come. llhttp hasn't seen the message
        otherwise, and needn't: its next one begins where it begins.
        """
        end = data.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
        if end < 0 or self.is_head_request:
            return False
        lines = data[:end].split(b"\r\n")
        status = _PLAIN_STATUS.get(lines[0])
        if status is None or len(lines) > MAX_HEADERS:
            return False
        fields = read_fields(lines[1:])
        if fields is None:
            return False
        by_name = dict(fields)
        length = by_name.get(b"content-length")
        if (
            length is None
            or b"transfer-encoding" in by_name
            or by_name.get(b"connection", b"keep-alive") != b"keep-alive"
            or (len(by_name) != len(fields) and _repeats_what_matters(fields))
            or not length.isdigit()
            or len(length) > MAX_LENGTH_DIGITS
            or int(length) < len(data) - end - 4
        ):
            return False
        self._received = len(data)
        self.content_length = int(length)
        self.status = status
        self.headers, self.fields = fields, by_name
        self.keep_alive = self.head_done = True
        if len(data) > end + 4:
            self.chunks.append(data[end + 4 :])
        self._left = int(length) - (len(data) - end - 4)
        self.is_complete = not self._left
        return True

    def _ends_right(self, data: bytes) -> bool:
        """Tell whether no line end came after the answer: llhttp skips those in silence. In doubt it says no."""
        if self.content_length is not None and self.chunks:
            return data.endswith(self.chunks[-1])
        return data.endswith(b"\r\n\r\n") and not data.endswith(b"\r\n\r\n\r\n")

    # httptools

    def on_message_begin(self) -> None:
        if self.is_complete:
            self._stop("extra")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name.lower(), value.rstrip()))

    def on_headers_complete(self) -> None:
        parser = self._parser
        status: int = parser.get_status_code()
        version: str = parser.get_http_version()
        fields = self._fields
        self._fields = []  # what on_header adds from now on are trailers, and nobody's
        if version not in {"1.1", "1.0"}:
            self._stop("version")
        if not 100 <= status <= 599:
            self._stop("status")
        self._check_size(fields)
        by_name = dict(fields)  # llhttp has seen to it that there is one Content-Length at most
        if status == 101:
            if not self.may_switch or not _is_websocket(by_name):
                self._stop("switching_protocols")
            self.status, self.headers, self.fields = status, fields, by_name
            self.head_done = self.is_complete = True
            return
        if status < 200:
            self.status = status  # 100, 102, 103: for us alone, and skipped
            return
        length = by_name.get(b"content-length")
        if length is not None and len(length) > MAX_LENGTH_DIGITS:
            self._stop("content_length")
        if b"transfer-encoding" in by_name:
            self._check_codings(fields, version)
        elif length is None and status not in {204, 304}:
            self.until_eof = not self.is_head_request
        if length is not None:
            self.content_length = int(length)
        self.status = status
        self.headers, self.fields = fields, by_name
        self.keep_alive = parser.should_keep_alive() and not self.until_eof
        self.head_done = True
        if self.is_head_request:
            self.is_complete = True
            self._sees_end = False

    def on_body(self, body: bytes) -> None:
        self.chunks.append(body)

    def on_message_complete(self) -> None:
        if self.head_done:
            self.is_complete = True

    def _check_size(self, fields: Headers) -> None:
        if len(fields) > MAX_HEADERS:
            self._stop("too_many_headers")
        if (
            self._received > MAX_HEAD_BYTES
            and sum(len(name) + len(value) + 4 for name, value in fields) > MAX_HEAD_BYTES
        ):
            self._stop("head_too_large")

    def _check_codings(self, fields: Headers, version: str) -> None:
        """RFC 9112 §6.1: chunked, once, and nothing else; in HTTP/1.0 there is no such thing."""
        codings = [value.lower() for name, value in fields if name == b"transfer-encoding"]
        if codings != [b"chunked"]:
            self._stop("transfer_encoding")
        if version != "1.1":
            self._stop("chunked_http10")

    def _stop(self, fault: str) -> NoReturn:
        """Stop the parser, from inside one of its calls."""
        self.fault = fault
        raise ValueError(fault)


def _repeats_what_matters(fields: Headers) -> bool:
    names = [name for name, _ in fields]
    return names.count(b"content-length") > 1 or names.count(b"connection") > 1


def _is_websocket(by_name: dict[bytes, bytes]) -> bool:
    """Tell whether a 101 names the one protocol that was asked for (RFC 6455 §4.2.2)."""
    return (
        by_name.get(b"upgrade", b"").lower() == b"websocket"
        and b"upgrade" in by_name.get(b"connection", b"").lower()
        and b"sec-websocket-accept" in by_name
    )
