"""The head of a request: one strict grammar, read at once (RFC 9110, RFC 9112).

llhttp, below uvicorn, repairs what it can and hands over the rest; at an edge each repair is a chance that the next
server reads the message otherwise. So the edge reads heads itself: what the grammar below doesn't match is refused.
Pure: bytes in, values or `Refused` out.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Final, NamedTuple

from gateway.edge.errors import Refused
from gateway.fields import read_field, read_fields

CHUNKED: Final = -1
"""`RequestHead.body_length` of a body whose length its chunks tell."""

MAX_METHOD_BYTES: Final = 20

METHODS: Final = {name.encode("ascii"): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}
"""What the edge lets through; TRACE, CONNECT and every other method are 501 (RFC 9110 §9.1)."""

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_TARGET = rb"[\x21\x22\x24-\x7e]"  # visible ASCII without "#"; gateway.paths judges the path's own rules
_TARGET_OCTETS = bytes((0x21, 0x22, *range(0x24, 0x7F)))

_REQUEST_LINE = re.compile(rb"%b{1,20} %b+ HTTP/1\.[01]" % (_TOKEN, _TARGET))
_METHOD = re.compile(rb"%b{1,20}" % _TOKEN)
_VERSION = re.compile(rb"HTTP/[0-9]\.[0-9]")
# Control characters, a line feed without its carriage return, the reverse (unless it is the last byte so far), folding.
_NEVER_IN_A_HEAD = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?!\n|\Z)|\r\n[ \t]")

_PORT = rb"(?::(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[0-9]{1,4}))?"
_AUTHORITY = re.compile(rb"(?:[A-Za-z0-9_][A-Za-z0-9._-]{0,254}|\[([0-9A-Fa-f:.]{2,45})\])" + _PORT)
_MAX_AUTHORITY_BYTES = 262  # a name of 255 and a port: is_authority remembers what it was asked
_ABSOLUTE = re.compile(rb"https?://([^/?]*)([^?]*)(\?.*)?", re.IGNORECASE)
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,17}")  # RFC 9110 §8.6; 18 digits stay inside every server's 64-bit integer

_KEEP_ALIVE = frozenset((b"keep-alive", b"Keep-Alive"))
_VERSIONS = {b"HTTP/1.1": "1.1", b"HTTP/1.0": "1.0"}

# A field named here sends the request past the short way in `parse_head`. The names with "_" are another spelling of
# framing fields for servers that fold names into CGI variables.
_UNUSUAL = frozenset(
    (b"content-length", b"transfer-encoding", b"expect", b"upgrade", b"content_length", b"transfer_encoding")
)
_ONCE = frozenset((b"host", b"content-length", b"transfer-encoding", b"authorization"))


class RequestHead(NamedTuple):
    """A request's head; names are lower-case, values without outer white space, `raw_path` still percent-encoded."""

    method: str
    raw_path: bytes
    query: bytes
    http_version: str
    headers: list[tuple[bytes, bytes]]
    fields: dict[bytes, bytes]  # of the headers, the last of each name
    body_length: int
    expects_continue: bool
    keep_alive: bool
    wants_websocket: bool


def parse_head(head: bytes, max_headers: int = 100, max_target: int = 8192) -> RequestHead:
    """Read a head that ends with the CRLF of its last line (the empty line left out).

    Raises Refused: 400, 414, 417, 431, 501 or 505.
    """
    lines = head.split(b"\r\n")
    if not lines[0]:  # one empty line before a request is ignored (RFC 9112 §2.2)
        del lines[0]
    method, target, http_version = _read_request_line(lines[0] if lines else b"", max_target)
    field_lines = lines[1:-1]
    if len(field_lines) > max_headers:
        raise Refused(431, "too_many_headers", f"A request may have at most {max_headers} header fields.")
    headers = read_fields(field_lines)
    if headers is None:
        raise _explain_field(next(line for line in field_lines if read_field(line) is None))
    # Duplicates collapse in the dict (in C): equal sizes prove that no field is repeated, for less than a loop costs.
    fields = dict(headers)
    has_repeated = len(fields) != len(headers)
    if has_repeated:
        _refuse_repeated(headers)
    is_http_11 = http_version == "1.1"
    _check_host(fields.get(b"host"), required=is_http_11)
    if target[0] != 0x2F:
        target, authority = _other_target_form(target, method)
        if authority is not None:  # it replaces whatever Host said (RFC 9112 §3.2.2)
            headers = [(b"host", authority), *(field for field in headers if field[0] != b"host")]
            fields = dict(headers)

    body_length = 0
    expects_continue = wants_websocket = False
    if not _UNUSUAL.isdisjoint(fields):
        body_length = _body_length(fields, is_http_11=is_http_11)
        if b"expect" in fields:
            expects_continue = _expects_continue(headers) and is_http_11 and body_length != 0
        if b"upgrade" in fields and _asks_for_websocket(headers):
            if method != "GET" or body_length or not is_http_11:
                raise Refused(400, "websocket_malformed", "A WebSocket is asked for by an HTTP/1.1 GET without a body.")
            wants_websocket = True
    keep_alive = is_http_11
    if is_http_11 and (has_repeated or fields.get(b"connection", b"keep-alive") not in _KEEP_ALIVE):
        keep_alive = b"close" not in _tokens(headers, b"connection")
    raw_path, _, query = target.partition(b"?")
    return RequestHead(
        *(method, raw_path, query, http_version, headers, fields),
        *(body_length, expects_continue, keep_alive, wants_websocket),
    )


def _read_request_line(line: bytes, max_target: int) -> tuple[str, bytes, str]:
    try:
        method_name, target, version = line.split(b" ")
        http_version = _VERSIONS[version]
    except (ValueError, KeyError):
        raise explain_request_line(line) from None
    if not target or target.translate(None, _TARGET_OCTETS):
        raise explain_request_line(line)
    if len(target) > max_target:
        raise _target_too_long()
    method = METHODS.get(method_name)
    if method is None:
        raise _unknown_method(method_name)
    return method, target, http_version


def _explain_field(line: bytes) -> Refused:
    """Find the reason why `line` isn't a field."""
    if line[:1] in (b" ", b"\t"):
        return Refused(400, "folded_header", "Header lines may not be folded.")
    if _NEVER_IN_A_HEAD.search(line + b"\r\n"):
        return _bad_character()
    return Refused(400, "header_malformed", "A header line isn't a name, a colon and a value.")


def _check_host(host: bytes | None, *, required: bool) -> None:
    if host is None:
        if required:
            raise Refused(400, "host_missing", "An HTTP/1.1 request names exactly one Host.")
    elif len(host) > _MAX_AUTHORITY_BYTES or not is_authority(host):
        raise Refused(400, "host_invalid", "The Host header isn't a host with an optional port.")


@lru_cache(maxsize=256)
def is_authority(value: bytes) -> bool:
    """Tell whether `value` is a host (name, IPv4 or bracketed IPv6) with an optional port, without user information."""
    match = _AUTHORITY.fullmatch(value)
    if match is None:
        return False
    if match[1] is not None:
        try:
            IPv6Address(match[1].decode("ascii"))
        except ValueError:
            return False
    return True


def check_partial(received: bytes | bytearray, seen: int, max_head: int, max_target: int) -> None:
    """Refuse a head whose empty line hasn't come yet as soon as nothing that follows could make it right.

    `seen` is how many of the bytes an earlier call has already accepted, so that a head sent byte by byte costs
    no more than its length. Raises Refused: 400, 414, 431, 501 or 505.
    """
    start = 2 if received.startswith(b"\r\n") else 0
    line_end = received.find(b"\r\n", max(start, seen - 1))
    line_known = received.find(b"\r\n", start, seen) >= 0 if seen > start else False
    if not line_known:
        line = bytes(received[start : line_end if line_end >= 0 else len(received)])
        if len(line) > MAX_METHOD_BYTES and b" " not in line[: MAX_METHOD_BYTES + 1]:
            raise Refused(400, "method_malformed", "The request line doesn't begin with a method.")
        if len(line) > MAX_METHOD_BYTES + max_target + len(b"  HTTP/1.1"):
            raise _target_too_long()
        if line_end >= 0 and _REQUEST_LINE.fullmatch(line) is None:
            raise explain_request_line(line)
    if _NEVER_IN_A_HEAD.search(received, max(0, seen - 2)):
        raise _bad_character()
    if len(received) > max_head:
        raise Refused(431, "head_too_large", f"A request's head may have at most {max_head} bytes.")


def explain_request_line(line: bytes) -> Refused:
    """Find the reason why `line` isn't a request line."""
    if _NEVER_IN_A_HEAD.search(line + b"\r\n"):
        return _bad_character()
    parts = line.split(b" ")
    if len(parts) != 3 or not _METHOD.fullmatch(parts[0]) or not _VERSION.fullmatch(parts[2]):
        return Refused(400, "request_line_malformed", "The request line isn't a method, a target and a version.")
    if parts[2] not in (b"HTTP/1.0", b"HTTP/1.1"):
        return Refused(505, "version_unsupported", "This server speaks HTTP/1.1 and HTTP/1.0.")
    return Refused(400, "target_malformed", "The request target has a character that must be percent-encoded.")


def _unknown_method(name: bytes) -> Refused:
    if _METHOD.fullmatch(name) is None:
        return Refused(400, "method_malformed", "The request line doesn't begin with a method.")
    return Refused(501, "method_unknown", "This method isn't offered here.")


def _bad_character() -> Refused:
    return Refused(
        400, "control_character", "The request's head has a control character, or a line end that isn't CRLF."
    )


def _target_too_long() -> Refused:
    return Refused(414, "target_too_long", "The request target is too long.")


def _refuse_repeated(headers: list[tuple[bytes, bytes]]) -> None:
    names = [name for name, _ in headers]
    for name in _ONCE:
        if names.count(name) > 1:
            reason = f"{name.decode('ascii').replace('-', '_')}_repeated"
            raise Refused(400, reason, f"A request has at most one {name.decode('ascii').title()} header.")


def _other_target_form(target: bytes, method: str) -> tuple[bytes, bytes | None]:
    """Turn absolute-form into (origin-form, authority); `*` stays. Raises Refused 400 for every other form."""
    if target == b"*" and method == "OPTIONS":
        return target, None
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise Refused(400, "target_form", "The request target is a path, or an http or https URL.")
    authority, path, query = match.groups()
    if len(authority) > _MAX_AUTHORITY_BYTES or not is_authority(authority):
        raise Refused(400, "host_invalid", "The URL's authority isn't a host with an optional port.")
    return (path or b"/") + (query or b""), authority


def _body_length(fields: dict[bytes, bytes], *, is_http_11: bool) -> int:
    """Decide the body's length (RFC 9112 §6.3), taking only what every server reads alike."""
    if b"content_length" in fields or b"transfer_encoding" in fields:
        raise Refused(400, "framing_ambiguous", "A framing header is spelled with an underscore.")
    coding = fields.get(b"transfer-encoding")
    length = fields.get(b"content-length")
    if coding is not None:
        if length is not None:
            raise Refused(400, "framing_ambiguous", "Content-Length and Transfer-Encoding exclude each other.")
        if not is_http_11:
            raise Refused(400, "chunked_in_http_10", "HTTP/1.0 has no Transfer-Encoding.")
        if coding.lower() != b"chunked":
            raise Refused(400, "transfer_encoding", "The only transfer coding accepted is a single 'chunked'.")
        return CHUNKED
    if length is None:
        return 0
    if _LENGTH.fullmatch(length) is None:
        raise Refused(400, "content_length", "Content-Length isn't one plain decimal number.")
    return int(length)


def _expects_continue(headers: list[tuple[bytes, bytes]]) -> bool:
    expectations = _tokens(headers, b"expect")
    if expectations - {b"100-continue"}:
        raise Refused(417, "expectation", "The only expectation that can be met is 100-continue.")
    return bool(expectations)


def _asks_for_websocket(headers: list[tuple[bytes, bytes]]) -> bool:
    """Tell a WebSocket handshake (RFC 6455 §4.1); any other Upgrade (h2c) is only an offer, and ignored."""
    return b"websocket" in _tokens(headers, b"upgrade") and b"upgrade" in _tokens(headers, b"connection")


def _tokens(headers: list[tuple[bytes, bytes]], wanted: bytes) -> set[bytes]:
    """All elements of the list-valued field `wanted`, over all its lines, lower-case."""
    values = b",".join(value for name, value in headers if name == wanted).lower()
    return {token for token in (part.strip(b" \t") for part in values.split(b",")) if token}
