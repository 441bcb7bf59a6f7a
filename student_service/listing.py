"""In which order a list shows its students: sorts and keyset cursors as SQL.

A missing value sorts before all others, on both databases. A cursor holds the sort and a digest of the filters it
was made with and is refused under any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Date, Integer, Row, and_, literal, or_, tuple_

from servicekit.database import UtcDateTime
from servicekit.paging import decode_cursor, encode_cursor
from servicekit.problems import FieldError, Unprocessable
from student_service import values
from student_service.filters import Filters
from student_service.folding import SEPARATOR
from student_service.models import students

c = students.c

# What a list may be sorted by → the columns compared. Only the first may be null; the last is unique, so no two
# students compare equal.
SORTS: dict[str, tuple[Column[Any], ...]] = {
    "last_name": (c.last_name_key, c.id),
    "first_name": (c.first_name_key, c.id),
    "student_number": (c.student_number_key,),
    "email": (c.email_key,),
    "status": (c.status, c.last_name_key, c.id),
    "program": (c.program_key, c.last_name_key, c.id),
    "year": (c.year, c.last_name_key, c.id),
    "date_of_birth": (c.date_of_birth, c.last_name_key, c.id),
    "enrolled_on": (c.enrolled_on, c.last_name_key, c.id),
    "created_at": (c.created_at, c.id),
    "updated_at": (c.updated_at, c.id),
}
DEFAULT_SORT = "last_name"
SORT_WORDS = tuple(sign + name for name in SORTS for sign in ("", "-"))


@dataclass(frozen=True)
class Order:
    """One of ``SORTS`` in one direction."""

    name: str
    descending: bool

    @classmethod
    def of(cls, word: str) -> Order:
        """The order that a word of ``SORT_WORDS`` means."""
        return cls(word.removeprefix("-"), word.startswith("-"))

    @property
    def columns(self) -> tuple[Column[Any], ...]:
        return SORTS[self.name]

    def clauses(self) -> list[ColumnElement[Any]]:
        if self.descending:
            return [x.desc().nulls_last() if x.nullable else x.desc() for x in self.columns]
        return [x.asc().nulls_first() if x.nullable else x.asc() for x in self.columns]

    def after(self, position: Sequence[Any]) -> ColumnElement[bool]:
        """The condition of coming later than the student with these values in ``columns``."""
        first, value = self.columns[0], position[0]
        if not first.nullable:
            return self._beyond(self.columns, position)
        rest = self._beyond(self.columns[1:], position[1:])
        if value is None:
            same = and_(first.is_(None), rest)
            return same if self.descending else or_(same, first.is_not(None))
        beyond = self._beyond(self.columns, position)  # never true for a missing value
        return or_(beyond, first.is_(None)) if self.descending else beyond

    def _beyond(self, columns: Sequence[Column[Any]], position: Sequence[Any]) -> ColumnElement[bool]:
        here = [literal(value, column.type) for column, value in zip(columns, position, strict=True)]
        if len(columns) == 1:
            return columns[0] < here[0] if self.descending else columns[0] > here[0]
        left, right = tuple_(*columns), tuple_(*here)
        return left < right if self.descending else left > right

    def cursor(self, filters: Filters, row: Row[*tuple[Any, ...]]) -> str:
        """A cursor that goes on after this row."""
        position = [getattr(row, column.name) for column in self.columns]
        return encode_cursor({"s": self._word, "f": filters.digest(), "at": position})

    def position(self, cursor: str, filters: Filters) -> list[Any]:
        """The values of ``columns`` that a cursor holds.

        Raises:
            Unprocessable: It belongs to another sort, other filters or another list, or was tampered with.
        """
        held = decode_cursor(cursor)
        given = held.get("at")
        if held.get("s") != self._word or held.get("f") != filters.digest():
            raise _bad_cursor("belongs to a list with another sort or other filters")
        if not isinstance(given, list) or len(given) != len(self.columns):
            raise _bad_cursor()
        return [_read_back(column, value) for column, value in zip(self.columns, given, strict=True)]

    @property
    def _word(self) -> str:
        return ("-" if self.descending else "") + self.name


def _read_back(column: Column[Any], value: Any) -> Any:
    """A value from a cursor, which is the caller's text, as the column's type or a refusal."""
    if value is None and column.nullable:
        return None
    try:
        if isinstance(column.type, Integer):
            return values.clean_whole_number(value, -1, 10_000)
        if not isinstance(value, str) or any(values.is_forbidden(x) for x in value if x != SEPARATOR):
            raise ValueError
        if isinstance(column.type, Date):
            return date.fromisoformat(value)
        if isinstance(column.type, UtcDateTime):
            return datetime.fromisoformat(value).astimezone(UTC)
        return value
    except (ValueError, OverflowError):
        raise _bad_cursor() from None


def _bad_cursor(message: str = "is not a cursor of this list") -> Unprocessable:
    return Unprocessable(errors=[FieldError("cursor", f"{message}; start again without one")])
