"""Keyset pages: opaque cursors and the one shape that every list answers with."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from servicekit.problems import FieldError, Unprocessable

DEFAULT_LIMIT = 20
MAX_LIMIT = 200
MAX_CURSOR_CHARACTERS = 2_000


def encode_cursor(position: Mapping[str, Any]) -> str:
    """An opaque, URL-safe text for a place in a list."""
    return base64.urlsafe_b64encode(orjson.dumps(dict(position))).rstrip(b"=").decode()


def decode_cursor(cursor: str) -> dict[str, Any]:
    """The position that ``encode_cursor`` packed. It is the caller's text: check its values before use.

    Raises:
        Unprocessable: It isn't one of our cursors.
    """
    try:
        if len(cursor) > MAX_CURSOR_CHARACTERS:
            raise ValueError
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        position = orjson.loads(raw)
    except (ValueError, binascii.Error):
        position = None
    if not isinstance(position, dict):
        raise Unprocessable(errors=[FieldError("cursor", "is not a cursor of this list; start again without one")])
    return position


def page(items: Sequence[Any], next_cursor: str | None, total: int) -> dict[str, Any]:
    """The answer of a list: one page, where the next begins (None at the end), and how many there are in all."""
    return {"items": items, "next_cursor": next_cursor, "total": total}
