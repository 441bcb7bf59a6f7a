"""Limits on sign-in, declared beside the endpoints with slowapi's ``@limiter.shared_limit``.

Three guards, first the narrow one: ``login`` per client address and username (RATE_LIMIT_LOGIN), ``login-account`` per
username over all addresses, ``login-address`` per address over all usernames. The last two are generous multiples of
the first: they stop distributed guessing and password spraying, not a school that signs in at eight o'clock. An
attempt that the first guard refuses doesn't count for the others, so nobody can lock out somebody else from one place.
"""

from __future__ import annotations

import hashlib

import redis
from fastapi import Request

from auth_service.settings import Settings
from servicekit.throttle import LimitedRoute, RedisLimiter, by_address

__all__ = [
    "ACCOUNT",
    "ADDRESS",
    "LOGIN",
    "LimitedRoute",
    "RedisLimiter",
    "by_account",
    "by_address",
    "by_address_and_account",
    "name_account",
    "sign_in_limiter",
]

LOGIN, ACCOUNT, ADDRESS = "login", "login-account", "login-address"


def sign_in_limiter(settings: Settings, client: redis.Redis) -> RedisLimiter:
    """The limiter that the three guards are declared with; without Redis it does what RATE_LIMIT_ON_OUTAGE says."""
    return RedisLimiter(
        client,
        prefix="sign-in",
        on_outage=settings.rate_limit_on_outage,
        refusal="Too many sign-in attempts; wait before the next.",
    )


def name_account(request: Request, username: str) -> None:
    """Say whose account a request is about, before its endpoint is limited.

    Hashed: what is typed has any length and characters, and may be a password in the wrong field.
    """
    request.state.account = hashlib.sha256(username.casefold().encode("utf-8", "replace")).hexdigest()[:32]


def by_account(request: Request) -> str:
    """The account that ``name_account`` named."""
    account: str = request.state.account
    return account


def by_address_and_account(request: Request) -> str:
    """Both."""
    return f"{by_address(request)}|{by_account(request)}"
