"""What the endpoints of one process share, built by ``main.create_app``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import redis
from fastapi import Request

from auth_service.denylist import Denylist
from auth_service.devices import printable
from auth_service.hashing import PasswordHasher
from auth_service.key_ring import KeyRing
from auth_service.settings import Settings
from servicekit.database import Database
from servicekit.request_context import client_ip, request_id

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The clock of production."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Service:
    """Settings and the things that were opened by them."""

    settings: Settings
    db: Database
    redis: redis.Redis
    keys: KeyRing
    hasher: PasswordHasher
    denylist: Denylist
    clock: Clock


@dataclass(frozen=True)
class Origin:
    """Where a request came from, for sessions and the audit trail."""

    address: str
    user_agent: str
    request_id: str | None


NOWHERE = Origin(address="", user_agent="", request_id=None)  # what the service does by itself


def service_of(request: Request) -> Service:
    """The shared things of the process that serves ``request``."""
    service: Service = request.app.state.service
    return service


def origin_of(request: Request) -> Origin:
    """Where ``request`` came from."""
    return Origin(
        address=client_ip(request.scope)[:64],
        user_agent=printable(request.headers.get("user-agent")),
        request_id=request_id(request.scope),
    )
