"""Students in the database: reading one, and every change of one together with its history.

Each function works in the transaction of the connection it is given. The rules decide what a change amounts to;
here it is made so: nothing is written when nothing differs, and each change makes the next version.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from servicekit.ids import uuid7
from servicekit.paging import page
from servicekit.problems import Conflict, NotFound
from student_service import history, rules, search
from student_service.errors import DuplicateStudent
from student_service.filters import Filters
from student_service.folding import keys_of
from student_service.history import Actor, Why
from student_service.listing import Order
from student_service.models import number_counters, students
from student_service.search import COUNTS_BY_INDEX, FoundBy

Student = dict[str, Any]
Precondition = Callable[[int], None]  # gets the version there is; raises when the change must not be made

c = students.c
PUBLIC = (
    c.id, c.student_number, c.first_name, c.middle_name, c.last_name, c.preferred_name, c.email, c.phone,
    c.date_of_birth, c.program, c.year, c.status, c.enrolled_on, c.guardians, c.notes, c.version, c.created_at,
    c.created_by, c.updated_at, c.updated_by, c.deleted_at,
)  # fmt: skip
PUBLIC_NAMES = tuple("".join(column.name) for column in PUBLIC)  # plain str: orjson refuses subclasses as keys
ONE = select(*PUBLIC).where(c.id == bindparam("student_id"))
ONE_LOCKED = ONE.with_for_update()  # on SQLite the transaction itself is the lock
# In one walk through the index, which has the same order.
COUNTED = (
    select(c.status, c.year, c.program, func.count())
    .where(c.deleted_at.is_(None))
    .group_by(c.program_key, c.year, c.status, c.program)
    .with_hint(*COUNTS_BY_INDEX)
)
MAX_NUMBER_ATTEMPTS = 10_000
MAX_PROGRAMS_IN_STATS = 500


def find(conn: Connection, student_id: str, *, also_deleted: bool = False) -> Student:
    """One student.

    Raises:
        NotFound: There is none, or it is deleted and ``also_deleted`` is false.
    """
    return _one(conn, student_id, also_deleted=also_deleted, lock=False)


def listed(conn: Connection, filters: Filters, order: Order, limit: int, cursor: str | None) -> dict[str, Any]:
    """A page of the students that pass the filters.

    Raises:
        Unprocessable: The cursor isn't one of this list.
    """
    plan = search.plan(conn, filters)
    shown, next_cursor = _rows(conn, filters, order, limit, cursor, plan.found_by)
    if cursor is None and next_cursor is None:
        total = len(shown)  # all of them are here: no need to count
    elif plan.total is not None:
        total = plan.total
    else:
        total = conn.execute(_count_query(filters, plan.found_by)).scalar_one()
    return page(shown, next_cursor, total)


def some(
    conn: Connection, filters: Filters, order: Order, limit: int, cursor: str | None
) -> tuple[list[Student], str | None]:
    """A page of students without counting them all, and where the next one begins."""
    return _rows(conn, filters, order, limit, cursor, search.plan(conn, filters).found_by)


def _rows(
    conn: Connection, filters: Filters, order: Order, limit: int, cursor: str | None, found_by: FoundBy
) -> tuple[list[Student], str | None]:
    query = _page_query(filters, order, limit, found_by)
    if cursor is not None:
        query = query.where(order.after(order.position(cursor, filters)))
    rows = conn.execute(query).all()
    next_cursor = order.cursor(filters, rows[limit - 1]) if len(rows) > limit else None
    # zip ends with the shorter: the columns that only the cursor needs fall off.
    return [dict(zip(PUBLIC_NAMES, row, strict=False)) for row in rows[:limit]], next_cursor


@lru_cache(maxsize=512)
def _page_query(filters: Filters, order: Order, limit: int, found_by: FoundBy) -> Select[*tuple[Any, ...]]:
    # Kept: a statement that was executed before spares SQLAlchemy a quarter of the work.
    hidden = tuple(column for column in order.columns if column.name not in PUBLIC_NAMES)
    chosen = select(*PUBLIC, *hidden).where(*search.conditions(filters, found_by, order.name))
    return chosen.order_by(*order.clauses()).limit(limit + 1)


@lru_cache(maxsize=512)
def _count_query(filters: Filters, found_by: FoundBy) -> Select[int]:
    if not filters.terms:
        return search.count_filtered(filters)
    return select(func.count()).select_from(students).where(*search.conditions(filters, found_by))


def create(conn: Connection, fields: rules.Fields, actor: Actor) -> Student:
    """Add a student, with a number made for it unless it brings one.

    Raises:
        DuplicateStudent: Another one has this number or e-mail.
    """
    system = {"id": uuid7(), "version": 1, "created_at": actor.now, "created_by": actor.username}
    system |= {"updated_at": actor.now, "updated_by": actor.username, "deleted_at": None}
    for _ in range(MAX_NUMBER_ATTEMPTS):
        number = fields["student_number"] or _number(actor.today.year, _count_on(conn, actor.today.year, 1))
        student = {**fields, **system, "student_number": number}
        keys = keys_of(student)
        if _insert_unless_taken(conn, {**student, **keys}):
            changes = rules.difference(rules.NOTHING, student)
            history.record(conn, history.entry(student["id"], 1, "created", changes, actor))
            return {name: student[name] for name in PUBLIC_NAMES}
        duplicate = _duplicate(conn, keys)
        if duplicate is not None and (duplicate.field == "email" or fields["student_number"]):
            raise duplicate
        # Somebody chose by hand the number that was next: take the one after it.
    raise Conflict("No student number is free; give one.", field="student_number")


def change(
    conn: Connection,
    student_id: str,
    actor: Actor,
    precondition: Precondition,
    edit: Callable[[Student], rules.Fields],
    why: Why | None = None,
) -> tuple[Student, bool]:
    """Change the fields of a student to what ``edit`` makes of it; also says whether anything differed.

    Raises:
        NotFound: There is none. DuplicateStudent: another one has the new number or e-mail.
    """
    before = _one(conn, student_id, also_deleted=False, lock=True)
    precondition(before["version"])
    after = edit(before)
    changes = rules.difference(before, after)
    if not changes:
        return before, False
    keys = keys_of(after)
    duplicate = _duplicate(conn, keys, but=student_id)
    if duplicate is not None:
        raise duplicate
    student = _write(conn, before, {name: after[name] for name in rules.FIELDS} | keys, actor)
    history.record(conn, history.entry(student_id, student["version"], "updated", changes, actor, why))
    return student, True


def set_deleted(
    conn: Connection, student_id: str, actor: Actor, precondition: Precondition, *, deleted: bool
) -> tuple[Student, bool]:
    """Delete a student softly, or restore it; restoring one that isn't deleted changes nothing.

    Raises:
        NotFound: There is none, or it is to be deleted and already is.
    """
    before = _one(conn, student_id, also_deleted=not deleted, lock=True)
    precondition(before["version"])
    if not deleted and before["deleted_at"] is None:
        return before, False
    deleted_at = actor.now if deleted else None
    student = _write(conn, before, {"deleted_at": deleted_at}, actor)
    told = [rules.Change("deleted_at", before["deleted_at"], deleted_at)]
    action = "deleted" if deleted else "restored"
    history.record(conn, history.entry(student_id, student["version"], action, told, actor))
    return student, True


def stats(conn: Connection) -> dict[str, Any]:
    """How many students there are, in all and by status, program and year; deleted ones only as ``deleted``."""
    by_status = Counter(dict.fromkeys(rules.STATUSES, 0))
    by_program: Counter[str | None] = Counter()
    by_year: Counter[int | None] = Counter()
    for status, year, program, count in conn.execute(COUNTED):
        by_status[status] += count
        by_program[program] += count
        by_year[year] += count
    programs = sorted(by_program.items(), key=lambda pair: (-pair[1], pair[0] is not None, pair[0]))
    years = sorted(by_year.items(), key=lambda pair: (pair[0] is not None, pair[0]))
    deleted = select(func.count()).select_from(students).where(c.deleted_at.is_not(None))
    return {
        "total": by_status.total(),
        "deleted": conn.execute(deleted).scalar_one(),
        "by_status": by_status,
        "by_program": [{"program": name, "count": count} for name, count in programs[:MAX_PROGRAMS_IN_STATS]],
        "by_year": [{"year": year, "count": count} for year, count in years],
    }


def _one(conn: Connection, student_id: str, *, also_deleted: bool, lock: bool) -> Student:
    row = conn.execute(ONE_LOCKED if lock else ONE, {"student_id": student_id}).first()
    if row is None or (row.deleted_at is not None and not also_deleted):
        raise NotFound("There is no such student.")
    return dict(zip(PUBLIC_NAMES, row, strict=True))


def _write(conn: Connection, before: Student, new: dict[str, Any], actor: Actor) -> Student:
    new = {**new, "version": before["version"] + 1, "updated_at": actor.now, "updated_by": actor.username}
    try:
        conn.execute(update(students).where(c.id == before["id"]).values(**new))
    except IntegrityError as error:
        # PostgreSQL only: another transaction took the value after we looked.
        raise DuplicateStudent("email" if "email_key" in str(error.orig) else "student_number") from None
    return before | {name: value for name, value in new.items() if name in PUBLIC_NAMES}


def _insert_unless_taken(conn: Connection, values: dict[str, Any]) -> bool:
    """Insert a student, waiting for whoever inserts the same number or e-mail just now; False when it is taken."""
    dialect = postgresql if conn.dialect.name == "postgresql" else sqlite
    inserted = dialect.insert(students).on_conflict_do_nothing().returning(c.id)
    return conn.execute(inserted, values).first() is not None


def _duplicate(conn: Connection, keys: dict[str, str | None], but: str | None = None) -> DuplicateStudent | None:
    same_email, same_number = c.email_key == keys["email_key"], c.student_number_key == keys["student_number_key"]
    query = select(c.id, c.deleted_at, same_email.label("by_email")).where(or_(same_email, same_number))
    if but is not None:
        query = query.where(c.id != but)
    row = conn.execute(query.order_by(same_email.desc()).limit(1)).first()
    if row is None:
        return None
    field = "email" if row.by_email else "student_number"
    return DuplicateStudent(field, taken_by=row.id, is_deleted=row.deleted_at is not None)


def next_numbers(conn: Connection, year: int, how_many: int, *, but: Iterable[str]) -> list[str]:
    """Numbers of a year that nobody has, and that aren't among the keys in ``but`` either."""
    avoided, numbers = set(but), list[str]()
    while len(numbers) < how_many:
        wanted = how_many - len(numbers)
        last = _count_on(conn, year, wanted)
        made = [_number(year, count) for count in range(last - wanted + 1, last + 1)]
        avoided |= set(conn.execute(select(c.student_number_key).where(c.student_number_key.in_(made))).scalars())
        numbers += [number for number in made if number not in avoided]
    return numbers


def _count_on(conn: Connection, year: int, by: int) -> int:
    """Count a year's numbers on; on PostgreSQL the counter's row is held until the transaction ends."""
    counter = number_counters.c
    counted = update(number_counters).where(counter.year == year).values(last=counter.last + by).returning(counter.last)
    last = conn.execute(counted).scalar_one_or_none()
    if last is None:
        first = {"year": year, "last": 0}
        if conn.dialect.name == "postgresql":
            conn.execute(postgresql.insert(number_counters).on_conflict_do_nothing(), first)
        else:
            conn.execute(insert(number_counters), first)
        last = conn.execute(counted).scalar_one()
    return int(last)


def _number(year: int, count: int) -> str:
    """A student number like ``2026-000123``."""
    return f"{year}-{count:06d}"
