"""Connections to Redis or Valkey with short deadlines: redis-py by itself would wait for ever on a hung server."""

from __future__ import annotations

from typing import Any

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from servicekit.embedded_valkey import ensure_embedded_valkey
from servicekit.settings import ServiceSettings

CONNECT_SECONDS = 0.5
ANSWER_SECONDS = 1.0
PROMPT_SECONDS = 0.5  # as on the gateway's data path


def resolve_redis_url(settings: ServiceSettings) -> str:
    """REDIS_URL, or in development the embedded Valkey of this state directory, started if need be.

    Raises:
        SystemExit: In production without REDIS_URL.
    """
    if settings.redis_url is not None:
        return settings.redis_url
    if settings.is_production:
        raise SystemExit("configuration error: REDIS_URL: must be set when APP_ENV=production")
    return ensure_embedded_valkey(settings.state_dir)


def _options(max_connections: int) -> dict[str, Any]:
    return {
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": ANSWER_SECONDS,
        "health_check_interval": 0,
        "max_connections": max_connections,
        # One retry, for a connection that went stale while idle; the deadline stays short.
        "retry": Retry(NoBackoff(), 1),
        "protocol": 2,
    }


def connect_redis(settings: ServiceSettings, *, max_connections: int = 64) -> redis.Redis:
    """A pool of blocking connections; nothing is opened until the first command."""
    client: redis.Redis = redis.Redis.from_url(resolve_redis_url(settings), **_options(max_connections))
    return client


def connect_redis_async(settings: ServiceSettings, *, max_connections: int = 256) -> redis.asyncio.Redis:
    """A pool of asyncio connections; nothing is opened until the first command."""
    client: redis.asyncio.Redis = redis.asyncio.Redis.from_url(resolve_redis_url(settings), **_options(max_connections))
    return client


def prompt_pool(client: redis.Redis) -> redis.ConnectionPool:
    """A pool to the same server, for what people wait for: one that doesn't answer isn't asked a second time."""
    pool = client.connection_pool
    changed = {
        "socket_connect_timeout": PROMPT_SECONDS,
        "socket_timeout": PROMPT_SECONDS,
        # A stale connection is noticed at once, so that the retry costs nothing; a deadline that has passed does.
        "retry": Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
    }
    return redis.ConnectionPool(
        connection_class=pool.connection_class,
        max_connections=pool.max_connections,
        **{**pool.connection_kwargs, **changed},
    )
