"""The shapes of requests and answers, for the OpenAPI document only: the rules decide what is accepted.

Models would check each answer once more on its way out, which is most of what a list costs; so answers are written
straight from their rows, and a test holds them to these shapes.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from student_service import rules, values

Status = Literal["applicant", "enrolled", "on_leave", "graduated", "withdrawn"]
Action = Literal["created", "updated", "deleted", "restored", "undone"]


class Shape(BaseModel):
    """An answer has these members and no others."""

    model_config = ConfigDict(extra="forbid")


class Guardian(Shape):
    """Who to call about a student."""

    name: str
    relation: str | None
    email: str | None
    phone: str | None


class Student(Shape):
    """A student as every answer has it."""

    id: str
    student_number: str
    first_name: str
    middle_name: str | None
    last_name: str
    preferred_name: str | None
    email: str
    phone: str | None
    date_of_birth: date | None
    program: str | None
    year: int | None
    status: Status
    enrolled_on: date | None
    guardians: list[Guardian]
    notes: str | None
    version: int
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str
    deleted_at: datetime | None


class StudentPage(Shape):
    """One page of students."""

    items: list[Student]
    next_cursor: str | None
    total: int


class Who(Shape):
    """The user that made a change."""

    id: str
    username: str


class FieldChange(Shape):
    """One field before and after."""

    field: str
    old: Any
    new: Any


class Told(Shape):
    """What history and timeline say alike; ``batch_id`` is the import or bulk change that made the change."""

    id: str
    version: int
    action: Action
    at: datetime
    by: Who
    reason: str | None
    batch_id: str | None


class HistoryEntry(Told):
    """What one request changed."""

    request_id: str
    changes: list[FieldChange]


class TimelineEntry(Told):
    """A status, since which day and from which one; None where the student was new."""

    status: Status
    previous_status: Status | None
    on: date


class TimelinePage(Shape):
    """One page of a timeline."""

    items: list[TimelineEntry]
    next_cursor: str | None
    total: int


class HistoryPage(Shape):
    """One page of a history."""

    items: list[HistoryEntry]
    next_cursor: str | None
    total: int


class ProgramCount(Shape):
    """How many are in a program."""

    program: str | None
    count: int


class YearCount(Shape):
    """How many are in a year."""

    year: int | None
    count: int


class Stats(Shape):
    """How many there are."""

    total: int
    deleted: int
    by_status: dict[Status, int]
    by_program: list[ProgramCount]
    by_year: list[YearCount]


_TEXT = {"type": "string"}
# Written out at each status: FastAPI files a model under application/json as well.
PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "request_id"],
    "properties": {
        **dict.fromkeys(("type", "title", "detail", "instance", "request_id"), _TEXT),
        "status": {"type": "integer"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": _TEXT, "message": _TEXT},
            },
        },
    },
}


def _text(longest: int, **more: Any) -> dict[str, Any]:
    return {"type": ["string", "null"], "maxLength": longest, **more}


def _needed(longest: int, **more: Any) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": longest, **more}


_EMAIL = {"maxLength": values.MAX_EMAIL_LENGTH, "format": "email"}
_GUARDIAN = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {
        "name": _needed(200),
        "relation": _text(50),
        "email": {"type": ["string", "null"], **_EMAIL},
        "phone": _text(values.MAX_PHONE_LENGTH),
    },
}
_PROPERTIES: dict[str, Any] = {
    "student_number": _text(32, description="Made when it isn't given, like 2026-000123."),
    "first_name": _needed(100),
    "middle_name": _text(100),
    "last_name": _needed(100),
    "preferred_name": _text(100),
    "email": {"type": "string", **_EMAIL},
    "phone": _text(values.MAX_PHONE_LENGTH),
    "date_of_birth": {"type": ["string", "null"], "format": "date"},
    "program": _text(100),
    "year": {"type": ["integer", "null"], "minimum": rules.MIN_YEAR, "maximum": rules.MAX_YEAR},
    "status": {"type": "string", "enum": list(rules.STATUSES), "default": rules.DEFAULT_STATUS},
    "enrolled_on": {"type": ["string", "null"], "format": "date"},
    "guardians": {"type": ["array", "null"], "maxItems": rules.MAX_GUARDIANS, "items": _GUARDIAN},
    "notes": _text(5000),
}
EXAMPLE = {
    "first_name": "Zoë",
    "last_name": "Müller",
    "email": "zoe.mueller@example.org",
    "date_of_birth": "2011-03-05",
    "program": "Sciences",
    "year": 9,
    "guardians": [{"name": "Anna Müller", "relation": "mother", "phone": "+49 30 901820"}],
}
WHOLE_STUDENT: dict[str, Any] = {
    "title": "StudentInput",
    "type": "object",
    "required": [name for name, rule in rules.FIELDS.items() if rule.required],
    "additionalProperties": False,
    "properties": _PROPERTIES,
    "example": EXAMPLE,
}
STUDENT_CHANGES: dict[str, Any] = {
    "title": "StudentChanges",
    "type": "object",
    "additionalProperties": False,
    "properties": _PROPERTIES
    | {"student_number": _needed(32), "status": {"type": "string", "enum": list(rules.STATUSES)}},
    "example": {"status": "on_leave", "notes": None},
}
STATUS_EVENT: dict[str, Any] = {
    "title": "StatusEvent",
    "type": "object",
    "required": ["status", "reason"],
    "additionalProperties": False,
    "properties": {
        "status": {"type": "string", "enum": list(rules.STATUSES)},
        "on": {"type": ["string", "null"], "format": "date", "description": "The day it happened; today by default."},
        "reason": _needed(rules.MAX_REASON_LENGTH),
    },
    "example": {"status": "on_leave", "on": "2026-09-01", "reason": "A term abroad"},
}
