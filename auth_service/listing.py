"""Keyset pages over any query: sorted by one column, ties broken by id, so no row is missed or seen twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, or_, select

from servicekit.database import UtcDateTime
from servicekit.paging import decode_cursor, encode_cursor
from servicekit.problems import FieldError, Unprocessable


@dataclass(frozen=True)
class PageRequest:
    """What the caller asked: ``sort`` is a field, with ``-`` in front for descending."""

    limit: int
    cursor: str | None
    sort: str


@dataclass(frozen=True)
class Found:
    """One page of rows."""

    rows: list[Row[Any]]
    next_cursor: str | None
    total: int


def fetch(
    conn: Connection,
    query: Select[Any],
    asked: PageRequest,
    *,
    columns: Mapping[str, ColumnElement[Any]],
    key: ColumnElement[str],
) -> Found:
    """One page of ``query``, which has its filters and no order yet.

    Args:
        columns: What may be sorted by, by the name the API gives it.
        key: The unique column that breaks ties.

    Raises:
        Unprocessable: An unknown sort field, or a cursor that isn't of this list in this order.
    """
    name, descending = asked.sort.removeprefix("-"), asked.sort.startswith("-")
    column = columns.get(name)
    if column is None:
        allowed = ", ".join(columns)
        raise Unprocessable(errors=[FieldError("sort", f"must be one of {allowed}, with '-' in front for descending")])
    total = conn.execute(select(func.count()).select_from(query.subquery())).scalar_one()
    ordered = query.add_columns(column.label("sort_value"))
    if asked.cursor is not None:
        value, last_id = _position(asked.cursor, asked.sort, column)
        if descending:
            ordered = ordered.where(or_(column < value, and_(column == value, key < last_id)))
        else:
            ordered = ordered.where(or_(column > value, and_(column == value, key > last_id)))
    ordering = (column.desc(), key.desc()) if descending else (column.asc(), key.asc())
    rows = list(conn.execute(ordered.order_by(*ordering).limit(asked.limit + 1)))
    following = None
    if len(rows) > asked.limit:
        rows = rows[: asked.limit]
        last = rows[-1]
        value = last.sort_value.isoformat() if isinstance(last.sort_value, datetime) else last.sort_value
        following = encode_cursor({"s": asked.sort, "v": value, "i": last.id})
    return Found(rows, following, total)


def _position(cursor: str, sort: str, column: ColumnElement[Any]) -> tuple[Any, str]:
    bad = Unprocessable(errors=[FieldError("cursor", "is not a cursor of this list in this order; start without one")])
    position = decode_cursor(cursor)
    value, last_id = position.get("v"), position.get("i")
    if (
        position.get("s") != sort
        or not isinstance(value, str)
        or not isinstance(last_id, str)
        or "\0" in value + last_id
    ):
        raise bad
    if isinstance(column.type, UtcDateTime):
        try:
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None:
                raise bad
            value = moment.astimezone(UTC)
        except (ValueError, OverflowError):  # the first and the last day of the calendar are not whole in every zone
            raise bad from None
    return value, last_id
