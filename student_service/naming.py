"""Whom a row is about, in a few words: for answers that are about many students and hold no more of them than an id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, select

from student_service.models import students

c = students.c
NAMES = ("student_number", "first_name", "last_name", "preferred_name", "deleted_at")
NAMED = select(c.id, *(c[name] for name in NAMES))


def with_students(conn: Connection, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The items, each with the ``student`` that its ``student_id`` is of as that student is now, deleted ones too; None
    where there is none or no longer.
    """
    known = _named(conn, {item["student_id"] for item in items if item["student_id"] is not None})
    return [item | {"student": known.get(item["student_id"])} for item in items]


def _named(conn: Connection, ids: Iterable[str]) -> Mapping[str, dict[str, Any]]:
    wanted = sorted(ids)
    if not wanted:
        return {}
    found = conn.execute(NAMED.where(c.id.in_(wanted)))
    return {row[0]: dict(zip(NAMES, row[1:], strict=True)) for row in found}
