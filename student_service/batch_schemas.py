"""The shapes of imports, bulk changes and their rows, for the OpenAPI document only."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from student_service import rules
from student_service.bulk import ACTIONS, MAX_IDS
from student_service.schemas import FieldChange, Shape, Who

State = Literal[
    "reading", "previewed", "rejected", "applying", "done", "reverting", "undoing", "undone", "failed"
]  # fmt: skip
Outcome = Literal[
    "create", "update", "restore", "delete", "unchanged", "skipped", "error",
    "waiting", "updated", "deleted", "restored", "created",
]  # fmt: skip


class RowError(Shape):
    """What is wrong with a row."""

    field: str
    message: str


class NamedStudent(Shape):
    """Whom it is about, as that student is now; a deleted one too."""

    student_number: str
    first_name: str
    last_name: str
    preferred_name: str | None
    deleted_at: datetime | None


class BatchRow(Shape):
    """One row: what is to become of it or became of it. ``line`` is the file's own line, where the row begins.
    ``values`` are those of the file and are forgotten once they are applied; ``student`` is null while a row has none.
    """

    position: int
    line: int | None
    student_id: str | None
    student: NamedStudent | None
    outcome: Outcome
    values: dict[str, Any] | None
    changes: list[FieldChange]
    errors: list[RowError]


class BatchRowPage(Shape):
    """One page of rows."""

    items: list[BatchRow]
    next_cursor: str | None
    total: int


class KeptStudent(Shape):
    """A student that an undo left as it is, since somebody has changed it or needs what it had."""

    student_id: str
    student: NamedStudent | None


class KeptPage(Shape):
    """One page of those."""

    items: list[KeptStudent]
    next_cursor: str | None
    total: int


class ColumnUse(Shape):
    """A column of the file and the field it goes to; None where it isn't used."""

    column: str
    field: str | None


class Batch(Shape):
    """Many students changed by one request. While ``state`` ends in "ing", ask again for how far it is.

    ``can_commit``: a preview can be imported as it was asked for. ``can_commit_rest``: it can with
    ``all_or_nothing=false``, which leaves out the rows that have errors.
    """

    id: str
    kind: Literal["import", "bulk"]
    state: State
    created_at: datetime
    by: Who
    settings: dict[str, Any]
    columns: list[ColumnUse] | None
    rows_total: int | None
    rows_read: int
    rows_applied: int
    counts: dict[Outcome, int]
    message: str | None
    finished_at: datetime | None
    can_commit: bool
    can_commit_rest: bool
    can_undo: bool
    undone_at: datetime | None
    undone_by: Who | None
    rows_undone: int
    rows_kept: int
    kept: list[str]


class BatchWithRows(Batch):
    """A batch with the first of its rows."""

    rows: BatchRowPage


class BatchPage(Shape):
    """One page of batches."""

    items: list[Batch]
    next_cursor: str | None
    total: int


BULK_CHANGE: dict[str, Any] = {
    "title": "BulkChange",
    "type": "object",
    "required": ["action"],
    "additionalProperties": False,
    "properties": {
        "action": {"type": "string", "enum": list(ACTIONS)},
        "set": {
            "type": "object",
            "description": "With the action update: what to set. A status needs a reason.",
            "minProperties": 1,
            "additionalProperties": False,
            "properties": {
                "status": {"type": "string", "enum": list(rules.STATUSES)},
                "program": {"type": ["string", "null"], "maxLength": 100},
                "year": {"type": ["integer", "null"], "minimum": rules.MIN_YEAR, "maximum": rules.MAX_YEAR},
            },
        },
        "on": {"type": ["string", "null"], "format": "date", "description": "Since when; today by default."},
        "reason": {"type": ["string", "null"], "maxLength": rules.MAX_REASON_LENGTH},
        "ids": {
            "type": "array", "minItems": 1, "maxItems": MAX_IDS, "items": {"type": "string", "format": "uuid"},
            "description": "Whom, or else a filter.",
        },
        "filter": {
            "type": "object",
            "description": "All that the list shows with these parameters, at this moment; {} is everybody.",
            "additionalProperties": False,
            "properties": {
                "q": {"type": "string"},
                "status": {"type": "string", "enum": list(rules.STATUSES)},
                "program": {"type": "string"},
                "year": {"type": "integer", "minimum": rules.MIN_YEAR, "maximum": rules.MAX_YEAR},
                "deleted": {"type": "boolean"},
            },
        },
        "expected": {
            "type": "integer", "minimum": 0,
            "description": "How many students it is thought to be about; 409 when it is another number.",
        },
    },
    "example": {
        "action": "update", "set": {"status": "graduated"}, "reason": "Class of 2026",
        "filter": {"year": 12, "status": "enrolled"}, "expected": 120,
    },
}  # fmt: skip
