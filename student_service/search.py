"""How a search finds its students fast: by trigrams, on each database with its own means.

PostgreSQL's planner chooses by itself between the trigram index (pg_trgm) and a walk along the sort's index. Without
the extension it reads all students: the answers are the same, at 100,000 students in some 100 ms instead of a few.
On SQLite the choice is made here: terms that few students match are looked up in the FTS5 index, and for terms that
many match the first page is soon found by walking along the sort's index. Terms of one or two letters have no trigram,
so they are counted in the table of search texts, which is much smaller than that of the students.
"""

from __future__ import annotations

from enum import Enum

from sqlalchemy import ColumnElement, Connection, Table, column, func, select, table, text
from sqlalchemy.exc import DBAPIError

from servicekit.database import MIGRATION_LOCK, Database
from servicekit.logs import get_logger
from student_service.models import search_texts, students

FEW = 1_000  # so many students are looked up and sorted in a few milliseconds
TRIGRAM = 3
INDEX_NAME = "ix_students_search_text"
ESCAPE = "\\"

log = get_logger()
fts = table("students_fts", column("rowid"))
s = search_texts.c


class FoundBy(Enum):
    """How the terms of a search become a condition."""

    LIKE = "like"  # PostgreSQL
    INDEX = "index"  # SQLite: look few up
    WALK = "walk"  # SQLite: read one student after the other


def matching(terms: tuple[str, ...], found_by: FoundBy) -> list[ColumnElement[bool]]:
    """The conditions of a student that has every term somewhere; each term counts as it is written."""
    if not terms:
        return []
    if found_by is FoundBy.LIKE:
        return [students.c.search_text.like(f"%{escape_like(term)}%", escape=ESCAPE) for term in terms]
    if found_by is FoundBy.WALK:
        return _containing(students, terms)
    return [students.c.id.in_(select(s.student_id).where(*_in_index(terms)))]


def plan(conn: Connection, terms: tuple[str, ...], *, deleted: bool) -> tuple[FoundBy, int | None]:
    """How to find these terms, and how many students that aren't deleted match them, where that came out on the way."""
    if conn.dialect.name != "sqlite":
        return FoundBy.LIKE, None
    if not terms or deleted:  # deleted students are few and not in the index
        return FoundBy.WALK, None
    if all(len(term) >= TRIGRAM for term in terms):
        counted = select(func.count()).select_from(fts).where(_match(terms))  # without reading a single text
    else:
        counted = select(func.count()).select_from(search_texts).where(*_in_index(terms))
    count = conn.execute(counted).scalar_one()
    return FoundBy.INDEX if count <= FEW else FoundBy.WALK, count


def escape_like(term: str) -> str:
    """Text that LIKE finds as it is written."""
    return term.replace(ESCAPE, ESCAPE * 2).replace("%", ESCAPE + "%").replace("_", ESCAPE + "_")


def _in_index(terms: tuple[str, ...]) -> list[ColumnElement[bool]]:
    short = tuple(term for term in terms if len(term) < TRIGRAM)
    found = _containing(search_texts, short)
    if len(short) < len(terms):
        found.append(s.id.in_(select(fts.c.rowid).where(_match(terms))))
    return found


def _match(terms: tuple[str, ...]) -> ColumnElement[bool]:
    # A string in quotation marks is taken as it is written (https://sqlite.org/fts5.html, 3.1).
    quoted = ['"' + term.replace('"', '""') + '"' for term in terms if len(term) >= TRIGRAM]
    return column("students_fts").op("MATCH", is_comparison=True)(" AND ".join(quoted))


def _containing(where: Table, terms: tuple[str, ...]) -> list[ColumnElement[bool]]:
    return [func.instr(where.c.search_text, term) > 0 for term in terms]


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
