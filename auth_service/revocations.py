"""Revoked sessions in the database: the truth, of which Redis holds a fast copy (denylist.py).

The order of every revocation: inside one transaction the session ends and its revocation is stored; the transaction
commits; then the caller publishes what ``revoke`` returned and answers 2xx only if that succeeded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import ColumnElement, Connection, and_, insert, select, update

from auth_service.models import revocations, sessions

T = TypeVar("T")
CHUNK = 1000  # rows named in one statement
# Beyond the last token's expiry, for clocks that differ.
MARGIN = timedelta(seconds=60)


@dataclass(frozen=True)
class Revocation:
    """A session id that no gateway may let through until ``expires_at``."""

    session_id: str
    expires_at: datetime


def revoke(
    conn: Connection, user_id: str, *, because: str, now: datetime, which: ColumnElement[bool] | None = None
) -> list[Revocation]:
    """End the live sessions of a user, or those among them that ``which`` selects.

    Returns:
        What to publish after the commit: these, and any earlier one of the same user that was not published yet, so
        that repeating a request that was answered 503 completes it.
    """
    conditions = [sessions.c.user_id == user_id, sessions.c.revoked_at.is_(None)]
    if which is not None:
        conditions.append(which)
    # The lock orders this against a refresh of the same session: whoever comes second sees what the first did.
    query = select(sessions.c.id, sessions.c.access_expires_at).where(*conditions).order_by(sessions.c.id)
    ending = conn.execute(query.with_for_update()).all()
    for some in batched(ending, CHUNK):
        conn.execute(
            update(sessions)
            .where(sessions.c.user_id == user_id, sessions.c.id.in_([row.id for row in some]))
            .values(revoked_at=now, revoked_because=because)
        )
        still_usable = [row for row in some if row.access_expires_at + MARGIN > now]
        if still_usable:
            conn.execute(
                insert(revocations),
                [
                    {
                        "session_id": row.id,
                        "user_id": user_id,
                        "revoked_at": now,
                        "expires_at": row.access_expires_at + MARGIN,
                    }
                    for row in still_usable
                ],
            )
    return unpublished(conn, now, user_id=user_id)


def unpublished(conn: Connection, now: datetime, *, user_id: str) -> list[Revocation]:
    """The outbox of one user, whole: revocations that are not known to be in Redis."""
    return _read(conn, and_(_is_waiting(now), revocations.c.user_id == user_id), None)


def some_unpublished(conn: Connection, now: datetime, *, limit: int = 5000) -> list[Revocation]:
    """A part of everybody's outbox, for whoever comes again for the rest."""
    return _read(conn, _is_waiting(now), limit)


def unexpired(conn: Connection, now: datetime) -> list[Revocation]:
    """All that a whole denylist holds."""
    return _read(conn, revocations.c.expires_at > now, None)


def batched(rows: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The rows in parts of at most ``size``: a statement has room for so many parameters only."""
    return (rows[start : start + size] for start in range(0, len(rows), size))


def mark_published(conn: Connection, session_ids: Sequence[str], now: datetime) -> None:
    """Take these out of the outbox."""
    conn.execute(update(revocations).where(revocations.c.session_id.in_(session_ids)).values(published_at=now))


def _is_waiting(now: datetime) -> ColumnElement[bool]:
    return and_(revocations.c.published_at.is_(None), revocations.c.expires_at > now)


def _read(conn: Connection, condition: ColumnElement[bool], limit: int | None) -> list[Revocation]:
    query = select(revocations.c.session_id, revocations.c.expires_at).where(condition).limit(limit)
    return [Revocation(row.session_id, row.expires_at) for row in conn.execute(query)]
