"""Many rows written by one statement.

PostgreSQL gets all rows as one JSON parameter: sent row by row, parsing the statement anew each time takes longer than
executing it (nothing is prepared, for the sake of transaction poolers). SQLite is in the same process and gets them one
by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import Connection, Table, TextClause, and_, bindparam, insert, text, update

Rows = Sequence[Mapping[str, Any]]
KEY = "key_"  # before the names of parameters that a row is found by


def insert_rows(conn: Connection, table: Table, rows: Rows) -> None:
    """Add rows, which all have the same columns."""
    if conn.dialect.name == "sqlite" or len(rows) == 1:
        conn.execute(insert(table), rows)
    elif rows:
        conn.execute(_insert_all(table.name, tuple(rows[0])), {"rows": _as_json(rows)})


def update_rows(conn: Connection, table: Table, rows: Rows, *, found_by: tuple[str, ...]) -> None:
    """Change rows.

    Args:
        rows: Each has the values of ``found_by`` and the new ones of the same other columns.
        found_by: The columns of a key.
    """
    if not rows:
        return
    changed = tuple(name for name in rows[0] if name not in found_by)
    if conn.dialect.name != "sqlite":
        conn.execute(_update_all(table.name, changed, found_by), {"rows": _as_json(rows)})
        return
    found = and_(*(table.c[name] == bindparam(KEY + name) for name in found_by))
    statement = update(table).where(found).values({name: bindparam(name) for name in changed})
    conn.execute(statement, [{KEY + n if n in found_by else n: value for n, value in row.items()} for row in rows])


def _as_json(rows: Rows) -> str:
    return orjson.dumps(rows).decode()


@lru_cache(maxsize=64)
def _insert_all(table: str, columns: tuple[str, ...]) -> TextClause:
    names = ", ".join(columns)
    return text(f"INSERT INTO {table} ({names}) SELECT {names} FROM {_recordset(table)}")  # noqa: S608 - our own names


@lru_cache(maxsize=64)
def _update_all(table: str, columns: tuple[str, ...], found_by: tuple[str, ...]) -> TextClause:
    values = ", ".join(f"{name} = given.{name}" for name in columns)
    found = " AND ".join(f"{table}.{name} = given.{name}" for name in found_by)
    return text(f"UPDATE {table} SET {values} FROM {_recordset(table)} AS given WHERE {found}")  # noqa: S608 - as above


def _recordset(table: str) -> str:
    return f"json_populate_recordset(CAST(NULL AS {table}), CAST(:rows AS json))"
