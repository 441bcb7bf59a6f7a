"""Many students written at once: a few statements for hundreds of them, each with its history.

What ``repository`` does for one student. Each function works in the transaction of the connection it is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, or_, select

from servicekit.ids import uuid7
from student_service import history, rules
from student_service.folding import keys_of, unique_key
from student_service.history import Actor, Why
from student_service.models import students
from student_service.repository import PUBLIC, PUBLIC_NAMES, Student, next_numbers
from student_service.row_sets import insert_rows, update_rows

c = students.c


@dataclass(frozen=True)
class Edit:
    """One student as it is to become."""

    before: Student
    after: rules.Fields
    action: str
    deleted: bool = False
    why: Why | None = None


@dataclass
class Known:
    """Students that were looked up, by id and by their unique keys."""

    by_id: dict[str, Student] = field(default_factory=dict)
    by_number: dict[str, Student] = field(default_factory=dict)
    by_email: dict[str, Student] = field(default_factory=dict)

    def holder(self, name: str, key: str | None) -> Student | None:
        """Who has this student number or e-mail."""
        return (self.by_number if name == "student_number" else self.by_email).get(key or "")


def look_up(
    conn: Connection,
    *,
    ids: Iterable[str] = (),
    numbers: Iterable[str] = (),
    emails: Iterable[str] = (),
    lock: bool = False,
) -> Known:
    """Students, deleted ones too, by any of these ids and keys; locked in one order, so that none block each other."""
    asked = [
        column.in_(wanted)
        for column, wanted in ((c.id, set(ids)), (c.student_number_key, set(numbers)), (c.email_key, set(emails)))
        if wanted
    ]
    known = Known()
    # One query for each kind of key: an OR of long lists would have some databases read the whole table.
    for condition in asked:
        query = select(*PUBLIC, c.student_number_key, c.email_key).where(condition).order_by(c.id)
        for row in conn.execute(query.with_for_update() if lock else query):
            student = dict(zip(PUBLIC_NAMES, row, strict=False))
            known.by_id[student["id"]] = student
            known.by_number[row.student_number_key] = student
            known.by_email[row.email_key] = student
    return known


def taken(conn: Connection, edits: Sequence[Edit]) -> dict[str, str]:
    """Whose new number or e-mail is somebody else's: student id → field."""
    emails, numbers = {}, {}
    for edit in edits:
        keys = keys_of(edit.after)
        if edit.after["email"] != edit.before["email"]:
            emails[keys["email_key"] or ""] = edit.before["id"]
        if edit.after["student_number"] != edit.before["student_number"]:
            numbers[keys["student_number_key"] or ""] = edit.before["id"]
    if not emails and not numbers:
        return {}
    query = select(c.id, c.email_key, c.student_number_key)
    query = query.where(or_(c.email_key.in_(emails), c.student_number_key.in_(numbers)))
    found = {}
    for row in conn.execute(query):
        for name, wanted, key in (
            ("email", emails, row.email_key),
            ("student_number", numbers, row.student_number_key),
        ):
            if key in wanted and wanted[key] != row.id:
                found[wanted[key]] = name
    return found


def insert_all(conn: Connection, fields: Sequence[rules.Fields], actor: Actor) -> list[str]:
    """Add students whose keys are free, with numbers made for those without one; their ids."""
    if not fields:
        return []
    missing = sum(one["student_number"] is None for one in fields)
    chosen = {unique_key(one["student_number"]) for one in fields if one["student_number"]}
    made = iter(next_numbers(conn, actor.now.year, missing, but=chosen))
    system = {
        "version": 1, "created_at": actor.now, "created_by": actor.username,
        "updated_at": actor.now, "updated_by": actor.username, "deleted_at": None,
    }  # fmt: skip
    rows, told = [], []
    for one in fields:
        student = {**one, "id": uuid7(), "student_number": one["student_number"] or next(made), **system}
        rows.append({**student, **keys_of(student)})
        changes = rules.difference(rules.NOTHING, student)
        told.append(history.entry(student["id"], 1, "created", changes, actor))
    insert_rows(conn, students, rows)
    history.record(conn, *told)
    return [str(row["id"]) for row in rows]


def update_all(conn: Connection, edits: Sequence[Edit], actor: Actor) -> None:
    """Make students what the edits say; each gets a new version and its history entry."""
    if not edits:
        return
    rows: list[dict[str, Any]] = []
    told = []
    for edit in edits:
        before, version = edit.before, edit.before["version"] + 1
        deleted_at = (before["deleted_at"] or actor.now) if edit.deleted else None
        row = {name: edit.after[name] for name in rules.FIELDS} | keys_of(edit.after)
        row |= {"id": before["id"], "version": version, "deleted_at": deleted_at}
        rows.append(row | {"updated_at": actor.now, "updated_by": actor.username})
        changes = rules.difference(before, edit.after)
        if deleted_at != before["deleted_at"]:
            changes.append(rules.Change("deleted_at", before["deleted_at"], deleted_at))
        told.append(history.entry(before["id"], version, edit.action, changes, actor, edit.why))
    update_rows(conn, students, rows, found_by=("id",))
    history.record(conn, *told)
