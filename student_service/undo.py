"""Taking a batch back: what it changed and nobody has changed since becomes again what it was.

It goes by the history, so nothing else has to be kept for it. A student that the batch added is deleted softly.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy import Connection, and_, exists, func, select

from servicekit.paging import decode_cursor, encode_cursor, page
from servicekit.problems import Conflict
from student_service import batches, many, rules
from student_service.batches import KEPT_TOLD, ROWS_LIFETIME, Batch
from student_service.history import Actor
from student_service.many import Edit
from student_service.models import history
from student_service.naming import with_students
from student_service.repository import Student
from student_service.runner import Work

UNDONE_AT_ONCE = 500
DATES = ("date_of_birth", "enrolled_on")
# What an undo in this state ends in.
ENDS = {"undoing": "undone", "reverting": "rejected"}

h = history.c


def begin(conn: Connection, batch: Batch, actor: Actor, work: Work) -> None:
    """Begin to take a finished batch back.

    Raises:
        Conflict: There is nothing to take back, or somebody is at it.
    """
    if not batches.can_undo(batch):
        raise Conflict(f"This can't be undone: it is {batch.state}.")
    by = {"id": actor.user_id, "username": actor.username, "request_id": actor.request_id}
    told = {"state": "undoing", "undone_at": actor.now, "undone_by": by, "undo_position": None}
    if not batches.take(conn, batch.id, work.runner, work.now(), was=batch.runner, **told):
        raise Conflict("This is being undone already.")


def kept(conn: Connection, batch: Batch, limit: int, cursor: str | None) -> dict[str, Any]:
    """A page of the students that an undo left as they are: what the batch made of them was never taken back.

    Raises:
        Unprocessable: The cursor isn't one of this list.
    """
    taken_back = history.alias("taken_back")
    its = and_(taken_back.c.batch_id == batch.id, taken_back.c.action == "undone")
    same = taken_back.c.student_id == h.student_id
    # Nothing is kept before an undo has come by.
    seen = and_(h.batch_id == batch.id, h.action != "undone", h.id <= (batch.undo_position or ""))
    found = select(h.id, h.student_id).where(seen, ~exists().where(its, same))
    total = conn.execute(select(func.count()).select_from(found.subquery())).scalar_one()
    if cursor is not None:
        held = decode_cursor(cursor)
        after = held.get("after")
        is_entry = isinstance(after, str) and len(after) == 36 and after.isascii() and after.isprintable()
        if held.get("kept") != batch.id or not is_entry:
            raise batches.bad_cursor()
        found = found.where(h.id > after)
    rows = conn.execute(found.order_by(h.id).limit(limit + 1)).all()
    place = encode_cursor({"kept": batch.id, "after": rows[limit - 1].id}) if len(rows) > limit else None
    return page(with_students(conn, [{"student_id": row.student_id} for row in rows[:limit]]), place, total)


def run(work: Work, batch: Batch) -> None:
    """Take the whole batch back, from where it was left."""
    work.in_steps(batch.id, lambda conn, now: _step(work, conn, now))


def _step(work: Work, conn: Connection, batch: Batch) -> bool:
    query = select(h.id, h.student_id, h.version, h.action, h.changes)
    query = query.where(h.batch_id == batch.id, h.action != "undone", h.id > (batch.undo_position or ""))
    entries = conn.execute(query.order_by(h.id).limit(UNDONE_AT_ONCE)).all()
    if not entries:
        finished = {"state": ENDS[batch.state], "rows_expire_at": work.now() + ROWS_LIFETIME}
        if batch.state == "reverting":
            finished["finished_at"] = work.now()
        batches.hold(conn, batch.id, work.runner, work.now(), **finished)
        return False
    known = many.look_up(conn, ids=[entry.student_id for entry in entries], lock=True)
    edits = []
    kept = list(batch.kept or [])
    for entry in entries:
        student = known.by_id[entry.student_id]
        if student["version"] == entry.version:
            edits.append(_backwards(student, entry.action, entry.changes))
        else:
            kept.append(student["id"])
    taken = many.taken(conn, edits)
    kept += taken
    edits = [edit for edit in edits if edit.before["id"] not in taken]
    many.update_all(conn, edits, _actor(work, batch))
    batches.hold(
        conn, batch.id, work.runner, work.now(), undo_position=entries[-1].id, kept=kept[:KEPT_TOLD],
        rows_undone=batch.rows_undone + len(edits), rows_kept=batch.rows_kept + len(entries) - len(edits),
    )  # fmt: skip
    return True


def _actor(work: Work, batch: Batch) -> Actor:
    by = batch.undone_by or {"id": batch.user_id, "username": batch.username, "request_id": batch.request_id}
    return Actor(by["id"], by["username"], by["request_id"], work.now(), batch.id, work.zone)


def _backwards(student: Student, action: str, changes: list[Mapping[str, Any]]) -> Edit:
    after = {name: student[name] for name in rules.FIELDS}
    was_deleted = student["deleted_at"] is not None
    if action == "created":
        return Edit(student, after, "undone", deleted=True)
    for change in changes:
        if change["field"] == "deleted_at":
            was_deleted = change["old"] is not None
        else:
            after[change["field"]] = _typed(change["field"], change["old"])
    return Edit(student, after, "undone", deleted=was_deleted)


def _typed(name: str, value: Any) -> Any:
    return date.fromisoformat(value) if name in DATES and value is not None else value
