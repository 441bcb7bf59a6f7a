"""What the OpenAPI document says beside each route: bodies, statuses and headers."""

from __future__ import annotations

from typing import Any

from student_service.batch_schemas import Batch, BatchWithRows
from student_service.schemas import PROBLEM_SCHEMA, STATUS_EVENT, STUDENT_CHANGES, WHOLE_STUDENT, Student

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"  # RFC 7396 §4
PROBLEM = "application/problem+json"

_ETAG = {"ETag": {"description": "The version of this answer, for If-Match.", "schema": {"type": "string"}}}
_LOCATION = {"Location": {"description": "Where the student is now.", "schema": {"type": "string"}}}
_REPLAYED = {
    "Idempotent-Replayed": {
        "description": "`true` when this is the stored answer of an earlier request with the same key.",
        "schema": {"type": "string", "enum": ["true"]},
    }
}
_WHY = {
    400: "An `If-Match` or `If-None-Match` header can't be read",
    401: "No valid access token",
    403: "The caller's role doesn't allow this",
    404: "There is no such student",
    409: "Another student has this number or e-mail, or a request with this Idempotency-Key is still running",
    412: "The student was changed since the version in `If-Match`",
    413: "The body is too large",
    415: "The body isn't JSON",
    422: "A value can't be accepted; `errors` names each field",
    503: "The database can't be reached right now",
}
_PROBLEM = {PROBLEM: {"schema": PROBLEM_SCHEMA}}

Responses = dict[int | str, dict[str, Any]]


def problems(*statuses: int) -> Responses:
    """These error statuses, and those that every route may answer."""
    return {s: {"description": _WHY[s], "content": _PROBLEM} for s in sorted({*statuses, 401, 403, 422, 503})}


def answer(model: Any, description: str) -> Responses:
    """A 200 with this shape."""
    return {200: {"model": model, "description": description}}


ONE_STUDENT: Responses = {200: {"model": Student, "description": "The student", "headers": _ETAG}}
CREATED: Responses = {
    201: {"model": Student, "description": "The new student", "headers": _ETAG | _LOCATION | _REPLAYED}
}
RESTORED: Responses = {200: {"model": Student, "description": "The student", "headers": _ETAG | _REPLAYED}}
DELETED: Responses = {204: {"description": "Deleted; it can be restored", "headers": _ETAG}}
NOT_MODIFIED: Responses = {304: {"description": "The version in `If-None-Match` is still the current one"}}

WHOLE_BODY = {"requestBody": {"required": True, "content": {JSON: {"schema": WHOLE_STUDENT}}}}
PATCH_BODY = {
    "requestBody": {
        "required": True,
        "content": {JSON: {"schema": STUDENT_CHANGES}, MERGE_PATCH: {"schema": STUDENT_CHANGES}},
    }
}
STATUS_BODY = {"requestBody": {"required": True, "content": {JSON: {"schema": STATUS_EVENT}}}}

_BATCH_LOCATION = {"Location": {"description": "Where the batch can be asked for.", "schema": {"type": "string"}}}
BATCH: Responses = {
    200: {"model": BatchWithRows, "description": "It is through", "headers": _BATCH_LOCATION | _REPLAYED}
}
BATCH_RUNNING: Responses = {
    202: {"model": BatchWithRows, "description": "It goes on; ask at `Location`", "headers": _BATCH_LOCATION}
}
BATCH_READ: Responses = {200: {"model": Batch, "description": "The batch"}}


def bulk_body(schema: dict[str, Any]) -> dict[str, Any]:
    """A JSON body of this shape."""
    return {"requestBody": {"required": True, "content": {JSON: {"schema": schema}}}}


IMPORTED: Responses = {
    201: {"model": BatchWithRows, "description": "The students were imported", "headers": _BATCH_LOCATION | _REPLAYED}
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
CSV_FILE: Responses = {200: {"description": "The file", "content": {"text/csv": _BINARY}}}
EXPORT_FILE: Responses = {
    200: {
        "description": "The file",
        "content": {
            "text/csv": _BINARY,
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": _BINARY,
            "application/zip": _BINARY,
        },
    }
}
_FORM = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "dry_run": {"type": "boolean"},
        "mode": {"type": "string", "enum": ["create", "upsert"]},
        "mapping": {"type": "string"},
        "all_or_nothing": {"type": "boolean"},
        "empty_cells": {"type": "string", "enum": ["clear", "keep"]},
    },
}
FILE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": _FORM},
            "text/csv": _BINARY,
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": _BINARY,
            "application/zip": _BINARY,
        },
    }
}
