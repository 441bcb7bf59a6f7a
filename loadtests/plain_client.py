"""One JSON request at a time, measured by nobody: for what comes before and after a measurement."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 60.0
SIGN_OUT_SECONDS = 5.0
USER_AGENT = "matricula-load-test"
"""What the administrator sees beside a session that a killed run left open."""


class Unreachable(Exception):
    """Nobody answers there; the message says where and why."""


@dataclass(frozen=True)
class Plain:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """The body, or None when it isn't JSON."""
        try:
            return json.loads(self.content)
        except ValueError:
            return None

    def told(self) -> str:
        """The status and what the body says, short."""
        body = self.json()
        detail = body.get("detail") if isinstance(body, dict) else None
        return f"{self.status} {detail or self.content[:200].decode(errors='replace')}"


def ask(
    method: str,
    url: str,
    *,
    body: Any = None,
    token: str | None = None,
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Plain:
    """Send one request: `body` as JSON, or `content` as it is.

    Raises:
        Unreachable: There was no answer.
    """
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=timeout_seconds)
    sent = {"Accept": "application/json", "Connection": "close", "User-Agent": USER_AGENT, **(headers or {})}
    if token is not None:
        sent["Authorization"] = f"Bearer {token}"
    if body is not None:
        content = json.dumps(body).encode()
        sent["Content-Type"] = "application/json"
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, target or "/", content, sent)
        answer = connection.getresponse()
        return Plain(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{parts.scheme}://{parts.netloc}: {str(error) or type(error).__name__}") from None
    finally:
        connection.close()


def sign_out(host: str, token: str) -> None:
    """End the session of this access token, if that can be had soon; a session lasts for days otherwise."""
    with suppress(Unreachable):
        ask("POST", f"{host}/auth/logout", token=token, timeout_seconds=SIGN_OUT_SECONDS)
