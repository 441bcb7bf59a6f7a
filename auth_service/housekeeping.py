"""Throws away what no longer matters, in small transactions."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, select

from auth_service.models import audit_events, refresh_tokens, revocations, sessions
from servicekit.database import Database
from servicekit.logs import get_logger

log = get_logger()
BATCH = 500
KEEP_ENDED = timedelta(days=1)  # an ended session is still told apart from a forged one, in the log, for this long


def purge(db: Database, now: datetime, audit_retention: timedelta) -> dict[str, int]:
    """Delete expired sessions with their tokens, spent tokens, expired revocations and old audit entries."""
    dead = now - KEEP_ENDED
    jobs = {
        "revocations": (revocations, revocations.c.session_id, revocations.c.expires_at < now),
        "sessions": (
            sessions,
            sessions.c.id,
            (sessions.c.expires_at < dead) & (sessions.c.access_expires_at < dead),
        ),
        "refresh_tokens": (refresh_tokens, refresh_tokens.c.token_hash, refresh_tokens.c.expires_at < dead),
        "audit_events": (audit_events, audit_events.c.id, audit_events.c.at < now - audit_retention),
    }
    removed = {}
    for name, (table, key, condition) in jobs.items():
        removed[name] = 0
        while True:
            with db.write() as conn:
                batch = select(key).where(condition).limit(BATCH)
                count = conn.execute(delete(table).where(key.in_(batch))).rowcount
            removed[name] += count
            if count < BATCH:
                break
    if any(removed.values()):
        log.info("purged", **removed)
    return removed
