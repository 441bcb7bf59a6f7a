"""Routes that read a body only once its sender has shown a valid token.

FastAPI reads and parses the body before it asks any dependency: without this, somebody without a token would be told
what is wrong with their JSON, and would have ten megabytes of it parsed.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response

from servicekit.security import identify
from servicekit.strict_json import StrictRoute
from servicekit.throttle import LimitedRoute


class TokenFirstRoute(StrictRoute):
    """For routers whose every body is for people who are signed in."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def guarded(request: Request) -> Response:
            await identify(request)
            return await handle(request)

        return guarded


class LimitedTokenFirstRoute(TokenFirstRoute, LimitedRoute):
    """The same, with the RateLimit fields of limited endpoints."""
