"""Second half of an import: what the staged rows say becomes so, some hundred at a time.

Each row is decided anew against the students as they are then. Where a row fails that didn't when the file was read and
all or nothing is to be imported, what was applied so far is taken back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from student_service import batches, many, sources
from student_service.batches import ROWS_LIFETIME, Batch
from student_service.claims import Who
from student_service.importing.columns import SOURCE
from student_service.importing.deciding import Decision, Terms, decide, look_up, taken, typed
from student_service.importing.staging import too_many_errors
from student_service.many import Edit, Known
from student_service.models import ROW, batch_rows
from student_service.row_sets import update_rows
from student_service.rules import Wrong
from student_service.runner import Work

APPLIED_AT_ONCE = 500
DONE = {"create": "created", "update": "updated", "restore": "restored", "delete": "deleted"}

r = batch_rows.c
COLUMNS = select(r.position, r.given)


def run(work: Work, batch: Batch) -> None:
    """Apply the rows, from where it was left."""
    work.in_steps(batch.id, lambda conn, now: _step(work, conn, now))


def _step(work: Work, conn: Connection, batch: Batch) -> bool:
    rows = _together(conn, batch.id)
    reached = batch.rows_applied
    if not rows:
        next_ones = COLUMNS.where(r.batch_id == batch.id, r.position > batch.rows_applied)
        rows = conn.execute(next_ones.order_by(r.position).limit(APPLIED_AT_ONCE)).all()
        reached = rows[-1].position if rows else reached
    if not rows:
        done = {"state": "done", "finished_at": work.now(), "rows_expire_at": work.now() + ROWS_LIFETIME}
        batches.hold(conn, batch.id, work.runner, work.now(), **done)
        return False
    todo = [row for row in rows if row.given is not None]  # no error, not skipped, not applied already
    given = [typed(row.given) for row in todo]
    terms = Terms(batch.settings["mode"], tuple(column["field"] for column in batch.columns or []))
    known, undone = look_up(conn, given, lock=True)
    decisions = [decide(terms, one, known, undone) for one in given]
    _refuse_taken(known, decisions)
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
    # First those who have what others are to have.
    many.update_all(conn, [edit for d in decisions if (edit := _edit(d)) is not None], actor)
    created = many.insert_all(conn, [d.after for d in decisions if d.outcome == "create" and d.after], actor)
    _tell_done(conn, batch.id, [row.position for row in todo], decisions, created)
    sources.record(conn, batch.id, _new_sources(given, decisions, known, created))
    counts = batches.add_counts(batch.counts, (DONE.get(d.outcome, d.outcome) for d in decisions))
    batches.hold(conn, batch.id, work.runner, work.now(), rows_applied=reached, counts=counts)
    return True


def _together(conn: Connection, batch_id: str) -> Sequence[Row[*tuple[Any, ...]]]:
    """Some of the rows that pass numbers or addresses on to each other, whole groups of them."""
    waiting = (r.batch_id == batch_id, r.together.is_not(None))
    groups = select(r.together).where(*waiting).order_by(r.together).limit(APPLIED_AT_ONCE)
    some = set(conn.execute(groups).scalars())
    return conn.execute(COLUMNS.where(*waiting, r.together.in_(some)).order_by(r.position)).all() if some else []


def _refuse_taken(known: Known, decisions: list[Decision]) -> None:
    """Make errors of rows that are to have what somebody else keeps, or are about a student of a row before them."""
    edits: dict[Who, Decision] = {}
    for decision in decisions:
        if (edit := _edit(decision)) is None:
            continue
        if edit.before["id"] in edits:
            decision.outcome, decision.errors = "error", [Wrong("row", "is about the same student as another row")]
        else:
            edits[edit.before["id"]] = decision
    added: dict[Who, Decision] = dict(enumerate(d for d in decisions if d.outcome == "create"))
    fields = [decision.after for decision in added.values() if decision.after is not None]
    clashes = many.clashes(known.holders(), [e for d in edits.values() if (e := _edit(d)) is not None], fields)
    for who, names in clashes.items():
        decision = edits[who] if who in edits else added[who]
        told = {claim.field: claim for claim in decision.claims}
        decision.outcome = "error"
        decision.errors = [told.get(name, Wrong(name, taken(name))) for name in names]


def _new_sources(
    given: Sequence[Mapping[str, Any]], decisions: Sequence[Decision], known: Known, created: Sequence[str]
) -> list[tuple[str, str]]:
    """The sender's ids that weren't known, with those of the students."""
    ids = iter(created)
    found = []
    for one, decision in zip(given, decisions, strict=True):
        student_id = next(ids) if decision.outcome == "create" else decision.before and decision.before["id"]
        source = one.get(SOURCE)
        if source and source not in known.by_source and student_id and decision.outcome != "error":
            found.append((source, student_id))
    return found


def _edit(decision: Decision) -> Edit | None:
    if decision.before is None or decision.after is None or decision.outcome not in ("update", "restore", "delete"):
        return None
    return Edit(decision.before, decision.after, DONE[decision.outcome], deleted=decision.outcome == "delete")


def _tell_errors(conn: Connection, batch_id: str, failed: list[tuple[int, Decision]]) -> None:
    error = {"batch_id": batch_id, "outcome": "error", "given": None, "changes": None, "together": None}
    told = [error | {"position": at, "errors": [wrong._asdict() for wrong in d.errors]} for at, d in failed]
    update_rows(conn, batch_rows, told, found_by=ROW)


def _tell_done(
    conn: Connection, batch_id: str, positions: list[int], decisions: list[Decision], created: list[str]
) -> None:
    """Say what became of each row, and forget what it held: that is in the students now."""
    ids = iter(created)
    row = {"batch_id": batch_id, "raw": None, "given": None, "changes": None, "together": None}
    told: list[dict[str, Any]] = []
    for position, decision in zip(positions, decisions, strict=True):
        if decision.outcome == "error":
            continue
        student_id = next(ids) if decision.outcome == "create" else decision.before and decision.before["id"]
        outcome = DONE.get(decision.outcome, decision.outcome)
        told.append(row | {"position": position, "outcome": outcome, "student_id": student_id})
    update_rows(conn, batch_rows, told, found_by=ROW)
