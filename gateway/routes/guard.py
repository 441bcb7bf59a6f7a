"""The limit on what the gateway answers itself: the anonymous one, by client, kept with slowapi."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Request

from gateway.settings import Settings
from servicekit.redis_client import connect_redis
from servicekit.throttle import RedisLimiter, by_address


def own_endpoints_guard(settings: Settings) -> Callable[[Request], None]:
    """A FastAPI dependency; plain ``def``, since slowapi's Redis calls block.

    Its quota is apart from the data path's: reading the documentation doesn't use up anyone's API calls.
    """
    limiter = RedisLimiter(
        connect_redis(settings),
        prefix="gateway",
        on_outage=settings.rate_limit_on_outage,
        refusal=f"The limit for this address is {settings.rate_limit_anonymous}.",
    )

    @limiter.shared_limit(settings.rate_limit_anonymous, scope="anonymous", key_func=by_address)
    def guard(request: Request) -> None:
        """Count this request.

        Raises:
            TooManyRequests: The limit is reached.
        """

    checked: Callable[[Request], None] = guard
    return checked
