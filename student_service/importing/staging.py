"""First half of an import: the file's rows go into ``batch_rows``, each with what it would do. No student changes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, select, update

from student_service import batches, rules, values
from student_service.batches import PREVIEW_LIFETIME, ROWS_LIFETIME, Batch
from student_service.history import plain as plain_change
from student_service.importing import columns, settling
from student_service.importing.archive import damage_told
from student_service.importing.deciding import DELETES, Decision, Terms, decide, keys_in, look_up, plain, whom
from student_service.importing.files import open_table
from student_service.importing.tables import FileTable, Row, UnreadableFile
from student_service.models import batch_rows
from student_service.row_sets import insert_rows
from student_service.rules import InvalidStudent, Wrong
from student_service.runner import Source, Work

STAGED_AT_ONCE = 500
FORGOTTEN_AT_ONCE = 2_000

r = batch_rows.c


def run(work: Work, batch: Batch, source: Source) -> None:
    """Read the file into the batch; then it is previewed, rejected or to be applied."""
    try:
        with source, damage_told():
            table = open_table(source)
            needs_whole = batch.settings["mode"] == "create" and table.fixed is None
            # Told before they are checked, so that whoever sees them refused can say which field is which.
            guess = columns.guessed(table, batch.settings["mapping"])
            work.once(batch.id, lambda conn, _: _tell_columns(work, conn, batch, table, guess))
            fields = columns.assigned(table, batch.settings["mapping"], needs_whole=needs_whole)
            _Reading(work, batch, table, fields).through()
        settling.run(work, batch.id)
        work.once(batch.id, lambda conn, now: _finish(work, conn, now))
    except UnreadableFile as why:
        message = str(why)
        work.once(batch.id, lambda conn, now: _reject(work, conn, now, message))


def _tell_columns(work: Work, conn: Connection, batch: Batch, table: FileTable, fields: Sequence[str | None]) -> bool:
    used = [{"column": name, "field": field} for name, field in zip(table.header, fields, strict=True)]
    settings = {**batch.settings, "format": table.format}
    batches.hold(conn, batch.id, work.runner, work.now(), columns=used, settings=settings)
    return False


def _reject(work: Work, conn: Connection, batch: Batch, message: str) -> bool:
    told = {"state": "rejected", "message": message, "finished_at": work.now()}
    expiry = work.now() + ROWS_LIFETIME
    batches.hold(conn, batch.id, work.runner, work.now(), rows_total=batch.rows_read, rows_expire_at=expiry, **told)
    return False


class _Reading:
    """A file on its way into the batch's rows."""

    def __init__(self, work: Work, batch: Batch, table: FileTable, fields: Sequence[str | None]) -> None:
        self._work = work
        self._batch_id = batch.id
        self._table = table
        self._fields = fields
        self._terms = Terms(batch.settings["mode"], tuple(fields))
        self._keeps_empty = batch.settings["empty_cells"] == "keep"
        self._today = batch.actor(work.zone).today

    def through(self) -> None:
        """Stage all rows.

        Raises:
            UnreadableFile: The file turned out to be unusable, or has no rows.
        """
        count = 0
        while rows := list(islice(self._table.rows, STAGED_AT_ONCE)):
            started = time.monotonic()
            count += len(rows)
            given = [self._cleaned(row, self._today) for row in rows]  # outside of the transaction: this takes longest
            stage = partial(self._stage, rows, given)
            self._work.once(self._batch_id, stage)
            if len(rows) == STAGED_AT_ONCE:
                self._work.breathe(time.monotonic() - started)
        if not count:
            raise UnreadableFile("The file has a header and no rows.")

    def _stage(
        self, rows: Sequence[Row], cleaned: Sequence[tuple[dict[str, Any], list[Wrong]]], conn: Connection, batch: Batch
    ) -> bool:
        known, undone = look_up(conn, [given for given, _ in cleaned])
        about = [whom(given, known)[0] for given, _ in cleaned]
        doubled = _doubled(conn, batch.id, rows, cleaned)
        students = [None if student is None else student["id"] for student in about]
        again = _seen_before(conn, batch.id, rows, r.student_id, students)
        staged, outcomes = [], []
        for index, (row, (given, wrong)) in enumerate(zip(rows, cleaned, strict=True)):
            if row.mark == "skip" or (row.mark == "known" and about[index] is None):
                decision = Decision("skipped")
            elif wrong or index in doubled:
                decision = Decision("error", errors=[*wrong, *doubled.get(index, [])])
            else:
                decision = decide(self._terms, given, known, undone)
                if index in again and decision.outcome != "error":
                    told = Wrong("row", f"is about the same student as line {again[index]}")
                    decision = Decision("error", errors=[told])
            if decision.claims:
                decision.outcome = settling.WAITING
            staged.append(_staged(batch, batch.rows_read + index + 1, row, given, decision))
            outcomes.append(decision.outcome)
        insert_rows(conn, batch_rows, staged)
        counts, read = batches.add_counts(batch.counts, outcomes), batch.rows_read + len(rows)
        batches.hold(conn, batch.id, self._work.runner, self._work.now(), rows_read=read, counts=counts)
        return True

    def _cleaned(self, row: Row, today: date) -> tuple[dict[str, Any], list[Wrong]]:
        if row.mark == "skip":
            return {}, []
        given = columns.values_of(
            row.cells, self._fields, is_neutralised=self._table.is_neutralised, keeps_empty=self._keeps_empty
        )
        errors = []
        if any(cell.strip() for cell in row.cells[len(self._table.header) :]):
            errors.append(Wrong("row", "has more cells than there are columns"))
        if row.mark == "bulk-delete":
            errors.append(Wrong("status", "tobedeleted is for delta files only"))
        source = _source(given, errors)
        if row.mark == "delete":
            given = {name: value for name, value in given.items() if name in columns.KEYS and value is not None}
        try:
            cleaned = rules.clean_given(given, today)
        except InvalidStudent as invalid:
            # Its keys count all the same: a later row with the same ones is as much in doubt.
            return self._keys(given, today) | source, errors + invalid.errors
        if row.mark == "delete":
            cleaned[DELETES] = True
        return cleaned | source, errors

    @staticmethod
    def _keys(given: dict[str, Any], today: date) -> dict[str, Any]:
        keys: dict[str, Any] = {}
        for name in columns.KEYS:
            try:
                keys |= rules.clean_given({name: given[name]} if given.get(name) else {}, today)
            except InvalidStudent:
                pass  # what is no key is nobody's
        return keys


def _source(given: dict[str, Any], errors: list[Wrong]) -> dict[str, str]:
    """Take what is no field of a student out of what a row gives."""
    source = given.pop(columns.SOURCE, None)
    try:
        return {columns.SOURCE: values.clean_text(source, columns.LONGEST_SOURCE)} if source else {}
    except ValueError as why:
        errors.append(Wrong(columns.SOURCE_COLUMN, str(why)))
        return {}


def _staged(batch: Batch, position: int, row: Row, given: dict[str, Any], decision: Decision) -> dict[str, Any]:
    number, email = keys_in(given)
    is_kept = decision.outcome not in ("error", "skipped")
    return {
        "batch_id": batch.id,
        "position": position,
        "line": row.line,
        "student_id": None if decision.before is None else decision.before["id"],
        "outcome": decision.outcome,
        "student_number_key": number,
        "email_key": email,
        "source_key": given.get(columns.SOURCE),
        "raw": (row.original or row.cells) if decision.outcome != "skipped" else None,
        "given": plain(given) if is_kept else None,
        "changes": [plain_change(change) for change in decision.changes] or None,
        "errors": [error._asdict() for error in decision.errors or decision.claims] or None,
    }


def _finish(work: Work, conn: Connection, batch: Batch) -> bool:
    told: dict[str, Any] = {"rows_total": batch.rows_read}
    if batch.settings["dry_run"]:
        told |= {"state": "previewed", "rows_expire_at": work.now() + PREVIEW_LIFETIME}
    elif batch.counts.get("error") and batch.settings["all_or_nothing"]:
        return _reject(work, conn, batch, too_many_errors(batch.counts["error"]))
    else:
        told |= start_applying(batch)
    batches.hold(conn, batch.id, work.runner, work.now(), **told)
    return False


def forget(work: Work, batch: Batch) -> None:
    """Forget what the rows of a rejected file hold, but for those with errors, which can be downloaded for a while."""
    for first in range(0, batch.rows_read, FORGOTTEN_AT_ONCE):
        some = r.position.between(first + 1, first + FORGOTTEN_AT_ONCE)
        forgotten = update(batch_rows).where(r.batch_id == batch.id, some, r.outcome != "error")
        with work.db.write() as conn:
            conn.execute(forgotten.values(raw=None, given=None, changes=None))
        work.breathe(0)


def too_many_errors(count: int) -> str:
    """Why nothing was imported."""
    rows = "row has an error" if count == 1 else "rows have errors"
    return f"{count:,} {rows}; nothing was imported."


def start_applying(batch: Batch) -> dict[str, Any]:
    """What a batch becomes whose rows are to be applied: what they did is counted anew."""
    kept = {name: batch.counts[name] for name in ("error", "skipped") if name in batch.counts}
    return {"state": "applying", "counts": kept, "rows_applied": 0, "rows_expire_at": None}


def _doubled(
    conn: Connection, batch_id: str, rows: Sequence[Row], cleaned: Sequence[tuple[dict[str, Any], list[Wrong]]]
) -> dict[int, list[Wrong]]:
    """Which rows have a number, an address or an id that an earlier row of the file has: index → why."""
    keys = [keys_in(given) for given, _ in cleaned]
    found: dict[int, list[Wrong]] = {}
    for name, column, present in (
        ("student_number", r.student_number_key, [number for number, _ in keys]),
        ("email", r.email_key, [email for _, email in keys]),
        (columns.SOURCE_COLUMN, r.source_key, [given.get(columns.SOURCE) for given, _ in cleaned]),
    ):
        for index, line in _seen_before(conn, batch_id, rows, column, present).items():
            found.setdefault(index, []).append(Wrong(name, f"is the same as on line {line}"))
    return found


def _seen_before(
    conn: Connection, batch_id: str, rows: Sequence[Row], column: ColumnElement[Any], present: Sequence[str | None]
) -> dict[int, int]:
    """Which rows have in a column what an earlier row of the file has: index → line of that one."""
    wanted = {key for key in present if key}
    if not wanted:
        return {}
    earlier = select(column, r.line).where(r.batch_id == batch_id, column.in_(wanted))
    seen: dict[str, int] = {row[0]: row[1] for row in conn.execute(earlier)}
    found = {}
    for index, key in enumerate(present):
        if key and key in seen:
            found[index] = seen[key]
        elif key:
            seen[key] = rows[index].line
    return found
