"""The students of a list, all of them, as rows of columns: read a page at a time, so nothing is held for long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import func, select

from servicekit.database import Database
from student_service import repository, rules, search
from student_service.filters import Filters
from student_service.listing import Order
from student_service.models import students
from student_service.repository import Student
from student_service.rules import GUARDIAN_FIELDS

READ_AT_ONCE = 1_000
Cell = str | int | date | None


@dataclass(frozen=True)
class Selection:
    """Which students, in which order, with which fields."""

    filters: Filters
    order: Order
    fields: tuple[str, ...]


def columns_of(db: Database, selection: Selection) -> list[str]:
    """The names of the columns; there are as many guardians as any of the students has, and at least one."""
    names: list[str] = []
    for field in selection.fields:
        if field != "guardians":
            names.append(field)
            continue
        most = max(1, _most_guardians(db, selection))
        names += [f"guardian_{number}_{name}" for number in range(1, most + 1) for name in GUARDIAN_FIELDS]
    return names


def _most_guardians(db: Database, selection: Selection) -> int:
    filters = selection.filters
    with db.read() as conn:
        conditions = search.conditions(filters, search.plan(conn, filters).found_by)
        most = select(func.max(func.json_array_length(students.c.guardians))).where(*conditions)
        return conn.execute(most).scalar() or 0


def all_students(db: Database, selection: Selection) -> Iterator[Student]:
    """Every student once, as the list would show them page by page."""
    cursor: str | None = None
    while True:
        with db.read() as conn:
            found, cursor = repository.some(conn, selection.filters, selection.order, READ_AT_ONCE, cursor)
        yield from found
        if cursor is None:
            return


def cells_of(student: Student, columns: Sequence[str]) -> list[Cell]:
    """The cells of one student. A column for a guardian that there isn't is empty."""
    flat: dict[str, Any] = {name: student[name] for name in rules.FIELDS}
    for number, guardian in enumerate(student["guardians"], 1):
        flat |= {f"guardian_{number}_{name}": guardian[name] for name in GUARDIAN_FIELDS}
    return [flat.get(name) for name in columns]


def as_text(cell: Cell) -> str:
    """A cell where there is only text."""
    if cell is None:
        return ""
    return cell.isoformat() if isinstance(cell, date) else str(cell)
