"""Taking a batch back: what it changed and nobody has changed since becomes again what it was.

It goes by the history, so nothing else has to be kept for it. A student that the batch added is deleted softly.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, and_, exists, func, select

from servicekit.paging import decode_cursor, encode_cursor, page
from servicekit.problems import Conflict
from student_service import batches, many, rules, sources
from student_service.batches import KEPT_TOLD, ROWS_LIFETIME, Batch
from student_service.history import Actor
from student_service.many import Edit
from student_service.models import history
from student_service.naming import with_students
from student_service.repository import Student
from student_service.runner import Work

UNDONE_AT_ONCE = 500
MOST_TOGETHER = 4_000  # an import applies fewer in one transaction
# What a student has who is deleted again, where somebody else gets back what it had.
NOBODYS: dict[str, Callable[[str], str]] = {
    "email": lambda student_id: f"undone-{student_id}@undone.invalid",
    "student_number": lambda student_id: student_id.replace("-", ""),
}
DATES = ("date_of_birth", "enrolled_on")
# What an undo in this state ends in.
ENDS = {"undoing": "undone", "reverting": "rejected"}

h = history.c
ENTRIES = select(h.id, h.student_id, h.version, h.action, h.changes)


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
    query = ENTRIES.where(h.batch_id == batch.id, h.action != "undone", h.id > (batch.undo_position or ""))
    entries = list(conn.execute(query.order_by(h.id).limit(UNDONE_AT_ONCE)).all())
    if not entries:
        if sources.forget_unchanged(conn, batch.id):
            return True
        finished = {"state": ENDS[batch.state], "rows_expire_at": work.now() + ROWS_LIFETIME}
        if batch.state == "reverting":
            finished["finished_at"] = work.now()
        batches.hold(conn, batch.id, work.runner, work.now(), **finished)
        return False
    edits, left = _taken_back(conn, batch.id, entries)
    many.update_all(conn, edits, _actor(work, batch))
    sources.forget(conn, batch.id, [edit.before["id"] for edit in edits])
    kept = [*(batch.kept or []), *left]
    batches.hold(
        conn, batch.id, work.runner, work.now(), undo_position=entries[-1].id, kept=kept[:KEPT_TOLD],
        rows_undone=batch.rows_undone + len(edits), rows_kept=batch.rows_kept + len(left),
    )  # fmt: skip
    return True


def _taken_back(conn: Connection, batch_id: str, entries: list[Row[*tuple[Any, ...]]]) -> tuple[list[Edit], list[str]]:
    """What takes some entries back, and the students that are left as they are.

    Where somebody is to get back what another one got by the same batch, ``entries`` grows by all until that one's:
    those were made together, so it isn't far.
    """
    edits: dict[str, Edit] = {}
    left: list[str] = []
    more = list(entries)
    while more:
        known = many.look_up(conn, ids=[entry.student_id for entry in more], lock=True)
        for entry in more:
            student = known.by_id[entry.student_id]
            if student["version"] == entry.version:
                edits[student["id"]] = _backwards(student, entry.action, entry.changes)
            else:
                left.append(student["id"])
        held = many.holders(conn, list(edits.values()))
        others = {one for by_key in held.values() for one in by_key.values()} - edits.keys() - set(left)
        more = _until(conn, batch_id, entries[-1].id, others)[: MOST_TOGETHER - len(entries)]
        entries += more
    _let_go(edits, held)
    clashes = many.clashes(held, list(edits.values()))
    left += [student_id for student_id in edits if student_id in clashes]
    return [edit for student_id, edit in edits.items() if student_id not in clashes], left


def _until(conn: Connection, batch_id: str, after: str, students: Collection[str]) -> list[Row[*tuple[Any, ...]]]:
    """The entries after one until the last that is about one of some students."""
    if not students:
        return []
    its = (h.batch_id == batch_id, h.action != "undone", h.id > after)
    last = conn.execute(select(func.max(h.id)).where(*its, h.student_id.in_(students))).scalar()
    return [] if last is None else list(conn.execute(ENTRIES.where(*its, h.id <= last).order_by(h.id)).all())


def _let_go(edits: Mapping[str, Edit], held: many.Holders) -> None:
    """Have students that the batch added, and that are deleted again, give up what others are to get back."""
    for edit in edits.values():
        for name, key in many.unique_keys(edit.after).items():
            holder = edits.get(held[name].get(key or "", ""))
            if holder is not None and holder.is_removed and holder is not edit:
                holder.after[name] = NOBODYS[name](holder.before["id"])


def _actor(work: Work, batch: Batch) -> Actor:
    by = batch.undone_by or {"id": batch.user_id, "username": batch.username, "request_id": batch.request_id}
    return Actor(by["id"], by["username"], by["request_id"], work.now(), batch.id, work.zone)


def _backwards(student: Student, action: str, changes: list[Mapping[str, Any]]) -> Edit:
    after = {name: student[name] for name in rules.FIELDS}
    was_deleted = student["deleted_at"] is not None
    if action == "created":
        return Edit(student, after, "undone", deleted=True, is_removed=True)
    for change in changes:
        if change["field"] == "deleted_at":
            was_deleted = change["old"] is not None
        else:
            after[change["field"]] = _typed(change["field"], change["old"])
    return Edit(student, after, "undone", deleted=was_deleted)


def _typed(name: str, value: Any) -> Any:
    return date.fromisoformat(value) if name in DATES and value is not None else value
