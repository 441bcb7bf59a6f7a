"""The routes of imports: send a file, look what it would do, make it so, and fetch the rows that can't be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from collections.abc import Mapping as Given
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import orjson
from fastapi import Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy import Connection

from servicekit.logs import get_logger
from servicekit.problems import Conflict, FieldError, InternalError, Unprocessable
from servicekit.strict_json import parse_json
from student_service import batches, documented
from student_service.answers import PRIVATE, encode
from student_service.asked import IdempotencyKey, Reader, Writer, actor_of
from student_service.batch_routes import (
    INLINE_SECONDS,
    BatchId,
    add_batch_routes,
    batch_answer,
    runner_of,
)
from student_service.batches import Batch
from student_service.documented import problems
from student_service.exporting.errors_file import error_lines
from student_service.idempotency import Answer, run_once
from student_service.importing.columns import SOURCE, TARGETS
from student_service.importing.staging import start_applying, too_many_errors
from student_service.routing import database, keyed_request, only, reads, students_router
from student_service.upload import Upload, receive

MODES = ("create", "upsert")
EMPTY_CELLS = ("clear", "keep")
ERRORS_TOLD = 20

log = get_logger()
router = students_router()


@dataclass(frozen=True)
class Asked:
    """How a file is to be imported."""

    dry_run: bool
    mode: str
    mapping: dict[str, str | None]
    all_or_nothing: bool
    empty_cells: str


def read_options(given: dict[str, str]) -> Asked:
    """What the query or the form says.

    Raises:
        Unprocessable: A value isn't one of those there are.
    """
    errors: list[FieldError] = []

    def word(name: str, words: tuple[str, ...]) -> str:
        value = given.get(name, words[0]).strip().lower()
        if value not in words:
            errors.append(FieldError(name, f"must be one of {', '.join(words)}"))
        return value

    asked = Asked(
        dry_run=word("dry_run", ("false", "true")) == "true",
        mode=word("mode", MODES),
        mapping=_mapping(given.get("mapping") or "{}", errors),
        all_or_nothing=word("all_or_nothing", ("true", "false")) == "true",
        empty_cells=word("empty_cells", EMPTY_CELLS),
    )
    if errors:
        raise Unprocessable(errors=errors)
    return asked


def _mapping(text: str, errors: list[FieldError]) -> dict[str, str | None]:
    try:
        mapping = parse_json(text.encode())
    except Unprocessable:
        mapping = None
    if not isinstance(mapping, dict) or not all(field is None or isinstance(field, str) for field in mapping.values()):
        errors.append(FieldError("mapping", "must be a JSON object from column names to fields or null"))
        return {}
    unknown = sorted({field for field in mapping.values() if field and field not in (*TARGETS, SOURCE)})
    errors += [FieldError("mapping", f"{field[:64]!r} is no field that a column can go to") for field in unknown[:5]]
    return {name: field or None for name, field in mapping.items()}


async def _sent(request: Request, _: Writer) -> AsyncIterator[Upload]:
    # A dependency after the caller's, so that nobody's file is read before they may write.
    upload = await receive(request)
    try:
        yield upload
    finally:
        upload.close()


Sent = Annotated[Upload, Depends(_sent)]
DryRun = Annotated[bool | None, Query(description="Only say what would become of each row.")]
Mode = Annotated[
    str | None,
    Query(
        description="`create` (the default): every row is a new student. `upsert`: a row whose sourcedId is known, or "
        "whose number, or else e-mail address, there is, changes that student.",
        json_schema_extra={"enum": list(MODES)},
    ),
]
Mapping = Annotated[
    str | None,
    Query(
        description='A JSON object from column to field, such as `{"Klasse": "year", "Room": null}`. '
        "`sourced_id` is the id that the sender's system has for the student."
    ),
]
AllOrNothing = Annotated[bool | None, Query(description="Import nothing if any row has an error (the default).")]
EmptyCells = Annotated[
    str | None,
    Query(
        description="`clear` (the default): an empty cell empties the field. `keep`: it says nothing.",
        json_schema_extra={"enum": list(EMPTY_CELLS)},
    ),
]
OPTIONS = ("dry_run", "mode", "mapping", "all_or_nothing", "empty_cells")


async def _documented_options(
    dry_run: DryRun = None,
    mode: Mode = None,
    mapping: Mapping = None,
    all_or_nothing: AllOrNothing = None,
    empty_cells: EmptyCells = None,
) -> None:
    """The query parameters; a form may have them as fields instead, so ``read_options`` reads both."""


@router.post("/import/", status_code=201, include_in_schema=False)
@router.post(
    "/import",
    summary="Import students from a file",
    status_code=201,
    dependencies=[Depends(_documented_options)],
    responses={**documented.IMPORTED, **documented.BATCH, **documented.BATCH_RUNNING, **problems(400, 409, 413, 415)},
    openapi_extra=documented.FILE_BODY,
)
def import_students(request: Request, caller: Writer, sent: Sent, idempotency_key: IdempotencyKey = None) -> Response:
    """CSV (comma, semicolon or tab), an Excel workbook (.xlsx) or a OneRoster 1.2 zip, as the body or as the file of a
    form. All rows or none are imported unless `all_or_nothing=false`; students that the file doesn't name stay as they
    are. 201 (with `dry_run` 200) when it is through within two seconds, else 202: ask at `Location`. 422 when rows have
    errors: `batch` is the import that didn't come about, whose rows and error file can be fetched.
    """
    actor = actor_of(request, caller)
    runner = runner_of(request)
    asked = read_options(_options(request.query_params) | _options(sent.fields))
    settings = {**asdict(asked), "format": None}

    def effect(conn: Connection) -> Answer:
        now = runner.work.now()
        return Answer(202, batches.create(conn, "import", "reading", settings, actor, runner.id, now).encode(), {})

    keyed = keyed_request(caller, "POST /students/import", idempotency_key, sent.sha256, settings)
    found, is_replay = run_once(database(request), keyed, effect, actor.now)
    batch_id = found.body.decode()
    if not is_replay:
        log.info("import_started", batch_id=batch_id, mode=asked.mode, dry_run=asked.dry_run)
        runner.submit(batch_id, sent.take(), wait_seconds=INLINE_SECONDS)
    return import_answer(request, batch_id, is_replay=is_replay)


def _options(given: Given[str, str]) -> dict[str, str]:
    return {name: given[name] for name in OPTIONS if name in given}


def import_answer(request: Request, batch_id: str, *, is_replay: bool = False) -> Response:
    """201 when students were imported, 422 when they weren't, else as for every batch."""
    with database(request).read() as conn:
        batch = batches.find(conn, batch_id)
    if batch.state == "rejected":
        raise _refusal(request, batch)
    if batch.state == "failed":
        raise InternalError(batch.message)
    answer = batch_answer(request, batch_id, "/students/imports", is_replay=is_replay)
    if batch.state == "done":
        answer.status_code = 201
    return answer


def _refusal(request: Request, batch: Batch) -> Unprocessable:
    with database(request).read() as conn:
        rows = batches.rows(conn, batch.id, "error", ERRORS_TOLD, None)["items"]
    errors = [
        FieldError(f"line {row['line']}: {error['field']}", error["message"]) for row in rows for error in row["errors"]
    ]
    if not errors:
        errors = [FieldError("file", batch.message or "can't be imported")]
    told = orjson.loads(encode(batches.told(batch)))
    where = {"Location": f"/students/imports/{batch.id}"}
    return Unprocessable(batch.message, errors=errors, batch=told, headers=where)


@router.post(
    "/imports/{batch_id}/commit",
    summary="Import what was previewed",
    status_code=201,
    responses={**documented.IMPORTED, **documented.BATCH_RUNNING, **problems(404, 409)},
)
def commit_import(request: Request, caller: Writer, batch_id: BatchId, all_or_nothing: AllOrNothing = None) -> Response:
    """Make so what a dry run said, without sending the file again; within a day. Each row is looked at once more."""
    runner = runner_of(request)
    actor = actor_of(request, caller)
    with database(request).write() as conn:
        batch = batches.find(conn, batch_id, "import")
        if batch.state != "previewed":
            raise Conflict(f"Only a preview can be imported: this one is {batch.state}.")
        is_whole = batch.settings["all_or_nothing"] if all_or_nothing is None else all_or_nothing
        if not batches.can_commit(batch, all_or_nothing=is_whole):
            rest = ", or leave those rows out" if batches.can_commit(batch, all_or_nothing=False) else ""
            raise Conflict(f"{too_many_errors(batch.counts['error'])} Mend the file{rest}.")
        settings = {**batch.settings, "dry_run": False, "all_or_nothing": is_whole}
        who = {"user_id": actor.user_id, "username": actor.username, "request_id": actor.request_id}
        told: dict[str, Any] = {**start_applying(batch), "settings": settings, "created_at": actor.now, **who}
        if not batches.take(conn, batch.id, runner.id, runner.work.now(), was=batch.runner, **told):
            raise Conflict("This is being imported already.")
    log.info("import_committed", batch_id=batch_id)
    runner.submit(batch_id, wait_seconds=INLINE_SECONDS)
    return import_answer(request, batch_id)


@reads(
    router,
    "/imports/{batch_id}/errors.csv",
    summary="The rows of an import that have errors",
    response_class=Response,
    responses={**documented.CSV_FILE, **problems(404)},
)
def download_errors(request: Request, _: Reader, batch_id: BatchId) -> Response:
    """As CSV: what is wrong, then the row as it was in the file. Mend it and send it again. Kept for seven days."""
    with database(request).read() as conn:
        batch = batches.find(conn, batch_id, "import")
    headers = {"Content-Disposition": f'attachment; filename="import-errors-{batch_id[-8:]}.csv"', **PRIVATE}
    return StreamingResponse(error_lines(database(request), batch), media_type="text/csv", headers=headers)


add_batch_routes(router, "/imports", "import", "import")
only(router, "/import", "POST")
only(router, "/imports", "GET", "HEAD")
