"""Refuses a path or query with characters that no database column can hold: NUL and lone surrogates."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Receive, Scope, Send

from servicekit.problems import FieldError, Unprocessable


class QueryGuard:
    """Answers 422 for ``%00`` and for percent-escapes that aren't UTF-8, in the path or the query string."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (
            b"%" in scope["query_string"] or "%" in scope["path"] or not scope["path"].isprintable()
        ):
            check(scope["path"], scope["query_string"])
        await self.app(scope, receive, send)


def check(path: str, query: bytes) -> None:
    """
    Raises:
        Unprocessable: NUL or a broken escape sequence.
    """
    if "\x00" in path or b"%00" in query:
        raise Unprocessable(errors=[FieldError("query" if b"%00" in query else "path", "has a NUL character")])
    try:
        unquote_to_bytes(query).decode("utf-8")
    except UnicodeDecodeError:
        raise Unprocessable(errors=[FieldError("query", "isn't UTF-8")]) from None
