"""Layers around the pages: what every answer says to the browser, who may write, and addresses made readable."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote_to_bytes, urlencode, urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from servicekit.problems import Forbidden

MARK = "\N{REPLACEMENT CHARACTER}"
READING = frozenset({"GET", "HEAD", "OPTIONS"})
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    b"content-security-policy": POLICY.encode(),
    # Pages hold personal data: no cache keeps them, and Back asks again.
    b"cache-control": b"no-store",
    # Not no-referrer: a form would then be sent with `Origin: null`.
    b"referrer-policy": b"same-origin",
    b"x-frame-options": b"DENY",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    b"vary": b"Cookie, HX-Request, HX-Request-Type",
}


def is_page(scope: Scope) -> bool:
    """Whether a request is for the UI, not for what every service has."""
    path: str = scope.get("path", "")
    return scope["type"] == "http" and (path == "/admin" or path.startswith("/admin/"))


class PageHeaders:
    """Adds the headers that are right on every page."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                present = {name.lower() for name, _ in given}
                given += [(name, value) for name, value in HEADERS.items() if name not in present]
                message = {**message, "headers": given}
            await send(message)

        await self.app(scope, receive, add if is_page(scope) else send)


class SameOriginWrites:
    """Refuses a write that another site makes in a person's name, before anything of it is read.

    By Fetch Metadata; a browser without it by Origin. A request with neither comes from no browser that could be
    tricked, and has the form's token to show like every other.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if is_page(scope) and scope["method"] not in READING and not _is_our_own(dict(scope["headers"])):
            raise Forbidden("This was sent by another site.")
        await self.app(scope, receive, send)


def _is_our_own(headers: dict[bytes, bytes]) -> bool:
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site == b"same-origin"
    origin = headers.get(b"origin")
    if origin is None:
        return True
    # No other site can make a browser send X-Forwarded-Host, so it needs no trust here.
    hosts = {headers.get(b"host", b"").lower(), headers.get(b"x-forwarded-host", b"").lower()} - {b""}
    return urlsplit(origin.decode("latin-1")).netloc.lower().encode() in hosts


class ReadableAddresses:
    """Puts a mark in the place of what no text can hold, NUL and what isn't UTF-8, in the query of a page that is read.

    Nothing is found by that mark, and the page says so itself instead of the layer that refuses such queries.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if is_page(scope) and scope["method"] in READING and b"%" in scope["query_string"]:
            scope = {**scope, "query_string": readable(scope["query_string"])}
        await self.app(scope, receive, send)


def readable(query: bytes) -> bytes:
    """A query as it is if it can be read, else with ``MARK`` for what can't."""
    plain = unquote_to_bytes(query)
    try:
        plain.decode()
    except UnicodeDecodeError:
        pass
    else:
        if b"\0" not in plain:
            return query
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, errors="replace")
    return urlencode([(name.replace("\0", MARK), value.replace("\0", MARK)) for name, value in pairs]).encode()
