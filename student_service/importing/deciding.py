"""What a row amounts to, given the students there are: the same when it is previewed and when it is applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import Connection, select, tuple_

from student_service import many, rules
from student_service.folding import email_key, unique_key
from student_service.importing.columns import with_guardians
from student_service.many import Known
from student_service.models import history
from student_service.repository import Student
from student_service.rules import Change, Fields, InvalidStudent, Wrong

DELETES = "delete"  # a member of what a row gives: the student is to be deleted
NAMED = {"student_number": "student number", "email": "e-mail address"}


@dataclass(frozen=True)
class Terms:
    """How an import is to be done."""

    mode: str
    fields: tuple[str | None, ...]  # of the columns

    @property
    def may_update(self) -> bool:
        return self.mode == "upsert"


@dataclass
class Decision:
    """What becomes of a row."""

    outcome: str
    before: Student | None = None
    after: Fields | None = None
    errors: list[Wrong] = field(default_factory=list)

    @property
    def changes(self) -> list[Change]:
        """What differs for a student there is."""
        if self.before is None or self.after is None:
            return []
        told = rules.difference(self.before, self.after)
        if self.outcome == "restore":
            told.append(Change("deleted_at", self.before["deleted_at"], None))
        return told


def keys_in(given: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The keys of the student number and of the e-mail address that a row gives."""
    number, email = given.get("student_number"), given.get("email")
    return unique_key(number) if number else None, email_key(email) if email else None


def look_up(conn: Connection, rows: Sequence[Mapping[str, Any]], *, lock: bool = False) -> tuple[Known, set[str]]:
    """The students that rows are about, and the ids of those among them that were deleted by an undo."""
    keys = [keys_in(given) for given in rows]
    numbers = [number for number, _ in keys if number]
    known = many.look_up(conn, numbers=numbers, emails=[email for _, email in keys if email], lock=lock)
    deleted = [(s["id"], s["version"]) for s in known.by_id.values() if s["deleted_at"] is not None]
    if not deleted:
        return known, set()
    h = history.c
    undone = select(h.student_id).where(tuple_(h.student_id, h.version).in_(deleted), h.action == "undone")
    return known, set(conn.execute(undone).scalars())


def is_known(given: Mapping[str, Any], known: Known) -> bool:
    """Whether a row is about a student there is."""
    number, email = keys_in(given)
    return (known.holder("student_number", number) if number else known.holder("email", email)) is not None


def decide(terms: Terms, given: Mapping[str, Any], known: Known, undone: set[str]) -> Decision:
    """What becomes of a row whose fields are cleaned.

    Its student is the one with its number; without a number, the one with its e-mail address.
    """
    number, email = keys_in(given)
    before = known.holder("student_number", number) if number else known.holder("email", email)
    key = "student_number" if number else "email"
    if not number and not email:
        return Decision(
            "error", errors=[Wrong("student_number", "or the e-mail address is needed to know the student")]
        )
    if given.get(DELETES):
        return _deletion(terms, before)
    holder = known.holder("email", email) if email else None
    if holder is not None and holder is not before and (before is None or holder["id"] != before["id"]):
        is_deleted = holder["deleted_at"] is not None
        return Decision("error", before, errors=[Wrong("email", taken("email", is_deleted=is_deleted))])
    fields = {name: value for name, value in given.items() if name in rules.FIELDS}
    try:
        if before is None:
            if "guardians" in fields:
                fields["guardians"] = with_guardians(given, terms.fields, [])
            return Decision("create", None, rules.completed(fields))
        is_deleted = before["deleted_at"] is not None
        if not terms.may_update and not (is_deleted and before["id"] in undone):
            return Decision("error", before, errors=[Wrong(key, taken(key, is_deleted=is_deleted))])
        if "guardians" in fields:
            fields["guardians"] = with_guardians(given, terms.fields, before["guardians"])
        after = rules.merged(before, fields)
    except InvalidStudent as invalid:
        return Decision("error", before, errors=invalid.errors)
    if is_deleted:
        return Decision("restore", before, after)
    return Decision("update" if rules.difference(before, after) else "unchanged", before, after)


def _deletion(terms: Terms, before: Student | None) -> Decision:
    if before is None or before["deleted_at"] is not None:
        return Decision("unchanged", before)
    if not terms.may_update:
        return Decision("error", before, errors=[Wrong("status", "deletes a student, which the mode create doesn't")])
    return Decision("delete", before, {name: before[name] for name in rules.FIELDS})


def taken(key: str, *, is_deleted: bool = False) -> str:
    """The message that a number or an address belongs to somebody else."""
    whose = "A deleted student has" if is_deleted else "Another student already has"
    return f"{whose} this {NAMED[key]}"


def plain(given: Mapping[str, Any]) -> dict[str, Any]:
    """What a row gives, as JSON holds it."""
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in given.items()}


def typed(given: Mapping[str, Any]) -> dict[str, Any]:
    """What ``plain`` made JSON of."""
    dates = ("date_of_birth", "enrolled_on")
    return {
        name: date.fromisoformat(value) if name in dates and value is not None else value
        for name, value in given.items()
    }
