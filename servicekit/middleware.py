"""The pure-ASGI layers around every service, outermost first: see ``servicekit.app.layers``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from servicekit.http_metrics import observe_request
from servicekit.logs import get_logger
from servicekit.problems import InternalError, PayloadTooLarge, render
from servicekit.request_context import Networks, current_request, decide_facts
from servicekit.request_line import RequestLines

log = get_logger()
QUIET_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
SECURITY_HEADERS = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]


class RequestContext:
    """Binds the request's facts, sets X-Request-ID, writes the one log line and counts the request."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        service: str,
        trusted_proxies: Networks,
        proxy_token: str | None,
        lines: RequestLines,
    ) -> None:
        self.app = app
        self.service = service
        self.lines = lines
        self.trusted_proxies = trusted_proxies
        self.proxy_token = proxy_token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        peer = scope["client"][0] if scope.get("client") else "unknown"
        facts = decide_facts(scope["headers"], dict(scope["headers"]), peer, self.trusted_proxies, self.proxy_token)
        scope.setdefault("state", {})["facts"] = facts
        reset = current_request.set(facts)
        status = 499  # nginx's convention: the client left before there was an answer

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", ()), (b"x-request-id", facts.request_id.encode())]
                message = {**message, "headers": headers}
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        finally:
            self._finish(scope, status, time.perf_counter() - facts.started)
            current_request.reset(reset)

    def _finish(self, scope: Scope, status: int, seconds: float) -> None:
        facts, method, path = scope["state"]["facts"], scope["method"], scope["path"]
        route = route_template(scope)
        observe_request(self.service, method, route, status, seconds)
        quiet = path in QUIET_PATHS and status < 400
        self.lines.write(facts, method, path, route, status, seconds, quiet=quiet)


def route_template(scope: Scope) -> str:
    """The path template that matched (``/students/{id}``), or ``unmatched``."""
    context = scope.get("fastapi", {})
    effective = context.get("effective_route_context") if isinstance(context, dict) else None
    route = getattr(effective, "path", None) or getattr(scope.get("route"), "path", None)
    return str(route) if route else "unmatched"


Covers = Callable[[Scope], bool]
Tell = Callable[[Exception, Scope, Receive, Send], Awaitable[None]]


def is_http(scope: Scope) -> bool:
    """Whether this is a request, not the lifespan."""
    return bool(scope["type"] == "http")


async def tell_by_problem(error: Exception, scope: Scope, _: Receive, send: Send) -> None:
    """Turn what nobody expected into a 500 problem, logged without the exception's message."""
    if not isinstance(error, HTTPException):
        log.error("unhandled_error", exc_info=error)
        error = InternalError("Something went wrong here. Quote the request id when you report it.")
    await send_problem(error, scope, send)


class CatchErrors:
    """Answers whatever goes wrong inside.

    An exception after the answer has begun is raised on: the server then breaks the connection, and the
    client sees a broken message rather than one that looks complete.

    A client that leaves before it has sent its whole body is no error and gets no answer, whatever becomes of it
    inside: FastAPI says 400 where it reads the body itself, elsewhere the exception comes here.

    Args:
        covers: The requests that this is for; all others pass.
        tell: Answers an error.
    """

    def __init__(self, app: ASGIApp, *, covers: Covers = is_http, tell: Tell = tell_by_problem) -> None:
        self.app = app
        self._covers = covers
        self._tell = tell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._covers(scope):
            await self.app(scope, receive, send)
            return
        started = has_left = False

        async def heard() -> Message:
            nonlocal has_left
            message = await receive()
            has_left = has_left or message["type"] == "http.disconnect"
            return message

        async def watch(message: Message) -> None:
            nonlocal started
            if has_left and not started:
                return
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, heard, watch)
        except asyncio.CancelledError:
            raise
        except ClientDisconnect:
            pass  # there is nobody to tell
        except Exception as error:
            if started:
                raise
            await self._tell(error, scope, receive, send)


class HeadAsGet:
    """Serves HEAD wherever there is GET, as RFC 9110 §9.1 asks: the same status and headers, no body."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        # The server must go on seeing a HEAD; what routing finds out belongs to the log line outside.
        as_get = {**scope, "method": "GET"}
        try:
            await self.app(as_get, receive, without_body)
        finally:
            scope.update({**as_get, "method": "HEAD"})


class SecurityHeaders:
    """Headers that are right on every answer of an API."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message.get("headers", ())}
                extra = [pair for pair in SECURITY_HEADERS if pair[0] not in present]
                message = {**message, "headers": [*message.get("headers", ()), *extra]}
            await send(message)

        await self.app(scope, receive, add if scope["type"] == "http" else send)


class BodyLimit:
    """Refuses a body above ``max_bytes`` with 413: by its declared length at once, else while it comes in."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if declared.isdigit() and int(declared) > self.max_bytes:
            raise self._too_large()
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_bytes:
                raise self._too_large()
            return message

        await self.app(scope, counted, send)

    def _too_large(self) -> PayloadTooLarge:
        return PayloadTooLarge(f"A body may have at most {self.max_bytes} bytes.", headers={"Connection": "close"})


async def send_problem(error: HTTPException, scope: Scope, send: Callable[[Message], Awaitable[None]]) -> None:
    """Send a problem as a whole answer from a pure-ASGI layer."""
    facts = scope["state"]["facts"]
    status, headers, body = render(error, instance=scope["path"], request_id=facts.request_id)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body if scope["method"] != "HEAD" else b""})
