"""Idempotency-Key: a repeated request gets the first answer again and has no second effect.

The key is claimed in a transaction of its own, so that a second request learns at once that the first is running.
The answer is stored in the same transaction as the effect, so there is never one without the other. A claim whose
holder crashed may be taken over after ``CLAIM``; a holder that was merely slow then can't commit any more.
Only answers of success are kept: a refused request had no effect, so repeating it is safe and tells what is true then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, delete, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from servicekit.database import Database
from servicekit.ids import uuid7
from servicekit.logs import get_logger
from servicekit.problems import ServiceUnavailable
from student_service.errors import KeyUsedOtherwise, StillRunning
from student_service.models import idempotency_keys

LIFETIME = timedelta(hours=24)
CLAIM = timedelta(seconds=30)
PURGED_AT_ONCE = 100

log = get_logger()
c = idempotency_keys.c


@dataclass(frozen=True)
class Answer:
    """A response as it is sent, and sent again."""

    status: int
    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True)
class KeyedRequest:
    """A request with a key; the key means something only together with who called what."""

    caller: str
    route: str
    key: str
    fingerprint: str

    def row(self) -> ColumnElement[bool]:
        return (c.caller == self.caller) & (c.route == self.route) & (c.key == self.key)


def fingerprint_of(*parts: Any) -> str:
    """Equal for requests that ask for the same; how a JSON object orders its members doesn't count."""
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()


def run_once(
    db: Database, request: KeyedRequest | None, effect: Callable[[Connection], Answer], now: datetime
) -> tuple[Answer, bool]:
    """Run ``effect`` in a write transaction, or find its first answer; also says whether it was found.

    Raises:
        StillRunning: Another request with this key has not been answered yet.
        KeyUsedOtherwise: The key came with another request.
    """
    if request is None:
        with db.write() as conn:
            return effect(conn), False
    claim = uuid7()
    with db.write() as conn:
        _purge(conn, now)
        stored = _claim(conn, request, claim, now)
    if stored is not None:
        return stored, True
    try:
        with db.write() as conn:
            answer = effect(conn)
            _store(conn, request, claim, answer)
    except BaseException:
        _release(db, request, claim)
        raise
    return answer, False


def _claim(conn: Connection, request: KeyedRequest, claim: str, now: datetime) -> Answer | None:
    """Take the key for this request, or return the answer that is stored under it."""
    fresh = {
        "fingerprint": request.fingerprint,
        "claim": claim,
        "claimed_until": now + CLAIM,
        "expires_at": now + LIFETIME,
        "status": None,
        "headers": None,
        "body": None,
    }
    held = conn.execute(select(idempotency_keys).where(request.row()).with_for_update()).first()
    if held is None:
        named = {"caller": request.caller, "route": request.route, "key": request.key, **fresh}
        dialect = postgresql if conn.dialect.name == "postgresql" else sqlite
        inserted = dialect.insert(idempotency_keys).on_conflict_do_nothing().returning(c.key)
        if conn.execute(inserted, named).first() is None:
            raise StillRunning  # another request took it a moment ago
        return None
    if held.expires_at > now:
        if held.fingerprint != request.fingerprint:
            raise KeyUsedOtherwise
        if held.status is not None:
            return Answer(held.status, held.body, held.headers)
        if held.claimed_until > now:
            raise StillRunning
    conn.execute(update(idempotency_keys).where(request.row()).values(**fresh))
    return None


def _store(conn: Connection, request: KeyedRequest, claim: str, answer: Answer) -> None:
    """Keep the answer, unless somebody has taken over the claim: then this transaction must not commit."""
    kept = update(idempotency_keys).where(request.row(), c.claim == claim, c.status.is_(None))
    kept = kept.values(status=answer.status, headers=answer.headers, body=answer.body)
    if conn.execute(kept).rowcount != 1:
        raise StillRunning


def _release(db: Database, request: KeyedRequest, claim: str) -> None:
    """Let the key be used again at once after a request without effect; if that fails, the claim runs out."""
    try:
        with db.write() as conn:
            conn.execute(delete(idempotency_keys).where(request.row(), c.claim == claim, c.status.is_(None)))
    except (SQLAlchemyError, ServiceUnavailable) as error:
        log.warning("idempotency_claim_left", exc_info=error)


def _purge(conn: Connection, now: datetime) -> None:
    """Forget some of what has expired; each request that brings a key does a little."""
    key = tuple_(c.caller, c.route, c.key)
    expired = select(c.caller, c.route, c.key).where(c.expires_at <= now).limit(PURGED_AT_ONCE)
    conn.execute(delete(idempotency_keys).where(key.in_(expired.with_for_update(skip_locked=True))))
