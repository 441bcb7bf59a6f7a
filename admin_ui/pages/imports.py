"""The import wizard: send a file, say which column is which, look what would happen, make it so.

The form keeps its file while a script sends it, so that the columns can be mapped anew; without scripts a browser wants
the file to be chosen once more. Files are passed on and never kept here.
"""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.datastructures import FormData, UploadFile

from admin_ui.browser import go_to
from admin_ui.gateway_client import Download, Refused, SentFile
from admin_ui.listing import PATH, ListState
from admin_ui.pages.batches import UNFINISHED, progress
from admin_ui.student_fields import GUARDIAN_PARTS, TEXTS
from admin_ui.view import page
from admin_ui.visitor import Form, SignedIn, Visitor, require, services_of

router = APIRouter(prefix="/admin", include_in_schema=False)
TARGETS = (*TEXTS, "year", *(f"guardian_{number}_{part}" for number in (1, 2) for part in GUARDIAN_PARTS))
MOST_COLUMNS = 200
EXAMPLES_SHOWN = 8
FORMATS = ("csv", "xlsx", "oneroster")


@router.get("/imports")
async def show_list(request: Request, visitor: SignedIn) -> Response:
    """Earlier imports and changes of many, the newest first."""
    imports, bulk = await asyncio.gather(
        visitor.api.get("/students/imports", limit=50), visitor.api.get("/students/bulk", limit=20)
    )
    context: dict[str, Any] = {"imports": imports.body, "bulk": bulk.body, "unfinished": UNFINISHED}
    return await page(request, visitor, "students/imports.html", active="imports", **context)


@router.get("/imports/new")
async def show_form(request: Request, visitor: SignedIn) -> Response:
    """The first step."""
    require(visitor, "students:write")
    return await _wizard(request, visitor, None)


@router.post("/imports/new")
async def preview(request: Request, visitor: SignedIn, form: Form) -> Response:
    """Have the file read without changing anything, and show what would become of each row."""
    require(visitor, "students:write")
    sent = form.get("file")
    if not isinstance(sent, UploadFile) or not sent.filename:
        return await _wizard(request, visitor, None, form, "Choose the file first.", status=422)
    fields = {"dry_run": "true", "all_or_nothing": "true", "mapping": orjson.dumps(_mapping(form)).decode()}
    fields |= {name: str(form.get(name, "")) for name in ("mode", "empty_cells") if form.get(name)}
    try:
        answer = await visitor.api.call("POST", "/students/import", sent_file=SentFile(await sent.read(), fields))
    except Refused as refused:
        if refused.status not in (400, 413, 415, 422):
            raise
        batch = refused.members.get("batch")
        told = "; ".join(dict.fromkeys(refused.errors.values())) or refused.detail
        return await _wizard(request, visitor, batch, form, told, status=422)
    return await _wizard(request, visitor, answer.body, form)


@router.get("/imports/{batch_id:uuid}/preview")
async def show_preview(request: Request, visitor: SignedIn, batch_id: UUID) -> Response:
    """The preview again, for a file that takes longer to read."""
    require(visitor, "students:write")
    batch, rows = await asyncio.gather(
        visitor.api.get(f"/students/imports/{batch_id}"),
        visitor.api.get(f"/students/imports/{batch_id}/rows", limit=50),
    )
    return await _wizard(request, visitor, {**batch.body, "rows": rows.body})


@router.post("/imports/{batch_id:uuid}/commit")
async def commit(request: Request, visitor: SignedIn, form: Form, batch_id: UUID) -> Response:
    """Make so what was previewed; with ``leave_out`` without the rows that can't be."""
    require(visitor, "students:write")
    options = {"all_or_nothing": "false"} if form.get("leave_out") else {}
    try:
        await visitor.api.call("POST", f"/students/imports/{batch_id}/commit", params=options)
    except Refused as refused:
        if refused.status not in (409, 422):
            raise
        await services_of(request).store.notify(visitor.session, {"kind": "warn", "text": refused.detail})
    return go_to(request, f"{PATH}/imports/{batch_id}")


@router.get("/imports/{batch_id:uuid}/errors.csv")
async def errors_file(visitor: SignedIn, batch_id: UUID) -> Response:
    """The rows that can't be imported, with what is wrong."""
    return _passed_on(await visitor.api.download(f"/students/imports/{batch_id}/errors.csv"))


@router.get("/students/export")
async def export(request: Request, visitor: SignedIn) -> Response:
    """What the list shows, as a file."""
    query = ListState.read(request.query_params).api_query()
    wanted = request.query_params.get("format", "")
    return _passed_on(
        await visitor.api.download("/students/export", **query, format=wanted if wanted in FORMATS else "csv")
    )


def _passed_on(download: Download) -> Response:
    return StreamingResponse(download.pieces, headers=download.headers)


def _mapping(form: FormData) -> dict[str, str | None]:
    """Column → field as chosen; a column whose name was never shown isn't there."""
    found: dict[str, str | None] = {}
    for index in range(MOST_COLUMNS):
        name = form.get(f"column.{index}")
        if not isinstance(name, str):
            break
        field = str(form.get(f"field.{index}", ""))
        found[name] = field if field in TARGETS else None
    # Another file may have been chosen meanwhile: its columns are known by their own names.
    return found if form.get("columns_of") == _name_of(form) else {}


def _name_of(form: FormData | None) -> str:
    sent = form.get("file") if form is not None else None
    return (sent.filename or "") if isinstance(sent, UploadFile) else ""


async def _wizard(
    request: Request,
    visitor: Visitor,
    batch: dict[str, Any] | None,
    form: FormData | None = None,
    problem: str = "",
    *,
    status: int = 200,
) -> Response:
    rows = ((batch or {}).get("rows") or {}).get("items", [])
    settings = (batch or {}).get("settings", {})
    return await page(
        request,
        visitor,
        "students/import.html",
        part_of_it="preview",
        status=status,
        active="imports",
        batch=batch,
        problem=problem,
        columns=(batch or {}).get("columns") or [],
        targets=TARGETS,
        wrong=[row for row in rows if row["outcome"] == "error"][:EXAMPLES_SHOWN],
        fine=[row for row in rows if row["outcome"] != "error"][:EXAMPLES_SHOWN],
        running=batch is not None and batch["state"] in UNFINISHED,
        progress=progress(batch) if batch else None,
        file_name=_name_of(form),
        mode=settings.get("mode", "upsert"),
        empty_cells=settings.get("empty_cells", "keep"),
    )
