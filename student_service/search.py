"""Which students a filter means, as SQL, and how they are found fast: on each database with its own means.

``student_search`` has the text, status, program and year of each student that isn't deleted; triggers keep it, and it
is much smaller than the students. Two kinds of index find in it without reading it:

    words of three letters and more   trigrams: FTS5 on SQLite; on PostgreSQL pg_trgm, over the students themselves
    shorter ones, and the filters     ``student_search_tokens``: FTS5 without positions on SQLite, GIN on PostgreSQL

From those it is told how many students match. Few are looked up and sorted; if many match, the first page is soon found
by walking along the sort's index. With a long word, PostgreSQL's planner makes that choice by itself. Without pg_trgm
long words are found by reading all students: the answers are the same, at 100,000 students in some 100 ms, not a few.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    Text,
    column,
    func,
    literal,
    literal_column,
    select,
    table,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError

from servicekit.database import MIGRATION_LOCK, Database
from servicekit.logs import get_logger
from student_service.filters import Filters
from student_service.models import search_texts, students

FEW = 2_000  # so many students are looked up and sorted about as soon as a page of more is found by walking
BY_NAME = "last_name"  # the sort whose order the indexes of all filters have
INDEX_NAME = "ix_students_search_text"
ESCAPE = "\\"
# SQLite would now and then rather read the students than walk through an index that has all it needs.
COUNTS_BY_INDEX = (students, "INDEXED BY ix_students_present_counted", "sqlite")

log = get_logger()
trigrams = table("students_fts", column("rowid"))
tokens = table("student_search_tokens", column("rowid"))
c, s = students.c, search_texts.c


class FoundBy(Enum):
    """How the terms of a search become a condition."""

    LIKE = "like"  # as the database's planner likes
    FIND = "find"  # PostgreSQL: look few up by their tokens
    WALK = "walk"  # SQLite: read one student after the other
    TRIGRAMS = "trigrams"  # SQLite: look few up by their trigrams
    TOKENS = "tokens"  # SQLite: look few up by their tokens


@dataclass(frozen=True)
class Plan:
    """How to find the students of a filter, and how many they are where that came out on the way."""

    found_by: FoundBy
    total: int | None = None


def conditions(filters: Filters, found_by: FoundBy = FoundBy.LIKE, sort: str = BY_NAME) -> list[ColumnElement[bool]]:
    """What a student has to be; each term counts as it is written.

    Args:
        filters: Who is asked for.
        found_by: What ``plan`` said of them.
        sort: The field that the students are sorted by.
    """
    found: list[ColumnElement[bool]] = [c.deleted_at.is_not(None) if filters.deleted else c.deleted_at.is_(None)]
    if not filters.terms:
        return found + (_unindexed(filters, but=sort) if found_by is FoundBy.WALK else _filtered(students, filters))
    match found_by:
        case FoundBy.LIKE:
            like = [c.search_text.like(f"%{escape_like(term)}%", escape=ESCAPE) for term in filters.terms]
            return found + _filtered(students, filters) + like
        case FoundBy.FIND:
            ids = select(func.student_search_find(_array(filters)).column_valued("id"))
            return [*found, *_filtered(students, filters), c.id.in_(ids)]
        case FoundBy.WALK:
            return found + _unindexed(filters, but=sort) + _containing(students, filters.terms)
        case _:
            looked_up = select(s.student_id).where(*_looked_up(filters, found_by))
            return [*found, *_unindexed(filters), c.id.in_(looked_up)]


def plan(conn: Connection, filters: Filters) -> Plan:
    """How to find the students of a filter."""
    if conn.dialect.name != "sqlite":
        if filters.long_terms or not filters.terms or filters.deleted:
            return Plan(FoundBy.LIKE)
        count = _count(conn, select(func.student_search_count(_array(filters))))
        return Plan(FoundBy.FIND if count <= FEW else FoundBy.LIKE, count)
    if filters.deleted:  # deleted students are few and not in the indexes
        return Plan(FoundBy.WALK if filters.terms else FoundBy.LIKE)
    return _plan_on_sqlite(conn, filters)


def _plan_on_sqlite(conn: Connection, filters: Filters) -> Plan:
    if not filters.terms:
        if not _asked(filters):
            return Plan(FoundBy.WALK)
        count = _count(conn, count_filtered(filters))
        return Plan(FoundBy.LIKE if count <= FEW else FoundBy.WALK, count)
    if not filters.long_terms:
        count = _count(conn, _count_of_tokens(filters))
        return Plan(FoundBy.TOKENS if count <= FEW else FoundBy.WALK, count)
    if not _tokens(filters):
        count = _count(conn, _count_of_trigrams(filters))
        return Plan(FoundBy.TRIGRAMS if count <= FEW else FoundBy.WALK, count)
    # Each index knows a part of it: is one of the parts few?
    for found_by, counted in ((FoundBy.TRIGRAMS, _count_of_trigrams), (FoundBy.TOKENS, _count_of_tokens)):
        if _count(conn, counted(filters, at_most=FEW + 1)) <= FEW:
            return Plan(found_by, _count(conn, _count_looked_up(filters, found_by)))
    return Plan(FoundBy.WALK, _count(conn, _count_walking(filters)))


@lru_cache(maxsize=512)
def count_filtered(filters: Filters) -> Select[int]:
    """How many students pass filters without a search."""
    query = select(func.count()).select_from(students).where(*conditions(filters))
    alone = (filters.status, filters.year).count(None) == 1 and filters.program is None
    if filters.deleted or alone:  # a status or a year alone has an index that begins with it
        return query
    return query.with_hint(*COUNTS_BY_INDEX)


def _count(conn: Connection, query: Select[int]) -> int:
    return conn.execute(query).scalar_one()


# Kept, since a statement that was executed before spares SQLAlchemy most of its work.


@lru_cache(maxsize=512)
def _count_of_trigrams(filters: Filters, at_most: int | None = None) -> Select[int]:
    found = select(trigrams.c.rowid).where(_with_trigrams(filters)).limit(at_most)
    return select(func.count()).select_from(found.subquery())


@lru_cache(maxsize=512)
def _count_of_tokens(filters: Filters, at_most: int | None = None) -> Select[int]:
    found = select(tokens.c.rowid).where(_with_tokens(filters)).limit(at_most)
    return select(func.count()).select_from(found.subquery())


@lru_cache(maxsize=512)
def _count_looked_up(filters: Filters, found_by: FoundBy) -> Select[int]:
    return select(func.count()).select_from(search_texts).where(*_looked_up(filters, found_by))


@lru_cache(maxsize=512)
def _count_walking(filters: Filters) -> Select[int]:
    found = _filtered(search_texts, filters) + _containing(search_texts, filters.terms)
    return select(func.count()).select_from(search_texts).where(*found)


def _looked_up(filters: Filters, found_by: FoundBy) -> list[ColumnElement[bool]]:
    """The rows of ``student_search``, where one of SQLite's indexes says that there are few."""
    if found_by is FoundBy.TOKENS:
        indexed = select(tokens.c.rowid).where(_with_tokens(filters))
        return [s.id.in_(indexed), *_containing(search_texts, filters.long_terms)]
    indexed = select(trigrams.c.rowid).where(_with_trigrams(filters))
    return [s.id.in_(indexed), *_filtered(search_texts, filters), *_containing(search_texts, filters.short_terms)]


def _filtered(where: Table, filters: Filters) -> list[ColumnElement[bool]]:
    return [where.c[name] == value for name, value in _asked(filters)]


def _unindexed(filters: Filters, *, but: str | None = None) -> list[ColumnElement[bool]]:
    """The filters so that SQLite doesn't take one of their indexes, whose students it would have to sort.

    Args:
        but: A sort whose order one of those indexes has as well.
    """
    hidden = []
    for name, value in _asked(filters):
        has_order = but in (BY_NAME, name.removesuffix("_key"))
        hidden.append((c[name] if has_order else literal_column(f"+students.{name}", c[name].type)) == value)
    return hidden


def _asked(filters: Filters) -> list[tuple[str, str | int]]:
    asked = (("status", filters.status), ("program_key", filters.program), ("year", filters.year))
    return [(name, value) for name, value in asked if value is not None]


def _containing(where: Table, terms: tuple[str, ...]) -> list[ColumnElement[bool]]:
    return [func.instr(where.c.search_text, term) > 0 for term in terms]


def _with_trigrams(filters: Filters) -> ColumnElement[bool]:
    return column("students_fts").op("MATCH", is_comparison=True)(_all_of(filters.long_terms))


def _with_tokens(filters: Filters) -> ColumnElement[bool]:
    return column("student_search_tokens").op("MATCH", is_comparison=True)(_all_of(_tokens(filters)))


def _all_of(strings: tuple[str, ...]) -> str:
    # A string in quotation marks is taken as it is written (https://sqlite.org/fts5.html, 3.1).
    return " AND ".join('"' + one.replace('"', '""') + '"' for one in strings)


def _tokens(filters: Filters, program: str | None = None) -> tuple[str, ...]:
    """The short terms and the filters, as migration 0004 makes tokens of a student."""
    found = list(filters.short_terms)
    if filters.status is not None:
        found.append(f"=s:{filters.status}")
    if filters.program is not None:
        found.append(f"=p:{program or filters.program.encode().hex()}")
    if filters.year is not None:
        found.append(f"=y:{filters.year}")
    return tuple(found)


def _array(filters: Filters) -> ColumnElement[list[str]]:
    """The tokens on PostgreSQL, where that of a program is a digest."""
    digest = hashlib.md5((filters.program or "").encode(), usedforsecurity=False).hexdigest()
    return literal(list(_tokens(filters, digest)), ARRAY(Text))


def escape_like(term: str) -> str:
    """Text that LIKE finds as it is written."""
    return term.replace(ESCAPE, ESCAPE * 2).replace("%", ESCAPE + "%").replace("_", ESCAPE + "_")


def prepare(database: Database) -> None:
    """Make PostgreSQL's trigram index unless it is there; where that isn't allowed, searches work without it."""
    if database.dialect != "postgresql":
        return
    with database.write() as conn:
        conn.execute(text("SET LOCAL statement_timeout = 0"))
        conn.execute(text("SET LOCAL lock_timeout = 0"))
        # Of many starters one makes it and the others wait.
        conn.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": MIGRATION_LOCK + 1})
        if conn.execute(text("SELECT to_regclass(:name)"), {"name": INDEX_NAME}).scalar() is not None:
            return
        try:
            with conn.begin_nested():
                conn.execute(text("CREATE EXTENSION IF NOT EXISTS pg_trgm"))
                conn.execute(text(f"CREATE INDEX {INDEX_NAME} ON students USING gin (search_text gin_trgm_ops)"))
        except DBAPIError as error:
            log.warning("search_index_unavailable", sqlstate=getattr(error.orig, "sqlstate", None))
