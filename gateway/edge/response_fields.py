"""An application's response fields as they are written: nothing in them may pass for another line. Pure."""

from __future__ import annotations

import re

# Deleting these leaves a right block of fields nothing but its line ends (RFC 9110 §5.5). One `translate` and one
# `count` for the whole response replace uvicorn's two searches for each field.
_ORDINARY_OCTETS = bytes(octet for octet in range(256) if octet == 0x09 or (octet >= 0x20 and octet != 0x7F))

# Names of response fields that were found to be lower-case tokens; bounded, though only the application adds to it.
_names: set[bytes] = set()
_MAX_NAMES = 1024
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")


def render_fields(headers: list[tuple[bytes, bytes]], fields: dict[bytes, bytes]) -> bytes:
    """The lines of a response's fields, the last one without its CRLF. `fields` has every name.

    Raises RuntimeError for a name that is no lower-case token, and for control characters.
    """
    block = b"\r\n".join(map(b": ".join, headers))
    # No control character but the line ends put here: no name or value can have smuggled in another line.
    if (
        block.translate(None, _ORDINARY_OCTETS) != b"\r\n" * (len(headers) - 1)
        or block.count(b"\r\n") != len(headers) - 1
        or not (_names.issuperset(fields) or all(map(_learn_name, fields)))
    ):
        raise RuntimeError("Invalid HTTP header in the response.")
    return block


def render_read_fields(headers: list[tuple[bytes, bytes]]) -> bytes:
    """The same for fields that `gateway.fields` or llhttp have read, or we have made: only the lines are counted.

    Raises RuntimeError if there are more lines than fields.
    """
    block = b"\r\n".join(map(b": ".join, headers))
    if block.count(b"\n") >= len(headers):
        raise RuntimeError("Invalid HTTP header in the response.")
    return block


def _learn_name(name: bytes) -> bool:
    if _NAME.fullmatch(name) is None:
        return False
    if len(_names) < _MAX_NAMES:
        _names.add(name)
    return True
