"""Who calls: a valid token (servicekit) of a session that is alive in this service's own database."""

# No `from __future__ import annotations`: FastAPI must see the dependency that `signed_in` closes over.
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Request
from sqlalchemy import Connection, Row, select, update

from auth_service.audit import Person
from auth_service.models import sessions, users
from auth_service.service import Service, service_of
from auth_service.sessions import SEEN_EVERY
from servicekit.problems import Forbidden, Unauthorized
from servicekit.security import require
from servicekit.tokens import Claims

SignedToken = Annotated[Claims, Depends(require())]


@dataclass(frozen=True)
class Caller:
    """A signed-in user as the database knows them now."""

    person: Person
    role: str
    session_id: str
    scopes: frozenset[str]

    @property
    def id(self) -> str:
        return self.person.id


def signed_in(*scopes: str) -> Callable[..., Caller]:
    """A dependency: the caller, whose session lives and who has all of ``scopes``.

    Raises (when called):
        Unauthorized: No valid token, or its session has ended: also in this service a revocation has no delay.
        Forbidden: A scope is missing.
    """

    def check(request: Request, claims: SignedToken) -> Caller:
        caller = live_caller(service_of(request), claims)
        missing = set(scopes) - claims.scopes
        if missing:
            raise Forbidden(f"Your role lacks the scope {' '.join(sorted(missing))}.")
        return caller

    return check


def live_caller(service: Service, claims: Claims) -> Caller:
    """The caller of a valid token.

    Raises:
        Unauthorized: Its session has ended.
    """
    now = service.clock()
    with service.db.read() as conn:
        row = _session_of(conn, claims)
    if row is None or row.revoked_at is not None:
        raise ended()
    if now - row.last_seen_at > SEEN_EVERY:
        _touch(service, claims.sid, now)
    return Caller(Person(claims.sub, row.username), claims.role, claims.sid, claims.scopes)


def ended() -> Unauthorized:
    """The answer to a token of a session that is over."""
    return Unauthorized("The session has ended; sign in again.", error="invalid_token")


def _session_of(conn: Connection, claims: Claims) -> Row[*tuple[Any, ...]] | None:
    query = (
        select(sessions.c.revoked_at, sessions.c.last_seen_at, users.c.username)
        .join(users, users.c.id == sessions.c.user_id)
        .where(sessions.c.id == claims.sid, sessions.c.user_id == claims.sub)
    )
    row: Row[*tuple[Any, ...]] | None = conn.execute(query).first()
    return row


def _touch(service: Service, session_id: str, now: datetime) -> None:
    with service.db.write() as conn:
        conn.execute(update(sessions).where(sessions.c.id == session_id).values(last_seen_at=now))


USER_ADMIN = Depends(signed_in("users:manage"))
