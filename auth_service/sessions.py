"""Sessions in the database: opening, refreshing, looking up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, insert, or_, select, update

from auth_service import access_tokens, audit, refresh_tokens
from auth_service.access_tokens import Bearer
from auth_service.audit import Event, Person
from auth_service.devices import device_name
from auth_service.models import refresh_tokens as tokens
from auth_service.models import sessions, users
from auth_service.refresh_tokens import Verdict
from auth_service.revocations import Revocation, revoke
from auth_service.service import Origin, Service
from servicekit.ids import uuid7

SEEN_EVERY = timedelta(seconds=60)  # last_seen_at is no finer than this, so that reading doesn't always write
MOST_REPEATS = 100  # successors followed within the grace; a client can't spend so many in good faith

_ADD_SESSION, _ADD_TOKEN = insert(sessions), insert(tokens)  # built once: building costs as much as running


@dataclass(frozen=True)
class TokenPair:
    """What signing in and refreshing answer with. Durations in seconds."""

    access_token: str
    expires_in: int
    refresh_token: str
    refresh_expires_in: int


@dataclass(frozen=True)
class Refreshed:
    """What became of a refresh: a pair, or None; and the revocations to publish when reuse was found."""

    pair: TokenPair | None
    to_publish: list[Revocation]


def is_live(now: datetime) -> ColumnElement[bool]:
    """The sessions that can still be used: not revoked, and either token still good."""
    return and_(sessions.c.revoked_at.is_(None), or_(sessions.c.expires_at > now, sessions.c.access_expires_at > now))


def open_session(conn: Connection, service: Service, user: Row[Any], origin: Origin, now: datetime) -> TokenPair:
    """A new session of a user whose row the caller has locked and marked as signed in."""
    settings = service.settings
    session_id, token = uuid7(), refresh_tokens.new_token()
    ends_at = now + timedelta(seconds=max(settings.session_max_ttl, settings.refresh_token_ttl))
    expires_at = min(now + timedelta(seconds=settings.refresh_token_ttl), ends_at)
    row = {
        "id": session_id,
        "user_id": user.id,
        "device": device_name(origin.user_agent),
        "user_agent": origin.user_agent,
        "address": origin.address,
        "created_at": now,
        "last_seen_at": now,
        "expires_at": expires_at,
        "ends_at": ends_at,
        "access_expires_at": access_tokens.expiry_of(now, settings),
    }
    conn.execute(_ADD_SESSION, row)
    _store_token(conn, token, session_id, now, expires_at)
    person = Person(user.id, user.username)
    audit.record(conn, Event.SIGN_IN, origin=origin, now=now, actor=person, subject=person, session_id=session_id)
    return _pair(service, user, session_id, token, expires_at, now)


def refresh(conn: Connection, service: Service, token: str, origin: Origin, now: datetime) -> Refreshed:
    """Spend ``token`` for a new pair, under the lock of its session.

    The lock makes it safe against a logout of the same session: before it, the session's end takes the new tokens
    with it; after it, there is no session to refresh.
    """
    refused = Refreshed(None, [])
    found = conn.execute(
        select(tokens.c.session_id).where(tokens.c.token_hash == refresh_tokens.hash_of(token))
    ).first()
    if found is None:
        return refused
    query = select(sessions).where(sessions.c.id == found.session_id).with_for_update()
    session = conn.execute(query).first()
    if session is None or session.revoked_at is not None or session.ends_at <= now:
        return refused
    user = conn.execute(select(users).where(users.c.id == session.user_id)).first()
    if user is None or user.disabled:
        return refused
    grace = timedelta(seconds=service.settings.refresh_grace)
    row = _token_row(conn, token)
    verdict = refresh_tokens.judge(spent_at=row.spent_at, expires_at=row.expires_at, now=now, grace=grace)
    if verdict is Verdict.REUSED:
        ended = revoke(conn, user.id, because="refresh_reused", now=now, which=sessions.c.id == session.id)
        person = Person(user.id, user.username)
        audit.record(conn, Event.REFRESH_REUSED, origin=origin, now=now, subject=person, session_id=session.id)
        return Refreshed(None, ended)
    if verdict is Verdict.REPEAT:
        repeated = _newest_after(conn, token, row)
        if repeated is None or repeated[1] <= now:
            return refused
        token, expires_at = repeated
    elif verdict is Verdict.EXPIRED:
        return refused
    else:
        expires_at = min(now + timedelta(seconds=service.settings.refresh_token_ttl), session.ends_at)
        token = _spend(conn, token, session.id, now, expires_at)
    conn.execute(
        update(sessions)
        .where(sessions.c.id == session.id)
        .values(
            last_seen_at=now,
            address=origin.address,
            expires_at=expires_at,
            access_expires_at=max(session.access_expires_at, access_tokens.expiry_of(now, service.settings)),
        )
    )
    return Refreshed(_pair(service, user, session.id, token, expires_at, now), [])


def _spend(conn: Connection, token: str, session_id: str, now: datetime, expires_at: datetime) -> str:
    salt = refresh_tokens.new_salt()
    following = refresh_tokens.successor(token, salt)
    conn.execute(
        update(tokens)
        .where(tokens.c.token_hash == refresh_tokens.hash_of(token))
        .values(spent_at=now, successor_salt=salt)
    )
    _store_token(conn, following, session_id, now, expires_at)
    return following


def _newest_after(conn: Connection, token: str, row: Row[Any] | None) -> tuple[str, datetime] | None:
    """Follow the successors of a spent token to the session's one live token."""
    for _ in range(MOST_REPEATS):
        if row is None:
            return None
        if row.spent_at is None:
            return token, row.expires_at
        token = refresh_tokens.successor(token, row.successor_salt)
        row = _token_row(conn, token)
    return None


def _token_row(conn: Connection, token: str) -> Any:
    return conn.execute(select(tokens).where(tokens.c.token_hash == refresh_tokens.hash_of(token))).first()


def _store_token(conn: Connection, token: str, session_id: str, now: datetime, expires_at: datetime) -> None:
    values = {"session_id": session_id, "created_at": now, "expires_at": expires_at}
    conn.execute(_ADD_TOKEN, {"token_hash": refresh_tokens.hash_of(token), **values})


def _pair(
    service: Service, user: Row[Any], session_id: str, token: str, expires_at: datetime, now: datetime
) -> TokenPair:
    bearer = Bearer(user_id=user.id, username=user.username, role=user.role, session_id=session_id)
    return TokenPair(
        access_token=access_tokens.sign(bearer, keys=service.keys, settings=service.settings, now=now),
        expires_in=service.settings.access_token_ttl,
        refresh_token=token,
        refresh_expires_in=int((expires_at - now).total_seconds()),
    )
