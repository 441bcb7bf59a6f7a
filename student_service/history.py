"""What ever changed in a student: one entry per version, written with the change and kept for good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, select

from servicekit.ids import uuid7
from servicekit.paging import decode_cursor, encode_cursor, page
from servicekit.problems import FieldError, Unprocessable
from student_service.models import history
from student_service.row_sets import insert_rows
from student_service.rules import Change

MAX_VERSION = 2**31 - 1

c = history.c


@dataclass(frozen=True)
class Actor:
    """Who changes something, in which request and when; ``zone`` is where the school is."""

    user_id: str
    username: str
    request_id: str
    now: datetime
    batch_id: str | None = None
    zone: tzinfo = UTC

    @property
    def today(self) -> date:
        """The day it is at the school."""
        return self.now.astimezone(self.zone).date()


@dataclass(frozen=True)
class Why:
    """What people say about a change beside the change itself."""

    on: date | None = None
    reason: str | None = None


def entry(
    student_id: str, version: int, action: str, changes: Sequence[Change], actor: Actor, why: Why | None = None
) -> dict[str, Any]:
    """The row that says that the student became ``version``; a new status is dated today unless ``why`` has a day."""
    status = next((change.new for change in changes if change.field == "status"), None)
    why = why or Why()
    return {
        "id": uuid7(),
        "student_id": student_id,
        "version": version,
        "action": action,
        "at": actor.now,
        "user_id": actor.user_id,
        "username": actor.username,
        "request_id": actor.request_id,
        "changes": [plain(change) for change in changes],
        "status": status,
        "status_on": (why.on or actor.today) if status else None,
        "reason": why.reason,
        "batch_id": actor.batch_id,
    }


def record(conn: Connection, *entries: dict[str, Any]) -> None:
    """Write down what changed; in the transaction that makes it so."""
    insert_rows(conn, history, entries)


def read(conn: Connection, student_id: str, limit: int, cursor: str | None) -> dict[str, Any]:
    """A page of a student's history, the newest first.

    Raises:
        Unprocessable: The cursor isn't one of this list.
    """
    rows, next_cursor, total = _page(conn, c.student_id == student_id, student_id, limit, cursor)
    return page(
        [_told(row) | {"request_id": row.request_id, "changes": row.changes} for row in rows], next_cursor, total
    )


def timeline(conn: Connection, student_id: str, limit: int, cursor: str | None) -> dict[str, Any]:
    """A page of the statuses a student had, the newest first: since which day, from which one, and why.

    Raises:
        Unprocessable: The cursor isn't one of this list.
    """
    mine = and_(c.student_id == student_id, c.status.is_not(None))
    rows, next_cursor, total = _page(conn, mine, student_id, limit, cursor)
    items = [
        _told(row)
        | {
            "status": row.status,
            "previous_status": next(change["old"] for change in row.changes if change["field"] == "status"),
            "on": row.status_on,
        }
        for row in rows
    ]
    return page(items, next_cursor, total)


def _page(
    conn: Connection, mine: ColumnElement[bool], student_id: str, limit: int, cursor: str | None
) -> tuple[Sequence[Any], str | None, int]:
    older = mine if cursor is None else and_(mine, c.version < _version_in(cursor, student_id))
    rows = conn.execute(select(history).where(older).order_by(c.version.desc()).limit(limit + 1)).all()
    total = conn.execute(select(func.count()).select_from(history).where(mine)).scalar_one()
    shown = rows[:limit]
    has_more = len(rows) > limit
    return shown, encode_cursor({"student": student_id, "before": shown[-1].version}) if has_more else None, total


def _told(row: Any) -> dict[str, Any]:
    """What the history and the timeline say about an entry alike."""
    return {
        "id": row.id,
        "version": row.version,
        "action": row.action,
        "at": row.at,
        "by": {"id": row.user_id, "username": row.username},
        "reason": row.reason,
        "batch_id": row.batch_id,
    }


def _version_in(cursor: str, student_id: str) -> int:
    position = decode_cursor(cursor)
    version = position.get("before")
    if position.get("student") != student_id or type(version) is not int or not 0 <= version <= MAX_VERSION:
        raise Unprocessable(errors=[FieldError("cursor", "is not a cursor of this list; start again without one")])
    return version


def plain(change: Change) -> dict[str, Any]:
    """A change as the answers have it; a time is in UTC."""
    return {"field": change.field, "old": _plain(change.old), "new": _plain(change.new)}


def _plain(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, date | datetime) else value
