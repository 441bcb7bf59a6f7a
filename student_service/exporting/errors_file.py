"""The rows of an import that have errors, as a file that can be mended and sent again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import select

from servicekit.database import Database
from student_service.batches import Batch
from student_service.exporting.delimited import csv_pieces
from student_service.models import batch_rows
from student_service.neutral import restored

READ_AT_ONCE = 500

r = batch_rows.c


def error_lines(db: Database, batch: Batch) -> Iterator[bytes]:
    """CSV: the line, what is wrong, and the row's own cells."""
    return csv_pieces(_rows(db, batch))


def _rows(db: Database, batch: Batch) -> Iterator[list[str]]:
    columns = [column["column"] for column in batch.columns or []]
    yield ["line", "errors", *columns]
    last = 0
    while True:
        query = select(r.position, r.line, r.raw, r.errors).where(
            r.batch_id == batch.id, r.outcome == "error", r.position > last
        )
        with db.read() as conn:
            found = conn.execute(query.order_by(r.position).limit(READ_AT_ONCE)).all()
        for row in found:
            # Protected as every cell is; one that came protected isn't protected twice.
            yield [str(row.line), _message(row.errors), *(restored(cell) for cell in row.raw or [])]
        if len(found) < READ_AT_ONCE:
            return
        last = found[-1].position


def _message(errors: list[dict[str, Any]] | None) -> str:
    return "; ".join(f"{error['field']}: {error['message']}" for error in errors or [])
