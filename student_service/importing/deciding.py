"""What a row amounts to, given the students there are: the same when it is previewed and when it is applied."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import Connection, select, tuple_

from student_service import many, rules, sources
from student_service.folding import email_key, unique_key
from student_service.importing.columns import SOURCE, SOURCE_COLUMN, with_guardians
from student_service.many import Known
from student_service.models import history
from student_service.repository import Student
from student_service.rules import Change, Fields, InvalidStudent, Wrong

DELETES = "delete"  # a member of what a row gives, beside the fields of a student and SOURCE: it is to be deleted
NAMED = {"student_number": "student number", "email": "e-mail address", SOURCE_COLUMN: "sourcedId"}
NO_KEY = Wrong("student_number", "or the e-mail address is needed to know the student")
UNKNOWN = Wrong(SOURCE_COLUMN, "is of no student there is; a new one has a student number or an e-mail address")
OWN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


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
    claims: list[Wrong] = field(default_factory=list)  # of what others have, who may get rid of it in the same file

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
    emails = [email for _, email in keys if email]
    wanted = {given[SOURCE] for given in rows if SOURCE in given}
    # Our own ids are what an export of ours has there.
    ids = {source: source.lower() for source in wanted if OWN_ID.fullmatch(source.lower())}
    ids |= sources.find(conn, wanted)
    known = many.look_up(conn, ids=ids.values(), numbers=numbers, emails=emails, lock=lock)
    known.by_source = {source: known.by_id[found] for source, found in ids.items() if found in known.by_id}
    deleted = [(s["id"], s["version"]) for s in known.by_id.values() if s["deleted_at"] is not None]
    if not deleted:
        return known, set()
    h = history.c
    undone = select(h.student_id).where(tuple_(h.student_id, h.version).in_(deleted), h.action == "undone")
    return known, set(conn.execute(undone).scalars())


def whom(given: Mapping[str, Any], known: Known) -> tuple[Student | None, str]:
    """The student that a row is about, and what tells: the sender's id if we know it, else the number; where none is
    given, the e-mail address.
    """
    number, email = keys_in(given)
    student = known.by_source.get(given.get(SOURCE, ""))
    if student is not None:
        return student, SOURCE_COLUMN
    if number:
        return known.holder("student_number", number), "student_number"
    return known.holder("email", email), "email"


def decide(terms: Terms, given: Mapping[str, Any], known: Known, undone: set[str]) -> Decision:
    """What becomes of a row whose fields are cleaned."""
    before, key = whom(given, known)
    if before is None and not any(keys_in(given)) and not (given.get(DELETES) and SOURCE in given):
        return Decision("error", errors=[UNKNOWN if SOURCE in given else NO_KEY])
    if given.get(DELETES):
        return _deletion(terms, before)
    claims = _claims(given, before, known)
    fields = {name: value for name, value in given.items() if name in rules.FIELDS}
    try:
        if before is None:
            if "guardians" in fields:
                fields["guardians"] = with_guardians(given, terms.fields, [])
            return Decision("create", None, rules.completed(fields), claims=claims)
        is_deleted = before["deleted_at"] is not None
        if not terms.may_update and not (is_deleted and before["id"] in undone):
            return Decision("error", before, errors=[Wrong(key, taken(key, is_deleted=is_deleted))])
        if "guardians" in fields:
            fields["guardians"] = with_guardians(given, terms.fields, before["guardians"])
        after = rules.merged(before, fields)
    except InvalidStudent as invalid:
        return Decision("error", before, errors=[*claims, *invalid.errors])
    if is_deleted:
        return Decision("restore", before, after, claims=claims)
    return Decision("update" if rules.difference(before, after) else "unchanged", before, after, claims=claims)


def _claims(given: Mapping[str, Any], before: Student | None, known: Known) -> list[Wrong]:
    found = []
    for name, key in zip(("student_number", "email"), keys_in(given), strict=True):
        holder = known.holder(name, key)
        if holder is not None and (before is None or holder["id"] != before["id"]):
            found.append(Wrong(name, taken(name, is_deleted=holder["deleted_at"] is not None)))
    return found


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
