"""Second half of an import: what the staged rows say becomes so, some hundred at a time.

Each row is decided anew against the students as they are then. Where a row fails that didn't when the file was read and
all or nothing is to be imported, what was applied so far is taken back.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from student_service import batches, many
from student_service.batches import ROWS_LIFETIME, Batch
from student_service.importing.deciding import Decision, Terms, decide, look_up, taken, typed
from student_service.importing.staging import too_many_errors
from student_service.many import Edit
from student_service.models import ROW, batch_rows
from student_service.row_sets import update_rows
from student_service.rules import Wrong
from student_service.runner import Work

APPLIED_AT_ONCE = 500
DONE = {"create": "created", "update": "updated", "restore": "restored", "delete": "deleted"}

r = batch_rows.c


def run(work: Work, batch: Batch) -> None:
    """Apply the rows, from where it was left."""
    work.in_steps(batch.id, lambda conn, now: _step(work, conn, now))


def _step(work: Work, conn: Connection, batch: Batch) -> bool:
    query = select(r.position, r.given, r.outcome).where(r.batch_id == batch.id, r.position > batch.rows_applied)
    rows = conn.execute(query.order_by(r.position).limit(APPLIED_AT_ONCE)).all()
    if not rows:
        done = {"state": "done", "finished_at": work.now(), "rows_expire_at": work.now() + ROWS_LIFETIME}
        batches.hold(conn, batch.id, work.runner, work.now(), **done)
        return False
    todo = [row for row in rows if row.outcome not in ("error", "skipped")]
    given = [typed(row.given) for row in todo]
    terms = Terms(batch.settings["mode"], tuple(column["field"] for column in batch.columns or []))
    known, undone = look_up(conn, given, lock=True)
    decisions = [decide(terms, one, known, undone) for one in given]
    _refuse_taken(conn, decisions)
    failed = [
        (row.position, decision) for row, decision in zip(todo, decisions, strict=True) if decision.outcome == "error"
    ]
    if failed:
        _tell_errors(conn, batch.id, failed)
    if failed and batch.settings["all_or_nothing"]:
        counts = batches.add_counts(batch.counts, ["error"] * len(failed))
        message = too_many_errors(len(failed)) + " Somebody changed the records meanwhile."
        told = {"state": "reverting", "counts": counts, "message": message}
        batches.hold(conn, batch.id, work.runner, work.now(), **told)
        return False
    actor = batch.actor(work.zone)
    created = many.insert_all(conn, [d.after for d in decisions if d.outcome == "create" and d.after], actor)
    many.update_all(conn, [edit for d in decisions if (edit := _edit(d)) is not None], actor)
    _tell_done(conn, batch.id, [row.position for row in todo], decisions, created)
    counts = batches.add_counts(batch.counts, (DONE.get(d.outcome, d.outcome) for d in decisions))
    batches.hold(conn, batch.id, work.runner, work.now(), rows_applied=rows[-1].position, counts=counts)
    return True


def _refuse_taken(conn: Connection, decisions: list[Decision]) -> None:
    """Make errors of updates to a number or an address that somebody else has."""
    edits = {edit.before["id"]: decision for decision in decisions if (edit := _edit(decision)) is not None}
    clashes = many.taken(conn, [edit for decision in edits.values() if (edit := _edit(decision)) is not None])
    for student_id, field in clashes.items():
        decision = edits[student_id]
        decision.outcome = "error"
        decision.errors = [Wrong(field, taken(field))]


def _edit(decision: Decision) -> Edit | None:
    if decision.before is None or decision.after is None or decision.outcome not in ("update", "restore", "delete"):
        return None
    return Edit(decision.before, decision.after, DONE[decision.outcome], deleted=decision.outcome == "delete")


def _tell_errors(conn: Connection, batch_id: str, failed: list[tuple[int, Decision]]) -> None:
    error = {"batch_id": batch_id, "outcome": "error", "given": None, "changes": None}
    told = [error | {"position": at, "errors": [wrong._asdict() for wrong in d.errors]} for at, d in failed]
    update_rows(conn, batch_rows, told, found_by=ROW)


def _tell_done(
    conn: Connection, batch_id: str, positions: list[int], decisions: list[Decision], created: list[str]
) -> None:
    """Say what became of each row, and forget what it held: that is in the students now."""
    ids = iter(created)
    row = {"batch_id": batch_id, "raw": None, "given": None, "changes": None}
    told: list[dict[str, Any]] = []
    for position, decision in zip(positions, decisions, strict=True):
        if decision.outcome == "error":
            continue
        student_id = next(ids) if decision.outcome == "create" else decision.before and decision.before["id"]
        outcome = DONE.get(decision.outcome, decision.outcome)
        told.append(row | {"position": position, "outcome": outcome, "student_id": student_id})
    update_rows(conn, batch_rows, told, found_by=ROW)
