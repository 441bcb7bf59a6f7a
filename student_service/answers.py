"""Answers, written by orjson straight from the rows: ``schemas`` says their shapes for the document."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import Response

from student_service.conditional import entity_tag
from student_service.documented import JSON
from student_service.idempotency import Answer
from student_service.repository import Student

# Personal data: no shared cache keeps it, and nobody shows it again without asking.
PRIVATE = {"Cache-Control": "private, no-cache"}


def encode(value: Any) -> bytes:
    """JSON as every answer has it: UTF-8, times in UTC with a Z."""
    return orjson.dumps(value, option=orjson.OPT_UTC_Z)


def json_response(value: Any) -> Response:
    """A list or something else that has no version."""
    return Response(encode(value), media_type=JSON, headers=PRIVATE)


def student_response(student: Student) -> Response:
    """One student with its entity tag."""
    return Response(encode(student), media_type=JSON, headers={"ETag": entity_tag(student["version"]), **PRIVATE})


def not_modified(student: Student) -> Response:
    """RFC 9110 §15.4.5: the headers of the 200, no body."""
    return Response(status_code=304, headers={"ETag": entity_tag(student["version"]), **PRIVATE})


def deleted_response(student: Student) -> Response:
    """The tag is that of the deleted version, for a guarded restore."""
    return Response(status_code=204, headers={"ETag": entity_tag(student["version"])})


def answer_of(student: Student, status: int, headers: dict[str, str] | None = None) -> Answer:
    """An answer that can be stored and sent again as it was."""
    return Answer(status, encode(student), {"ETag": entity_tag(student["version"]), **PRIVATE, **(headers or {})})


def response_of(found: Answer, *, is_replay: bool) -> Response:
    """A stored or a fresh answer."""
    headers = found.headers | ({"Idempotent-Replayed": "true"} if is_replay else {})
    return Response(found.body, found.status, headers, JSON)
