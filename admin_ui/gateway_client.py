"""The one module that makes HTTP calls: to the gateway, with the signed-in person's own token.

How it fails: ``GatewayAway`` (503) when the gateway can't be reached or doesn't answer in time; ``Refused`` for every
error it answers, with the status, the fields and the request id as they were told.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, BinaryIO

import httpx2
import orjson

from servicekit.logs import get_logger
from servicekit.problems import ServiceUnavailable
from servicekit.request_context import RequestFacts

log = get_logger()
CONNECT_SECONDS = 2.0


@dataclass(frozen=True)
class Answer:
    """A good answer of the gateway."""

    status: int
    body: Any
    etag: str | None


@dataclass(frozen=True)
class SentFile:
    """A file to send, with the other fields of its form. It is read from its start, piece by piece as it is sent."""

    content: BinaryIO
    fields: Mapping[str, str]


@dataclass(frozen=True)
class Download:
    """A file that comes in: what its headers say of it, and its pieces."""

    headers: dict[str, str]
    pieces: AsyncIterator[bytes]


@dataclass(eq=False)
class Refused(Exception):
    """An error answer of the gateway. Not frozen: whoever lets an exception through sets its traceback."""

    status: int
    title: str
    detail: str
    request_id: str
    errors: dict[str, str] = field(default_factory=dict)
    retry_after: int | None = None
    members: Mapping[str, Any] = field(default_factory=dict)


class GatewayAway(ServiceUnavailable):
    """No usable answer from the gateway."""

    def __init__(self) -> None:
        super().__init__("The records can't be reached at the moment. Try again shortly.", retry_after=5)


@dataclass(frozen=True)
class Origin:
    """On whose behalf a call is made: who looks at the page, and in which request."""

    facts: RequestFacts
    user_agent: str


class GatewayClient:
    """A pool of connections to the gateway, shared by everybody; it keeps no cookies and no credentials."""

    def __init__(self, base_url: str, *, timeout_seconds: float, proxy_token: str | None) -> None:
        self._proxy_token = proxy_token
        self._client = httpx2.AsyncClient(
            base_url=base_url,
            timeout=httpx2.Timeout(timeout_seconds, connect=CONNECT_SECONDS),
            limits=httpx2.Limits(max_connections=100, max_keepalive_connections=50, keepalive_expiry=30),
            # A shared client would otherwise send one person's cookies for the next.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            trust_env=False,
            follow_redirects=False,
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def check(self) -> None:
        """Raises GatewayAway when the gateway isn't alive."""
        try:
            answer = await self._client.get("/healthz", timeout=1.0)
        except httpx2.HTTPError:
            raise GatewayAway from None
        if answer.status_code != 200:
            raise GatewayAway

    async def call(
        self,
        origin: Origin,
        method: str,
        path: str,
        *,
        token: str | None = None,
        json: Any = None,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        sent_file: SentFile | None = None,
    ) -> Answer:
        """One call.

        Raises:
            Refused: The gateway answered with an error. GatewayAway: it didn't answer.
        """
        sent = self._headers(origin, token) | dict(headers or {})
        content = None
        if json is not None:
            content, sent["Content-Type"] = orjson.dumps(json), "application/json"
        parts: dict[str, Any] = {}
        if sent_file is not None:
            parts = {"files": {"file": ("file", sent_file.content)}, "data": dict(sent_file.fields)}
        try:
            answer = await self._client.request(method, path, params=params, headers=sent, content=content, **parts)
        except httpx2.HTTPError as error:
            log.warning("gateway_away", reason=type(error).__name__, method=method)
            raise GatewayAway from None
        body = _read(answer)
        if answer.status_code < 300:
            return Answer(answer.status_code, body, answer.headers.get("etag"))
        raise _refused(answer, body)

    async def download(
        self, origin: Origin, path: str, *, token: str, params: Mapping[str, str | int] | None = None
    ) -> Download:
        """A file, piece by piece as it comes.

        Raises:
            Refused: The gateway answered with an error. GatewayAway: it didn't answer.
        """
        request = self._client.build_request("GET", path, params=params, headers=self._headers(origin, token))
        try:
            answer = await self._client.send(request, stream=True)
            if answer.status_code >= 300:
                await answer.aread()
                await answer.aclose()
                raise _refused(answer, _read(answer))
        except httpx2.HTTPError as error:
            log.warning("gateway_away", reason=type(error).__name__, method="GET")
            raise GatewayAway from None
        kept = {
            name: answer.headers[name] for name in ("content-type", "content-disposition") if name in answer.headers
        }
        return Download(kept, _pieces(answer))

    def _headers(self, origin: Origin, token: str | None) -> dict[str, str]:
        facts = origin.facts
        headers = {
            "Accept": "application/json",
            "User-Agent": origin.user_agent or "matricula-admin",
            "X-Request-ID": facts.request_id,
            "traceparent": facts.traceparent(),
            "X-Forwarded-For": facts.client_ip,
        }
        if self._proxy_token:
            headers["X-Proxy-Token"] = self._proxy_token
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return headers


async def _pieces(answer: httpx2.Response) -> AsyncIterator[bytes]:
    try:
        async for piece in answer.aiter_bytes():
            yield piece
    finally:
        await answer.aclose()


def _read(answer: httpx2.Response) -> Any:
    try:
        return orjson.loads(answer.content) if answer.content else None
    except orjson.JSONDecodeError:
        if answer.status_code < 300:
            raise GatewayAway from None
        return None


def _refused(answer: httpx2.Response, body: Any) -> Refused:
    told: dict[str, Any] = body if isinstance(body, dict) else {}
    errors: dict[str, str] = {}
    for entry in told.get("errors") or ():
        errors.setdefault(str(entry.get("field", "")), str(entry.get("message", "")))
    wait = answer.headers.get("retry-after", "")
    return Refused(
        status=answer.status_code,
        title=str(told.get("title") or answer.reason_phrase),
        detail=str(told.get("detail") or ""),
        request_id=answer.headers.get("x-request-id", ""),
        errors=errors,
        retry_after=int(wait) if wait.isdigit() else None,
        members=told,
    )
