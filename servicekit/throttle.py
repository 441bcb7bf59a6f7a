"""Rate limits on FastAPI endpoints: slowapi on Redis, with our headers, our problem body and a stated way to fail.

Its Redis calls block, so what it guards is a plain ``def`` (a worker thread). The window moves with each request
(``moving-window``), so no phase lets more than the limit through.

When Redis fails, RATE_LIMIT_ON_OUTAGE decides: ``local`` each process counts in its own memory, ``deny`` 503, ``allow``
nothing is limited. Never a 500, and hardly a wait: after one failure Redis is left alone for AWAY_SECONDS, then one
request asks whether it is back while the others go on without it. (slowapi's own fallback asks a hung Redis after one
second, two, four and so on, and several times for the request that finds it hung; and it is there for ``local`` only.)
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
import warnings
from collections.abc import Callable, Coroutine
from typing import Any

import redis
from fastapi import Request, Response
from limits import RateLimitItem
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter, RateLimiter
from slowapi import Limiter
from slowapi.errors import RateLimitExceeded
from starlette.exceptions import HTTPException

from servicekit.addresses import client_key
from servicekit.logs import get_logger
from servicekit.problems import ServiceUnavailable, TooManyRequests
from servicekit.redis_client import prompt_pool
from servicekit.request_context import client_ip
from servicekit.strict_json import StrictRoute

AWAY_SECONDS = 3.0
log = get_logger()


def by_address(request: Request) -> str:
    """The client's address, for IPv6 its /64: one household has 2^64 addresses."""
    return client_key(client_ip(request.scope)) or "unknown"


class RedisLimiter(Limiter):
    """slowapi's limiter, made safe against its storage.

    Args:
        client: Its pool carries address, TLS, password and database; the deadlines are shorter ones.
        prefix: Of the keys.
        on_outage: ``local``, ``deny`` or ``allow``.
        refusal: What a client over the limit is told.
    """

    def __init__(self, client: redis.Redis, *, prefix: str, on_outage: str, refusal: str) -> None:
        self._on_outage = on_outage
        self._refusal = refusal
        self._memory = MovingWindowRateLimiter(MemoryStorage())
        self._ask_again_at: float | None = None  # None: Redis is in use
        self._asking = threading.Lock()
        options: dict[str, Any] = {"connection_pool": prompt_pool(client)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that the file below is none: that is the point
            super().__init__(
                key_func=by_address,
                strategy="moving-window",
                storage_uri="redis://",  # only chooses the kind: the pool knows the address
                storage_options=options,
                key_prefix=prefix,
                config_filename=os.devnull,  # not whatever .env lies in the working directory
            )
        self.logger.setLevel(logging.ERROR)  # what it says is said below, in our words

    def _check_request_limit(
        self, request: Request, endpoint_func: Callable[..., Any] | None, in_middleware: bool = True
    ) -> None:
        request.state.view_rate_limit = None
        try:
            self._check(request, endpoint_func, in_middleware)
        except RateLimitExceeded:
            item, names = request.state.view_rate_limit
            headers = self._describe(item, names, exceeded=True)
            retry_after = headers.pop("Retry-After")
            log.info("rate_limited", policy=names[-1], client_ip=client_ip(request.scope))
            raise TooManyRequests(self._refusal, retry_after=float(retry_after), headers=headers) from None
        if request.state.view_rate_limit is not None:
            item, names = request.state.view_rate_limit
            request.state.rate_limit_headers = self._describe(item, names)

    def _check(self, request: Request, endpoint_func: Callable[..., Any] | None, in_middleware: bool) -> None:
        # Twice for ``local``: when Redis fails at the first, the second counts in memory.
        for _ in range(2):
            if self._is_away() and self._on_outage != "local":
                break
            try:
                super()._check_request_limit(request, endpoint_func, in_middleware)
            except redis.RedisError as error:
                self._leave_alone(error)
            else:
                return
        if self._on_outage == "allow":
            request.state.view_rate_limit = None
            return
        raise ServiceUnavailable("Requests can't be counted right now; try again shortly.", retry_after=1)

    @property
    def limiter(self) -> RateLimiter:
        """What counts at the moment."""
        return self._memory if self._on_outage == "local" and self._ask_again_at is not None else self._limiter

    def _is_away(self) -> bool:
        """Whether Redis is left alone. When it has been for long enough, whoever comes first asks it."""
        with self._asking:
            if self._ask_again_at is None:
                return False
            if time.monotonic() < self._ask_again_at:
                return True
            self._ask_again_at = time.monotonic() + AWAY_SECONDS
        if not self._storage.check():
            return True
        self._ask_again_at = None
        log.info("rate_limit_storage_back")
        return False

    def _leave_alone(self, error: redis.RedisError) -> None:
        with self._asking:
            is_news = self._ask_again_at is None
            self._ask_again_at = time.monotonic() + AWAY_SECONDS
        if is_news:  # many may have waited for the same deadline
            log.warning("rate_limit_storage_failed", error=type(error).__name__, on_outage=self._on_outage)

    def _describe(self, item: RateLimitItem, names: list[str], *, exceeded: bool = False) -> dict[str, str]:
        """The RateLimit fields (draft-ietf-httpapi-ratelimit-headers), and Retry-After for a refusal."""
        window = item.get_expiry()
        try:
            reset_at, remaining = self.limiter.get_window_stats(item, *names)
        except redis.RedisError as error:  # say what is certain
            self._leave_alone(error)
            reset_at, remaining = time.time() + window, 0
        seconds = min(window, max(1, math.ceil(reset_at - time.time())))
        headers = {
            "RateLimit-Policy": f'"{names[-1]}";q={item.amount};w={window}',
            "RateLimit": f'"{names[-1]}";r={0 if exceeded else max(0, remaining)};t={seconds}',
        }
        return headers | {"Retry-After": str(seconds)} if exceeded else headers


class LimitedRoute(StrictRoute):
    """Puts the RateLimit fields on whatever a limited endpoint answers, its errors too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def limited(request: Request) -> Response:
            try:
                response = await handle(request)
            except HTTPException as error:
                error.headers = {**_fields(request), **(error.headers or {})}
                raise
            response.headers.update(_fields(request))
            return response

        return limited


def _fields(request: Request) -> dict[str, str]:
    fields: dict[str, str] = getattr(request.state, "rate_limit_headers", {})
    return fields
