"""The service's own conditions, on top of servicekit's.

Conflict 409
├── DuplicateStudent      another student, deleted or not, has this number or e-mail
└── StillRunning          a request with this Idempotency-Key has not been answered yet
Unprocessable 422
└── KeyUsedOtherwise      this Idempotency-Key came with another request before
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from servicekit.problems import Conflict, FieldError, Unprocessable
from student_service.rules import InvalidStudent


class DuplicateStudent(Conflict):
    """``field`` says which value is taken, ``is_deleted`` whether by a deleted student, who can be restored."""

    slug = "duplicate-student"

    def __init__(self, field: str, *, taken_by: str | None = None, is_deleted: bool = False) -> None:
        what = {"email": "e-mail address", "student_number": "student number"}[field]
        detail = f"Another student already has this {what}."
        if is_deleted:
            detail = f"A deleted student has this {what}: restore that record, or change it first."
        self.field = field
        super().__init__(detail, field=field, errors=[{"field": field, "message": detail}])
        if taken_by is not None:
            self.members |= {"student_id": taken_by, "is_deleted": is_deleted}


class StillRunning(Conflict):
    """The first request with this key has no answer yet."""

    slug = "request-in-progress"

    def __init__(self) -> None:
        super().__init__(
            "A request with this Idempotency-Key is still running; ask again in a moment.", headers={"Retry-After": "1"}
        )


class KeyUsedOtherwise(Unprocessable):
    """Answering with the first answer would be a lie."""

    slug = "idempotency-key-reused"

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was used for another request.",
            errors=[FieldError("Idempotency-Key", "was used for another request; take a new one")],
        )


@contextmanager
def told_by_field() -> Iterator[None]:
    """Turn what the rules found wrong into a 422 that names each field."""
    try:
        yield
    except InvalidStudent as invalid:
        raise Unprocessable(errors=[FieldError(field, message) for field, message in invalid.errors]) from None
