"""The routes of student records: each reads what is asked, calls one thing, and writes the answer.

Endpoints are plain functions, so a worker thread runs them and the database may block. Answers are written by orjson
straight from the rows; ``schemas`` says their shapes for the document.
"""

from __future__ import annotations

from fastapi import Request, Response
from sqlalchemy import Connection

from servicekit.logs import get_logger
from servicekit.paging import DEFAULT_LIMIT
from student_service import documented, history, repository, rules, schemas
from student_service.answers import (
    answer_of,
    deleted_response,
    json_response,
    not_modified,
    response_of,
    student_response,
)
from student_service.asked import (
    AlsoDeleted,
    Body,
    Cursor,
    IdempotencyKey,
    IfMatch,
    IfNoneMatch,
    Limit,
    PatchBody,
    Reader,
    Selected,
    Sort,
    StudentId,
    Writer,
    actor_of,
    is_unchanged,
    precondition,
)
from student_service.documented import answer, problems
from student_service.errors import told_by_field
from student_service.history import Why
from student_service.idempotency import Answer, run_once
from student_service.listing import DEFAULT_SORT, Order
from student_service.repository import Student
from student_service.routing import database, keyed_request, only, reads, students_router

log = get_logger()
router = students_router()


@reads(router, "/", summary="List students", responses={**answer(schemas.StudentPage, "One page"), **problems()})
def list_students(
    request: Request,
    _: Reader,
    filters: Selected,
    sort: Sort = DEFAULT_SORT,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response:
    """Students that pass all the filters, a page at a time. Pages follow the sort, and a student that is added or
    removed meanwhile shifts nobody else. A missing value sorts before all others.
    """
    with database(request).read() as conn:
        found = repository.listed(conn, filters, Order.of(sort), limit, cursor)
    return json_response(found)


@router.post("", status_code=201, include_in_schema=False)
@router.post(
    "/",
    summary="Add a student",
    status_code=201,
    responses={**documented.CREATED, **problems(409, 413, 415)},
    openapi_extra=documented.WHOLE_BODY,
)
def create_student(request: Request, caller: Writer, body: Body, idempotency_key: IdempotencyKey = None) -> Response:
    """Add a student. A number is made unless one is given. Deleted students keep their number and e-mail address, so
    that they can be restored.
    """
    actor = actor_of(request, caller)
    with told_by_field():
        fields = rules.clean_whole(body, actor.today)

    def effect(conn: Connection) -> Answer:
        student = repository.create(conn, fields, actor)
        return answer_of(student, 201, {"Location": f"/students/{student['id']}"})

    keyed = keyed_request(caller, "POST /students", idempotency_key, body)
    found, is_replay = run_once(database(request), keyed, effect, actor.now)
    if not is_replay:
        log.info("student_created", student_id=found.headers["Location"].rpartition("/")[2])
    return response_of(found, is_replay=is_replay)


@reads(router, "/stats", summary="Count students", responses={**answer(schemas.Stats, "The counts"), **problems()})
def count_students(request: Request, _: Reader) -> Response:
    """How many there are by status, program (the 500 largest) and year. Deleted ones are counted apart."""
    with database(request).read() as conn:
        return json_response(repository.stats(conn))


only(router, "/stats", "GET", "HEAD")


@reads(
    router,
    "/{student_id}",
    summary="Read a student",
    responses={**documented.ONE_STUDENT, **documented.NOT_MODIFIED, **problems(400, 404, 412)},
)
def read_student(
    request: Request,
    _: Reader,
    student_id: StudentId,
    deleted: AlsoDeleted = False,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """One student. A deleted one is 404 unless `deleted=true`."""
    with database(request).read() as conn:
        student = repository.find(conn, student_id, also_deleted=deleted)
    if is_unchanged(student["version"], if_match, if_none_match):
        return not_modified(student)
    return student_response(student)


@router.put(
    "/{student_id}",
    summary="Replace a student",
    responses={**documented.ONE_STUDENT, **problems(400, 404, 409, 412, 413, 415)},
    openapi_extra=documented.WHOLE_BODY,
)
def replace_student(
    request: Request,
    caller: Writer,
    student_id: StudentId,
    body: Body,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Set every field: what isn't given becomes empty or its default; only the number stays as it was."""
    actor = actor_of(request, caller)
    with told_by_field():
        fields = rules.clean_whole(body, actor.today)

    def edit(current: Student) -> rules.Fields:
        return {**fields, "student_number": fields["student_number"] or current["student_number"]}

    with database(request).write() as conn:
        checked = precondition(if_match, if_none_match)
        student, is_changed = repository.change(conn, student_id, actor, checked, edit)
    if is_changed:
        log.info("student_updated", student_id=student_id, version=student["version"])
    return student_response(student)


@router.patch(
    "/{student_id}",
    summary="Change a student",
    responses={**documented.ONE_STUDENT, **problems(400, 404, 409, 412, 413, 415)},
    openapi_extra=documented.PATCH_BODY,
)
def patch_student(
    request: Request,
    caller: Writer,
    student_id: StudentId,
    body: PatchBody,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Change the fields that are named, as a JSON merge patch (RFC 7396): null empties one. What changes nothing makes
    no new version.
    """
    actor = actor_of(request, caller)

    def edit(current: Student) -> rules.Fields:
        return rules.clean_changes(current, body, actor.today)

    with told_by_field(), database(request).write() as conn:
        checked = precondition(if_match, if_none_match)
        student, is_changed = repository.change(conn, student_id, actor, checked, edit)
    if is_changed:
        log.info("student_updated", student_id=student_id, version=student["version"])
    return student_response(student)


@router.delete(
    "/{student_id}",
    summary="Delete a student",
    status_code=204,
    responses={**documented.DELETED, **problems(400, 404, 412)},
)
def delete_student(
    request: Request,
    caller: Writer,
    student_id: StudentId,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Delete a student softly: it is gone from lists and can be restored. Deleting it once more is 404."""
    actor = actor_of(request, caller)
    with database(request).write() as conn:
        student, _ = repository.set_deleted(
            conn, student_id, actor, precondition(if_match, if_none_match), deleted=True
        )
    log.info("student_deleted", student_id=student_id, version=student["version"])
    return deleted_response(student)


@router.post(
    "/{student_id}/restore",
    summary="Restore a deleted student",
    responses={**documented.RESTORED, **problems(400, 404, 409, 412)},
)
def restore_student(
    request: Request,
    caller: Writer,
    student_id: StudentId,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Take back a deletion. Restoring a student that isn't deleted changes nothing and answers with it."""
    actor = actor_of(request, caller)
    is_restored = False

    def effect(conn: Connection) -> Answer:
        nonlocal is_restored
        checked = precondition(if_match, if_none_match)
        student, is_restored = repository.set_deleted(conn, student_id, actor, checked, deleted=False)
        return answer_of(student, 200)

    keyed = keyed_request(caller, "POST /students/{id}/restore", idempotency_key, student_id, if_match, if_none_match)
    found, is_replay = run_once(database(request), keyed, effect, actor.now)
    if is_restored:
        log.info("student_restored", student_id=student_id)
    return response_of(found, is_replay=is_replay)


@reads(
    router,
    "/{student_id}/history",
    summary="What changed in a student",
    responses={**answer(schemas.HistoryPage, "One page, the newest first"), **problems(404)},
)
def read_history(
    request: Request, _: Reader, student_id: StudentId, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> Response:
    """Every change field by field, with who made it and when, the newest first; of a deleted student too."""
    with database(request).read() as conn:
        repository.find(conn, student_id, also_deleted=True)
        return json_response(history.read(conn, student_id, limit, cursor))


@router.post(
    "/{student_id}/status",
    summary="Change a student's status",
    responses={**documented.RESTORED, **problems(400, 404, 409, 412, 413, 415)},
    openapi_extra=documented.STATUS_BODY,
)
def change_status(
    request: Request,
    caller: Writer,
    student_id: StudentId,
    body: Body,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Change the status as a dated event with a reason, which the timeline keeps; the day may be in the past."""
    actor = actor_of(request, caller)
    with told_by_field():
        event = rules.clean_event(body, actor.today)

    def effect(conn: Connection) -> Answer:
        student, _ = repository.change(
            conn,
            student_id,
            actor,
            precondition(if_match, if_none_match),
            lambda current: rules.after_event(current, event),
            Why(event.on, event.reason),
        )
        return answer_of(student, 200)

    keyed = keyed_request(
        caller, "POST /students/{id}/status", idempotency_key, student_id, body, if_match, if_none_match
    )
    with told_by_field():
        found, is_replay = run_once(database(request), keyed, effect, actor.now)
    if not is_replay:
        log.info("student_status_changed", student_id=student_id)
    return response_of(found, is_replay=is_replay)


@reads(
    router,
    "/{student_id}/timeline",
    summary="The statuses a student had",
    responses={**answer(schemas.TimelinePage, "One page, the newest first"), **problems(404)},
)
def read_timeline(
    request: Request, _: Reader, student_id: StudentId, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> Response:
    """Every status with the day it began, who wrote it down and why, as they were written down, the newest first."""
    with database(request).read() as conn:
        repository.find(conn, student_id, also_deleted=True)
        return json_response(history.timeline(conn, student_id, limit, cursor))
