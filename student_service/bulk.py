"""One change of many students: status, program or year set, or deleted, or restored, each row with its own answer.

``BulkChange`` says what is asked; the rows are noted as they are at that moment, then changed some hundred at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, func, insert, literal, select

from servicekit.problems import Conflict, FieldError, Unprocessable
from student_service import batches, many, rules, search
from student_service.batches import ROWS_LIFETIME, Batch
from student_service.errors import told_by_field
from student_service.filters import Filters, make_filters
from student_service.history import Actor, Why
from student_service.many import Edit
from student_service.models import ROW, batch_rows, students
from student_service.repository import Student
from student_service.row_sets import insert_rows, update_rows
from student_service.rules import InvalidStudent, Wrong
from student_service.runner import Work

ACTIONS = ("update", "delete", "restore")
SETTABLE = ("status", "program", "year")
MAX_IDS = 10_000
CHANGED_AT_ONCE = 500
OUTCOMES = {"update": "updated", "delete": "deleted", "restore": "restored"}
MEMBERS = ("action", "set", "on", "reason", "ids", "filter", "expected")
FILTER_MEMBERS = ("q", "status", "program", "year", "deleted")

c, r = students.c, batch_rows.c


@dataclass(frozen=True)
class BulkChange:
    """What is asked: of whom, and what becomes of them."""

    action: str
    values: Mapping[str, Any]  # cleaned
    on: date | None
    reason: str | None
    ids: tuple[str, ...] | None
    filters: Filters | None
    expected: int | None

    def settings(self) -> dict[str, Any]:
        """As JSON, to be kept with the batch; a filter's text is left out, it may be somebody's name."""
        return {
            "action": self.action,
            "set": dict(self.values),
            "on": self.on.isoformat() if self.on else None,
            "reason": self.reason,
            "by": "ids" if self.ids is not None else "filter",
        }


def read_bulk(body: Mapping[str, Any], today: date) -> BulkChange:
    """What a body asks.

    Raises:
        Unprocessable: Something is missing, wrong or not known.
    """
    errors = [FieldError(name[:64], "is not a known field") for name in body if name not in MEMBERS][:20]
    action, given = body.get("action"), body.get("set")
    if action not in ACTIONS:
        errors.append(FieldError("action", f"must be one of {', '.join(ACTIONS)}"))
    if action == "update" and not (isinstance(given, dict) and given):
        errors.append(FieldError("set", f"must name at least one of {', '.join(SETTABLE)}"))
    elif action != "update" and given is not None:
        errors.append(FieldError("set", "goes with the action update only"))
    if (body.get("ids") is None) == (body.get("filter") is None):
        errors.append(FieldError("ids", "give either ids or a filter"))
    expected = body.get("expected")
    if expected is not None and (type(expected) is not int or not 0 <= expected < 2**31):
        errors.append(FieldError("expected", "must be a whole number"))
    if errors:
        raise Unprocessable(errors=errors)
    values, on, reason = _values(given or {}, body, today)
    ids = None if body.get("ids") is None else _ids(body["ids"])
    filters = None if body.get("filter") is None else _filters(body["filter"])
    return BulkChange(str(action), values, on, reason, ids, filters, expected)


def _values(
    given: Mapping[str, Any], body: Mapping[str, Any], today: date
) -> tuple[dict[str, Any], date | None, str | None]:
    unknown = [Wrong(f"set.{name[:64]}", "can't be set for many at once") for name in given if name not in SETTABLE]
    on: date | None = None
    reason: str | None = None
    dated = {name: body[name] for name in ("on", "reason") if body.get(name) is not None}
    with told_by_field():
        if unknown:
            raise InvalidStudent(unknown[:20])
        if "status" in given:
            event = rules.clean_event({"status": given["status"], **dated}, today)
            on, reason = event.on, event.reason
        elif dated:
            raise InvalidStudent([Wrong(name, "goes with a status only") for name in dated])
        cleaned = rules.clean_given(given, today)
    return cleaned, on, reason


def _ids(given: Any) -> tuple[str, ...]:
    if not isinstance(given, list) or not given:
        raise Unprocessable(errors=[FieldError("ids", "must be a list of at least one id")])
    if len(given) > MAX_IDS:
        raise Unprocessable(errors=[FieldError("ids", f"must have at most {MAX_IDS} entries; use a filter for more")])
    wrong = [i for i, one in enumerate(given) if not isinstance(one, str) or len(one) != 36]
    if wrong:
        raise Unprocessable(errors=[FieldError(f"ids.{i}", "is not an id") for i in wrong[:20]])
    return tuple(dict.fromkeys(one.lower() for one in given))


def _filters(given: Any) -> Filters:
    if not isinstance(given, dict):
        raise Unprocessable(errors=[FieldError("filter", "must be an object")])
    errors = [FieldError(f"filter.{n[:64]}", "is not a known filter") for n in given if n not in FILTER_MEMBERS][:20]
    for name, kind in (("q", str), ("status", str), ("program", str), ("year", int), ("deleted", bool)):
        if given.get(name) is not None and type(given[name]) is not kind:
            errors.append(FieldError(f"filter.{name}", "has the wrong type"))
    if not errors and given.get("status") not in (None, *rules.STATUSES):
        errors.append(FieldError("filter.status", f"must be one of {', '.join(rules.STATUSES)}"))
    year = given.get("year")
    if not errors and year is not None and not rules.MIN_YEAR <= year <= rules.MAX_YEAR:
        errors.append(FieldError("filter.year", f"must be between {rules.MIN_YEAR} and {rules.MAX_YEAR}"))
    if errors:
        raise Unprocessable(errors=errors)
    return make_filters(
        given.get("q"), given.get("status"), given.get("program"), year, deleted=given.get("deleted") or False
    )


def begin(conn: Connection, change: BulkChange, actor: Actor, work: Work) -> str:
    """Note whom the change is about, as they are in this transaction; the new batch's id.

    Raises:
        Conflict: It isn't as many as the caller expected.
    """
    batch_id = batches.create(conn, "bulk", "applying", change.settings(), actor, work.runner, work.now())
    if change.ids is not None:
        rows = [
            {"batch_id": batch_id, "position": position, "student_id": one, "outcome": "waiting"}
            for position, one in enumerate(change.ids, 1)
        ]
        insert_rows(conn, batch_rows, rows)
        count = len(rows)
    else:
        assert change.filters is not None  # noqa: S101 - read_bulk sees to it that one of the two is there
        position = func.row_number().over(order_by=c.id)
        conditions = search.conditions(change.filters, search.plan(conn, change.filters).found_by)
        chosen = select(literal(batch_id), position, c.id, literal("waiting")).where(*conditions)
        conn.execute(insert(batch_rows).from_select(["batch_id", "position", "student_id", "outcome"], chosen))
        count = conn.execute(select(func.count()).where(r.batch_id == batch_id)).scalar_one()
    if change.expected is not None and change.expected != count:
        whom = "1 student" if count == 1 else f"{count:,} students"
        raise Conflict(f"The change would be of {whom}, not of {change.expected:,}.", matching=count)
    batches.hold(conn, batch_id, work.runner, work.now(), rows_total=count, rows_read=count)
    return batch_id


def run(work: Work, batch: Batch) -> None:
    """Make the change, from where it was left."""
    work.in_steps(batch.id, lambda conn, now: _step(work, conn, now))


def _step(work: Work, conn: Connection, batch: Batch) -> bool:
    query = select(r.position, r.student_id).where(r.batch_id == batch.id, r.position > batch.rows_applied)
    rows = conn.execute(query.order_by(r.position).limit(CHANGED_AT_ONCE)).all()
    if not rows:
        done = {"state": "done", "finished_at": work.now(), "rows_expire_at": work.now() + ROWS_LIFETIME}
        batches.hold(conn, batch.id, work.runner, work.now(), **done)
        return False
    known = many.look_up(conn, ids=[row.student_id for row in rows], lock=True)
    edits, told = [], []
    for row in rows:
        outcome, error, edit = _decide(batch.settings, known.by_id.get(row.student_id))
        if edit is not None:
            edits.append(edit)
        errors = None if error is None else [error._asdict()]
        told.append({"batch_id": batch.id, "position": row.position, "outcome": outcome, "errors": errors})
    many.update_all(conn, edits, batch.actor(work.zone))
    update_rows(conn, batch_rows, told, found_by=ROW)
    counts = batches.add_counts(batch.counts, (one["outcome"] for one in told))
    batches.hold(conn, batch.id, work.runner, work.now(), rows_applied=rows[-1].position, counts=counts)
    return True


def _decide(settings: Mapping[str, Any], student: Student | None) -> tuple[str, Wrong | None, Edit | None]:
    """What becomes of one student: the outcome, what is in the way, and the edit if there is one."""
    action = settings["action"]
    if student is None:
        return "error", Wrong("id", "there is no such student"), None
    is_deleted = student["deleted_at"] is not None
    after = {name: student[name] for name in rules.FIELDS}
    why = None
    if action == "update":
        if is_deleted:
            return "error", Wrong("id", "is deleted; restore it first"), None
        if settings["set"].get("status") not in (None, student["status"]):
            event = rules.Event(settings["set"]["status"], date.fromisoformat(settings["on"]), settings["reason"])
            try:
                rules.after_event(after, event)
            except InvalidStudent as invalid:
                return "error", invalid.errors[0], None
            why = Why(event.on, event.reason)
        after |= settings["set"]
        if not rules.difference(student, after):
            return "unchanged", None, None
    elif is_deleted == (action == "delete"):
        return "unchanged", None, None
    return OUTCOMES[action], None, Edit(student, after, OUTCOMES[action], deleted=action == "delete", why=why)
