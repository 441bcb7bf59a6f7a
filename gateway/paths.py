r"""One normal form for request paths: matched, authorised and forwarded alike.

Two servers that read one path differently are how a request reaches a route that nobody authorised. So a path
either has exactly one reading, or it is refused (400); nothing is repaired except what RFC 3986 §6.2.2 calls
equivalent. In normal form

- a character that may stand plainly does so, every other octet is `%XX` with upper-case digits;
- no segment is empty (but the last one may be: a trailing slash), `.` or `..`, plain or encoded;
- the octets decode to valid UTF-8 without control characters, slash, backslash or semicolon inside a segment.

Refused rather than repaired, since no client that means well sends them: `//`, dot segments (clients resolve them
before they send), `%2F`, `%5C` and `\`, `;` and `%3B` (matrix parameters: some servers cut them off before they
match), control characters, `%25` before two hex digits (encoded twice), broken escapes, overlong or otherwise
invalid UTF-8, raw octets that RFC 3986 doesn't allow in a path.

Pure: no framework, no I/O.
"""

from __future__ import annotations

import re

# RFC 3986 pchar, without ";" and without "%".
_PLAIN = rb"A-Za-z0-9._~!$&'()*+,=:@\-"
_ORDINARY = re.compile(rb"(?:/(?!\.{1,2}(?:/|\Z))[%b]++)*+/?" % _PLAIN)
_ESCAPED = re.compile(rb"[/%%%b]*" % _PLAIN)
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})?")
_TWICE = re.compile(rb"%25[0-9A-Fa-f]{2}")
_LITERAL = re.compile(rb"[%b]" % _PLAIN)
# U+0080 to U+009F, of which some terminals obey U+009B as they do ESC [. C2 only ever begins a character in UTF-8.
_C1 = re.compile(rb"%C2%[89]")
_FORBIDDEN_OCTETS = frozenset(b"/\\;") | frozenset(range(0x20)) | {0x7F}

# What browsers and command lines put into queries raw, beyond RFC 3986, is harmless there: " < > [ \ ] ^ ` { | }
_QUERY = re.compile(rb"(?:[!\"$&-~]++|%[0-9A-Fa-f]{2})*+")
_QUERY_WITHOUT_ESCAPES = re.compile(rb"[!\"$&-~]*+")


class BadPath(ValueError):
    """The target can be read in more than one way, or in none; `reason` is a constant word fit for a metric's label."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def normalise_path(raw_path: bytes) -> bytes:
    """Return the normal form of a percent-encoded path; most paths are returned as they are, after one match.

    Raises BadPath.
    """
    if _ORDINARY.fullmatch(raw_path) and raw_path:
        return raw_path
    if not raw_path.startswith(b"/"):
        raise BadPath("not_absolute")
    if _ESCAPED.fullmatch(raw_path) is None:
        raise BadPath("forbidden_character")
    path = _ESCAPE.sub(_normal_escape, raw_path)
    if _TWICE.search(path):
        raise BadPath("encoded_twice")
    _check_utf8(path)
    if _C1.search(path):
        raise BadPath("forbidden_escape")
    *segments, last = path[1:].split(b"/")
    if b"" in segments:
        raise BadPath("empty_segment")
    if b"." in segments or b".." in segments or last in (b".", b".."):
        raise BadPath("dot_segment")
    return path


def check_query(raw_query: bytes) -> None:
    """Accept a query whose octets are visible ASCII and whose escapes are whole, else raise BadPath.

    What the escapes stand for is for the service to judge. A query chooses no route and stands in no log, and a line
    break or a tab in a value may be meant.
    """
    if _QUERY_WITHOUT_ESCAPES.fullmatch(raw_query) or _QUERY.fullmatch(raw_query):
        return
    raise BadPath("query_malformed")


def _normal_escape(match: re.Match[bytes]) -> bytes:
    digits: bytes | None = match[1]
    if digits is None:
        raise BadPath("escape_malformed")
    octet = int(digits, 16)
    if octet in _FORBIDDEN_OCTETS:
        raise BadPath("forbidden_escape")
    literal = bytes((octet,))
    return literal if _LITERAL.match(literal) else b"%%%02X" % octet


def _check_utf8(path: bytes) -> None:
    octets = _ESCAPE.sub(lambda match: bytes((int(match[1], 16),)), path)
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        raise BadPath("invalid_utf8") from None
