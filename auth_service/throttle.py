"""Limits on sign-in, declared beside the endpoints with slowapi's ``@limiter.shared_limit``.

Three guards, first the narrow one: ``login`` per client address and username (RATE_LIMIT_LOGIN), ``login-account`` per
username over all addresses, ``login-address`` per address over all usernames. The last two are generous multiples of
the first: they stop distributed guessing and password spraying, not a school that signs in at eight o'clock. An
attempt that the first guard refuses doesn't count for the others, so nobody can lock out somebody else from one place.

When Redis fails, RATE_LIMIT_ON_OUTAGE decides: ``local`` each process counts in its own memory (slowapi's fallback),
``deny`` 503, ``allow`` nothing is limited. Never a 500: slowapi raises the storage's error when two requests meet it
at once, so the check is repeated here, by then with its fallback in place.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import time
import warnings
from collections.abc import Callable, Coroutine
from ipaddress import ip_address, ip_network
from typing import Any

import redis
from fastapi import Request, Response
from limits import RateLimitItem
from slowapi import Limiter
from slowapi.errors import RateLimitExceeded
from starlette.exceptions import HTTPException

from auth_service.settings import Settings
from servicekit.logs import get_logger
from servicekit.problems import ServiceUnavailable, TooManyRequests
from servicekit.request_context import client_ip
from servicekit.strict_json import StrictRoute

log = get_logger()
LOGIN, ACCOUNT, ADDRESS = "login", "login-account", "login-address"


def name_account(request: Request, username: str) -> None:
    """Say whose account a request is about, before its endpoint is limited.

    Hashed: what is typed has any length and characters, and may be a password in the wrong field.
    """
    request.state.account = hashlib.sha256(username.casefold().encode("utf-8", "replace")).hexdigest()[:32]


def by_address(request: Request) -> str:
    """The client's address, for IPv6 its /64: one household has 2^64 addresses."""
    text = client_ip(request.scope)
    try:
        address = ip_address(text)
    except ValueError:
        return text or "unknown"
    return str(ip_network((address, 64), strict=False)) if address.version == 6 else text


def by_account(request: Request) -> str:
    """The account that ``name_account`` named."""
    account: str = request.state.account
    return account


def by_address_and_account(request: Request) -> str:
    """Both."""
    return f"{by_address(request)}|{by_account(request)}"


class SignInLimiter(Limiter):
    """slowapi's limiter with this project's headers, problem body and behaviour without Redis."""

    def __init__(self, settings: Settings, client: redis.Redis) -> None:
        self._on_outage = settings.rate_limit_on_outage
        options: dict[str, Any] = {"connection_pool": client.connection_pool}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that the file below is none: that is the point
            super().__init__(
                key_func=by_address,
                strategy="moving-window",
                # The pool carries address, TLS, password, database and deadlines; the URL only chooses the kind.
                storage_uri="redis://",
                storage_options=options,
                in_memory_fallback_enabled=self._on_outage == "local",
                key_prefix="sign-in",
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
            log.info("sign_in_limited", policy=names[-1], client_ip=client_ip(request.scope))
            raise TooManyRequests(
                "Too many sign-in attempts; wait before the next.", retry_after=float(retry_after), headers=headers
            ) from None
        if request.state.view_rate_limit is not None:
            item, names = request.state.view_rate_limit
            request.state.rate_limit_headers = self._describe(item, names)

    def _check(self, request: Request, endpoint_func: Callable[..., Any] | None, in_middleware: bool) -> None:
        try:
            super()._check_request_limit(request, endpoint_func, in_middleware)
            return
        except RateLimitExceeded:
            raise
        except redis.RedisError as error:
            log.warning("rate_limit_storage_failed", error=type(error).__name__, on_outage=self._on_outage)
        if self._on_outage == "allow":
            request.state.view_rate_limit = None
            return
        if self._on_outage == "local":
            try:
                super()._check_request_limit(request, endpoint_func, in_middleware)
                return
            except redis.RedisError:
                pass
        raise ServiceUnavailable("Sign-in attempts can't be counted right now; try again shortly.", retry_after=1)

    def _describe(self, item: RateLimitItem, names: list[str], *, exceeded: bool = False) -> dict[str, str]:
        """The RateLimit fields (draft-ietf-httpapi-ratelimit-headers), and Retry-After for a refusal."""
        window = item.get_expiry()
        try:
            reset_at, remaining = self.limiter.get_window_stats(item, *names)
        except redis.RedisError:  # it has just failed: say what is certain
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
