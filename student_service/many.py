"""Many students written at once: a few statements for hundreds of them, each with its history.

What ``repository`` does for one student. Each function works in the transaction of the connection it is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, literal, select, update

from servicekit.ids import uuid7
from student_service import history, rules
from student_service.claims import Claim, Who, refused
from student_service.folding import email_key, keys_of, unique_key
from student_service.history import Actor, Why
from student_service.models import students
from student_service.repository import PUBLIC, PUBLIC_NAMES, Student, next_numbers
from student_service.row_sets import insert_rows, update_rows

c = students.c
KEYS = {"email": c.email_key, "student_number": c.student_number_key}
Holders = Mapping[str, Mapping[str, str]]  # field → key → id of the student that has it


@dataclass(frozen=True)
class Edit:
    """One student as it is to become."""

    before: Student
    after: rules.Fields
    action: str
    deleted: bool = False
    is_removed: bool = False  # the student is deleted because adding it is taken back
    why: Why | None = None


@dataclass
class Known:
    """Students that were looked up, by id and by their unique keys."""

    by_id: dict[str, Student] = field(default_factory=dict)
    by_number: dict[str, Student] = field(default_factory=dict)
    by_email: dict[str, Student] = field(default_factory=dict)
    by_source: dict[str, Student] = field(default_factory=dict)

    def holder(self, name: str, key: str | None) -> Student | None:
        """Who has this student number or e-mail."""
        return (self.by_number if name == "student_number" else self.by_email).get(key or "")

    def holders(self) -> Holders:
        """Who has which key of those that were looked up."""
        by_key = {"student_number": self.by_number, "email": self.by_email}
        return {name: {key: student["id"] for key, student in found.items()} for name, found in by_key.items()}


def look_up(
    conn: Connection,
    *,
    ids: Iterable[str] = (),
    numbers: Iterable[str] = (),
    emails: Iterable[str] = (),
    lock: bool = False,
) -> Known:
    """Students, deleted ones too, by any of these ids and keys; locked in one order, so that none block each other."""
    asked = [
        column.in_(wanted)
        for column, wanted in ((c.id, set(ids)), (c.student_number_key, set(numbers)), (c.email_key, set(emails)))
        if wanted
    ]
    known = Known()
    # One query for each kind of key: an OR of long lists would have some databases read the whole table.
    for condition in asked:
        query = select(*PUBLIC, c.student_number_key, c.email_key).where(condition).order_by(c.id)
        for row in conn.execute(query.with_for_update() if lock else query):
            student = dict(zip(PUBLIC_NAMES, row, strict=False))
            known.by_id[student["id"]] = student
            known.by_number[row.student_number_key] = student
            known.by_email[row.email_key] = student
    return known


def holders(conn: Connection, edits: Sequence[Edit]) -> Holders:
    """Who has what students are to have."""
    after = [unique_keys(edit.after) for edit in edits if _moves(edit)]
    found: dict[str, dict[str, str]] = {name: {} for name in KEYS}
    for name, column in KEYS.items():
        wanted = {keys[name] for keys in after}
        if wanted:
            for row in conn.execute(select(column.label("key"), c.id).where(column.in_(wanted))):
                found[name][row.key] = row.id
    return found


def clashes(held: Holders, edits: Sequence[Edit], added: Sequence[rules.Fields] = ()) -> dict[Who, list[str]]:
    """Who can't have a number or an e-mail because somebody else keeps it: id of the student, or index among those to
    be added → fields. What another one gets rid of at the same time is free.
    """
    after: dict[Who, dict[str, str | None]] = {edit.before["id"]: unique_keys(edit.after) for edit in edits}
    wanting = [*after.items(), *enumerate(unique_keys(fields) for fields in added)]
    claims = [
        Claim(who, name, holder, holder in after and after[holder][name] != key)
        for who, keys in wanting
        for name, key in keys.items()
        if key is not None and (holder := held[name].get(key)) is not None and holder != who
    ]
    return refused(claims) if claims else {}


def unique_keys(fields: rules.Fields) -> dict[str, str | None]:
    """What nobody else may have."""
    number = fields["student_number"]
    return {"email": email_key(fields["email"]), "student_number": None if number is None else unique_key(number)}


def _moves(edit: Edit) -> bool:
    """Whether it changes what nobody else may have."""
    return any(edit.after[name] != edit.before[name] for name in KEYS)


def _set_aside(conn: Connection, edits: Sequence[Edit]) -> None:
    """Free the keys that students pass on to each other: unique indexes are checked row by row."""
    moving = [(edit.before["id"], unique_keys(edit.before), unique_keys(edit.after)) for edit in edits if _moves(edit)]
    for name, column in KEYS.items():
        wanted = {after[name]: student_id for student_id, _, after in moving}
        givers = [student_id for student_id, before, _ in moving if wanted.get(before[name], student_id) != student_id]
        if givers:
            # A blank is in no number and no address.
            aside = update(students).where(c.id.in_(givers)).values({column.name: literal("moving ") + c.id})
            conn.execute(aside)


def insert_all(conn: Connection, fields: Sequence[rules.Fields], actor: Actor) -> list[str]:
    """Add students whose keys are free, with numbers made for those without one; their ids."""
    if not fields:
        return []
    missing = sum(one["student_number"] is None for one in fields)
    chosen = {unique_key(one["student_number"]) for one in fields if one["student_number"]}
    made = iter(next_numbers(conn, actor.today.year, missing, but=chosen))
    system = {
        "version": 1, "created_at": actor.now, "created_by": actor.username,
        "updated_at": actor.now, "updated_by": actor.username, "deleted_at": None,
    }  # fmt: skip
    rows, told = [], []
    for one in fields:
        student = {**one, "id": uuid7(), "student_number": one["student_number"] or next(made), **system}
        rows.append({**student, **keys_of(student)})
        changes = rules.difference(rules.NOTHING, student)
        told.append(history.entry(student["id"], 1, "created", changes, actor))
    insert_rows(conn, students, rows)
    history.record(conn, *told)
    return [str(row["id"]) for row in rows]


def update_all(conn: Connection, edits: Sequence[Edit], actor: Actor) -> None:
    """Make students what the edits say; each gets a new version and its history entry."""
    if not edits:
        return
    rows: list[dict[str, Any]] = []
    told = []
    for edit in edits:
        before, version = edit.before, edit.before["version"] + 1
        deleted_at = (before["deleted_at"] or actor.now) if edit.deleted else None
        row = {name: edit.after[name] for name in rules.FIELDS} | keys_of(edit.after)
        row |= {"id": before["id"], "version": version, "deleted_at": deleted_at}
        rows.append(row | {"updated_at": actor.now, "updated_by": actor.username})
        changes = rules.difference(before, edit.after)
        if deleted_at != before["deleted_at"]:
            changes.append(rules.Change("deleted_at", before["deleted_at"], deleted_at))
        told.append(history.entry(before["id"], version, edit.action, changes, actor, edit.why))
    _set_aside(conn, edits)
    update_rows(conn, students, rows, found_by=("id",))
    history.record(conn, *told)
