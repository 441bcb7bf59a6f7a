"""The ids that other systems have for students: OneRoster's sourcedIds, as imports told them.

Our own id is one, too: an export writes it. What an undone import told is forgotten with it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import Connection, delete, exists, select

from student_service.models import history, student_sources
from student_service.row_sets import insert_rows

FORGOTTEN_AT_ONCE = 2_000

s, h = student_sources.c, history.c


def find(conn: Connection, sourced_ids: Collection[str]) -> dict[str, str]:
    """The ids of the students with these sourcedIds, as far as any are known; the latest batch's word counts."""
    if not sourced_ids:
        return {}
    told = select(s.sourced_id, s.student_id).where(s.sourced_id.in_(sourced_ids)).order_by(s.batch_id)
    return {row.sourced_id: row.student_id for row in conn.execute(told)}


def record(conn: Connection, batch_id: str, told: Iterable[tuple[str, str]]) -> None:
    """Note sourcedIds with the ids of their students."""
    rows = [{"sourced_id": source, "batch_id": batch_id, "student_id": student} for source, student in told]
    if rows:
        insert_rows(conn, student_sources, rows)


def forget(conn: Connection, batch_id: str, students: Collection[str]) -> None:
    """Forget what a batch told of students that were taken back."""
    if students:
        conn.execute(delete(student_sources).where(s.batch_id == batch_id, s.student_id.in_(students)))


def forget_unchanged(conn: Connection, batch_id: str) -> bool:
    """Forget some of what a batch told of students that it didn't change otherwise; whether there were any."""
    changed = exists().where(h.student_id == s.student_id, h.batch_id == batch_id)
    told = select(s.sourced_id).where(s.batch_id == batch_id, ~changed).limit(FORGOTTEN_AT_ONCE)
    found = conn.execute(told).scalars().all()
    if found:
        conn.execute(delete(student_sources).where(s.batch_id == batch_id, s.sourced_id.in_(found)))
    return bool(found)
