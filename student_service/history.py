"""What ever changed in a student: one entry per version, written with the change and kept for good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select

from servicekit.ids import uuid7
from servicekit.paging import decode_cursor, encode_cursor, page
from servicekit.problems import FieldError, Unprocessable
from student_service.models import history
from student_service.rules import Change

MAX_VERSION = 2**31 - 1


@dataclass(frozen=True)
class Actor:
    """Who changes something, in which request and when."""

    user_id: str
    username: str
    request_id: str
    now: datetime


def record(
    conn: Connection, student_id: str, version: int, action: str, changes: Sequence[Change], actor: Actor
) -> None:
    """Write down that the student became ``version``; in the transaction that makes it so."""
    entries = [{"field": c.field, "old": _plain(c.old), "new": _plain(c.new)} for c in changes]
    conn.execute(
        insert(history),
        {
            "id": uuid7(),
            "student_id": student_id,
            "version": version,
            "action": action,
            "at": actor.now,
            "user_id": actor.user_id,
            "username": actor.username,
            "request_id": actor.request_id,
            "changes": entries,
        },
    )


def read(conn: Connection, student_id: str, limit: int, cursor: str | None) -> dict[str, Any]:
    """A page of a student's history, the newest first.

    Raises:
        Unprocessable: The cursor isn't one of this list.
    """
    c = history.c
    query = select(c.id, c.version, c.action, c.at, c.user_id, c.username, c.request_id, c.changes)
    query = query.where(c.student_id == student_id)
    older = query if cursor is None else query.where(c.version < _version_in(cursor, student_id))
    rows = conn.execute(older.order_by(c.version.desc()).limit(limit + 1)).all()
    total = conn.execute(select(func.count()).where(c.student_id == student_id)).scalar_one()
    shown = rows[:limit]
    has_more = len(rows) > limit
    next_cursor = encode_cursor({"student": student_id, "before": shown[-1].version}) if has_more else None
    items = [
        {
            "id": row.id,
            "version": row.version,
            "action": row.action,
            "at": row.at,
            "by": {"id": row.user_id, "username": row.username},
            "request_id": row.request_id,
            "changes": row.changes,
        }
        for row in shown
    ]
    return page(items, next_cursor, total)


def _version_in(cursor: str, student_id: str) -> int:
    position = decode_cursor(cursor)
    version = position.get("before")
    if position.get("student") != student_id or type(version) is not int or not 0 <= version <= MAX_VERSION:
        raise Unprocessable(errors=[FieldError("cursor", "is not a cursor of this list; start again without one")])
    return version


def _plain(value: Any) -> Any:
    # As the answers have it; a time is in UTC.
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, date | datetime) else value
