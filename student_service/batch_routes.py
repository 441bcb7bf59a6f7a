"""The routes of bulk changes, and of what imports and bulk changes have in common: list, progress, rows, undo."""

from __future__ import annotations

from typing import Annotated, get_args

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from sqlalchemy import Connection

from servicekit.logs import get_logger
from servicekit.paging import DEFAULT_LIMIT, MAX_LIMIT
from servicekit.problems import NotFound
from student_service import batch_schemas, batches, bulk, documented, undo
from student_service.answers import PRIVATE, encode, json_response
from student_service.asked import UUID, Body, Cursor, IdempotencyKey, Limit, Reader, Writer, actor_of, one_of
from student_service.documented import JSON, answer, problems
from student_service.idempotency import Answer, run_once
from student_service.routing import database, keyed_request, only, reads, students_router
from student_service.runner import Runner

INLINE_SECONDS = 2.0  # what takes longer is answered 202, with where to ask how far it is
OUTCOMES = get_args(batch_schemas.Outcome)

log = get_logger()
router = students_router()

Outcome = Annotated[
    str | None,
    Query(description="Only rows with this outcome.", json_schema_extra={"enum": list(OUTCOMES)}),
    one_of(OUTCOMES),
]


async def _known_batch(
    batch_id: Annotated[str, Path(description="A batch's id.", json_schema_extra={"format": "uuid"})],
) -> str:
    canonical = batch_id.lower()
    if not UUID.fullmatch(canonical):
        raise NotFound("There is no such batch.")
    return canonical


BatchId = Annotated[str, Depends(_known_batch)]


def runner_of(request: Request) -> Runner:
    """Who works on batches in this process."""
    found: Runner = request.app.state.runner
    return found


def batch_answer(request: Request, batch_id: str, path: str, *, is_replay: bool = False) -> Response:
    """200 when the batch is through, 202 while it isn't; either way where it can be asked for."""
    with database(request).read() as conn:
        batch = batches.find(conn, batch_id)
        body = batches.told(batch) | {"rows": batches.rows(conn, batch_id, None, MAX_LIMIT, None)}
    headers = {"Location": f"{path}/{batch_id}", **PRIVATE} | ({"Idempotent-Replayed": "true"} if is_replay else {})
    if batch.state in batches.UNFINISHED:
        return Response(encode(body), 202, {**headers, "Retry-After": "1"}, JSON)
    return Response(encode(body), 200, headers, JSON)


@router.post(
    "/bulk/",
    include_in_schema=False,
)
@router.post(
    "/bulk",
    summary="Change many students",
    responses={**documented.BATCH, **documented.BATCH_RUNNING, **problems(409, 413, 415)},
    openapi_extra=documented.bulk_body(batch_schemas.BULK_CHANGE),
)
def change_many(request: Request, caller: Writer, body: Body, idempotency_key: IdempotencyKey = None) -> Response:
    """Set status, program or year, delete or restore: for ids or for all that match a filter. Each row has an answer of
    its own, and what can't be changed stops none of the others. What takes longer is answered 202 at once: ask at its
    `Location`. A bulk change can be undone where nobody has changed the student since.
    """
    actor = actor_of(request, caller)
    change = bulk.read_bulk(body, actor.today)
    runner = runner_of(request)

    def effect(conn: Connection) -> Answer:
        return Answer(202, bulk.begin(conn, change, actor, runner.work).encode(), {})

    keyed = keyed_request(caller, "POST /students/bulk", idempotency_key, body)
    found, is_replay = run_once(database(request), keyed, effect, actor.now)
    batch_id = found.body.decode()
    if not is_replay:
        log.info("bulk_change_started", batch_id=batch_id, action=change.action)
        runner.submit(batch_id, wait_seconds=INLINE_SECONDS)
    return batch_answer(request, batch_id, "/students/bulk", is_replay=is_replay)


def add_batch_routes(to: APIRouter, path: str, kind: str, name: str) -> None:
    """List, progress, rows and undo of one kind of batch."""
    one = path + "/{batch_id}"

    @reads(to, path, summary=f"List {name}s", responses={**answer(batch_schemas.BatchPage, "One page"), **problems()})
    def list_batches(request: Request, _: Reader, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> Response:
        """The newest first."""
        with database(request).read() as conn:
            return json_response(batches.listed(conn, kind, limit, cursor))

    @reads(to, one, summary=f"Read one of the {name}s", responses={**documented.BATCH_READ, **problems(404)})
    def read_batch(request: Request, _: Reader, batch_id: BatchId) -> Response:
        """Its state, how far it is, and how many rows had which outcome."""
        with database(request).read() as conn:
            return json_response(batches.told(batches.find(conn, batch_id, kind)))

    @reads(
        to,
        f"{one}/rows",
        summary=f"The rows of one of the {name}s",
        responses={**answer(batch_schemas.BatchRowPage, "One page"), **problems(404)},
    )
    def list_rows(
        request: Request,
        _: Reader,
        batch_id: BatchId,
        outcome: Outcome = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Response:
        """What became of each row, or would; kept for seven days."""
        with database(request).read() as conn:
            batches.find(conn, batch_id, kind)
            return json_response(batches.rows(conn, batch_id, outcome, limit, cursor))

    @reads(
        to,
        f"{one}/kept",
        summary=f"Whom the undo of one of the {name}s left",
        responses={**answer(batch_schemas.KeptPage, "One page"), **problems(404)},
    )
    def list_kept(
        request: Request, _: Reader, batch_id: BatchId, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Response:
        """All students that stay as they are, since somebody has changed them meanwhile."""
        with database(request).read() as conn:
            return json_response(undo.kept(conn, batches.find(conn, batch_id, kind), limit, cursor))

    @to.post(
        f"{one}/undo",
        summary=f"Undo one of the {name}s",
        responses={**documented.BATCH, **documented.BATCH_RUNNING, **problems(404, 409)},
    )
    def undo_batch(request: Request, caller: Writer, batch_id: BatchId) -> Response:
        """Take it back where nobody has changed the student since; `kept` names the first of those that stay, and
        `…/kept` lists them all.
        """
        runner = runner_of(request)
        with database(request).write() as conn:
            undo.begin(conn, batches.find(conn, batch_id, kind), actor_of(request, caller), runner.work)
        log.info("batch_undo_started", batch_id=batch_id)
        runner.submit(batch_id, wait_seconds=INLINE_SECONDS)
        return batch_answer(request, batch_id, f"/students{path}")


add_batch_routes(router, "/bulk", "bulk", "bulk change")
only(router, "/bulk", "GET", "HEAD", "POST")
