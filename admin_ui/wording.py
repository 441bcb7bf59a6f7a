"""How values read on a page: dates, statuses, roles, and the names of fields. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import orjson

STATUSES = {
    "applicant": "Applicant",
    "enrolled": "Enrolled",
    "on_leave": "On leave",
    "graduated": "Graduated",
    "withdrawn": "Withdrawn",
}
ROLES = {"viewer": "Viewer", "registrar": "Registrar", "admin": "Administrator"}
FIELDS = {
    "student_number": "Student number",
    "first_name": "First name",
    "middle_name": "Middle name",
    "last_name": "Last name",
    "preferred_name": "Preferred name",
    "email": "E-mail",
    "phone": "Phone",
    "date_of_birth": "Date of birth",
    "program": "Program",
    "year": "Year",
    "status": "Status",
    "enrolled_on": "Enrolled on",
    "guardians": "Guardians",
    "notes": "Notes",
    "deleted_at": "Deleted",
    "username": "User name",
    "new_again": "New password again",
    "on": "Since",
    "reason": "Reason",
    "id": "Student",
    "sourced_id": "Id in the other system",
    "sourcedId": "Id in the other system",
}
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def day(value: Any) -> str:
    """``2011-03-05`` as ``5 Mar 2011``; what isn't a date, as it is."""
    try:
        found = date.fromisoformat(str(value)[:10])
    except ValueError:
        return str(value or "")
    return f"{found.day} {MONTHS[found.month - 1]} {found.year}"


def moment(value: Any) -> str:
    """A time of the API as ``5 Mar 2011, 14:02 UTC``; a script of the page puts it into the reader's own zone."""
    try:
        found = datetime.fromisoformat(str(value)).astimezone(UTC)
    except ValueError:
        return str(value or "")
    return f"{found.day} {MONTHS[found.month - 1]} {found.year}, {found:%H:%M} UTC"


def status_label(value: Any) -> str:
    """``on_leave`` as ``On leave``."""
    return STATUSES.get(str(value), str(value))


def role_label(value: Any) -> str:
    """``admin`` as ``Administrator``."""
    return ROLES.get(str(value), str(value))


def field_label(value: Any) -> str:
    """A field's name as people know it, ``guardians.0.email`` too."""
    name = str(value)
    if name in FIELDS:
        return FIELDS[name]
    first, _, rest = name.partition(".")
    number, _, part = rest.partition(".")
    imported = re.fullmatch(r"guardian_(\d+)_(\w+)", name)
    if imported:
        return f"Guardian {imported[1]}, {imported[2]}"
    if first == "guardians" and number.isdigit():
        return f"Guardian {int(number) + 1}" + (f", {part}" if part else "")
    return name.replace("_", " ").capitalize()


def full_name(student: Mapping[str, Any]) -> str:
    """The name that a person goes by, and the family name."""
    return f"{student['preferred_name'] or student['first_name']} {student['last_name']}"


def initials(student: Mapping[str, Any]) -> str:
    """One or two letters for the place of a picture."""
    return f"{str(student['preferred_name'] or student['first_name'])[:1]}{str(student['last_name'])[:1]}".upper()


def plain(value: Any, field: str = "") -> str:
    """A value of any field as one line of text;"""
    if value in (None, "", []):
        return "empty"
    if field == "status":
        return status_label(value)
    if field in {"date_of_birth", "enrolled_on"}:
        return day(value)
    if field == "deleted_at":
        return moment(value)
    if isinstance(value, list):
        return "; ".join(", ".join(str(part) for part in entry.values() if part) for entry in value)
    return str(value)


OUTCOMES = {
    "create": "to add",
    "update": "to change",
    "restore": "to restore",
    "delete": "to delete",
    "unchanged": "unchanged",
    "skipped": "passed over",
    "created": "added",
    "updated": "changed",
    "deleted": "deleted",
    "restored": "restored",
    "waiting": "waiting",
    "error": "not possible",
}


def tallies(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """The outcomes that rows of a batch have, with how many, always in the same order and errors last."""
    return [(outcome, counts[outcome]) for outcome in OUTCOMES if counts.get(outcome)]


def outcome_label(value: Any) -> str:
    """What becomes or became of a row of a batch."""
    return OUTCOMES.get(str(value), str(value))


def as_json(value: Any) -> str:
    """A value as JSON text, for a form to carry along."""
    return orjson.dumps(value).decode()


def count(value: int) -> str:
    """A number with thin spaces between thousands."""
    return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def megabytes(value: int) -> str:
    """A number of bytes as ``10 MB``, as people call 10 MiB too; never more than it is."""
    tenths = value * 10 // 2**20
    return f"{tenths // 10} MB" if tenths >= 100 or tenths % 10 == 0 else f"{tenths / 10} MB"


FILTERS: dict[str, Callable[..., Any]] = {
    "count": count,
    "day": day,
    "field_label": field_label,
    "full_name": full_name,
    "initials": initials,
    "json": as_json,
    "megabytes": megabytes,
    "moment": moment,
    "outcome_label": outcome_label,
    "plain": plain,
    "role_label": role_label,
    "status_label": status_label,
    "tallies": tallies,
}
