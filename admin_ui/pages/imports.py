"""The import wizard: send a file, say which column is which, look what would happen, make it so.

The form keeps its file while a script sends it, so that the columns can be mapped anew; without scripts a browser wants
the file to be chosen once more. Files are passed on as they lie in the parser's temporary file and never kept here.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData, UploadFile

from admin_ui.browser import go_to, is_htmx
from admin_ui.gateway_client import Refused, SentFile
from admin_ui.listing import PATH
from admin_ui.pages.batches import UNFINISHED, can_import, progress
from admin_ui.sentences import sentence
from admin_ui.student_fields import GUARDIAN_PARTS, TEXTS
from admin_ui.view import page
from admin_ui.visitor import Form, SignedIn, Visitor, require, services_of

router = APIRouter(prefix="/admin/imports", include_in_schema=False)
SOURCE = "sourced_id"  # what OneRoster's files tell students by; only those have a column for it
TARGETS = (*TEXTS, "year", *(f"guardian_{number}_{part}" for number in (1, 2) for part in GUARDIAN_PARTS))
MOST_COLUMNS = 200
EXAMPLES_SHOWN = 8
ABOUT_THE_FILE = (400, 413, 415, 422)
NAME_DIGEST = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Wizard:
    """What the wizard has got so far."""

    batch: dict[str, Any] | None = None
    of: str = ""
    """A digest of the file's name: columns that were mapped are those of this file, not of another chosen since."""
    problem: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_running(self) -> bool:
        return self.batch is not None and self.batch["state"] in UNFINISHED


@router.get("")
async def show_list(request: Request, visitor: SignedIn) -> Response:
    """Earlier imports and changes of many, the newest first."""
    imports, bulk = await asyncio.gather(
        visitor.api.get("/students/imports", limit=50), visitor.api.get("/students/bulk", limit=20)
    )
    context: dict[str, Any] = {"imports": imports.body, "bulk": bulk.body, "unfinished": UNFINISHED}
    return await page(request, visitor, "students/imports.html", active="imports", **context)


@router.get("/new")
async def show_form(request: Request, visitor: SignedIn) -> Response:
    """The first step."""
    require(visitor, "students:write")
    return await _wizard(request, visitor, Wizard())


@router.post("/new")
async def preview(request: Request, visitor: SignedIn, form: Form) -> Response:
    """Have the file read without changing anything, and show what would become of each row."""
    require(visitor, "students:write")
    sent = form.get("file")
    if not isinstance(sent, UploadFile) or not sent.filename:
        return await _wizard(request, visitor, Wizard(problem="Choose the file first."), status=422)
    of = hashlib.sha256(sent.filename.encode()).hexdigest()[:16]
    # Another file may have been chosen meanwhile: its columns are known by their own names.
    mapping = _mapping(form) if form.get("columns_of") == of else {}
    fields = {"dry_run": "true", "all_or_nothing": "true", "mapping": orjson.dumps(mapping).decode()}
    fields |= {name: str(form.get(name, "")) for name in ("mode", "empty_cells") if form.get(name)}
    try:
        answer = await visitor.api.call("POST", "/students/import", sent_file=SentFile(sent.file, fields))
    except Refused as refused:
        if refused.status not in ABOUT_THE_FILE:
            raise
        told = " ".join(sentence(message, name) for name, message in refused.errors.items()) or refused.detail
        return await _wizard(request, visitor, Wizard(refused.members.get("batch"), of, told), status=422)
    if answer.status == 202 and not is_htmx(request):  # so that loading the page again doesn't send the file again
        return go_to(request, f"/admin/imports/{answer.body['id']}/preview?of={of}")
    return await _wizard(request, visitor, await _with_examples(visitor, answer.body, of))


@router.get("/{batch_id:uuid}/preview")
async def show_preview(request: Request, visitor: SignedIn, batch_id: UUID) -> Response:
    """How far a file is that takes longer to read, and then what would become of its rows."""
    require(visitor, "students:write")
    batch = (await visitor.api.get(f"/students/imports/{batch_id}")).body
    given = request.query_params.get("of", "")
    of = given if NAME_DIGEST.fullmatch(given) else ""
    match batch["state"]:
        case "reading":
            return await _wizard(request, visitor, Wizard(batch, of))
        case "previewed":
            return await _wizard(request, visitor, await _with_examples(visitor, batch, of))
        case "rejected" | "failed" if batch["settings"]["dry_run"]:
            return await _wizard(request, visitor, Wizard(batch, of, batch["message"] or "It could not be read."))
    return go_to(request, f"{PATH}/imports/{batch_id}")  # it is more than a preview by now


@router.post("/{batch_id:uuid}/commit")
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


def _mapping(form: FormData) -> dict[str, str | None]:
    """Column → field as chosen; a column whose name was never shown isn't there."""
    found: dict[str, str | None] = {}
    for index in range(MOST_COLUMNS):
        name = form.get(f"column.{index}")
        if not isinstance(name, str):
            break
        chosen = str(form.get(f"field.{index}", ""))
        found[name] = chosen if chosen in (*TARGETS, SOURCE) else None
    return found


async def _with_examples(visitor: Visitor, batch: dict[str, Any], of: str) -> Wizard:
    """With some rows to look at, of those that can't be imported first: they may be far down in the file."""
    if batch["state"] != "previewed":
        return Wizard(batch, of)
    path = f"/students/imports/{batch['id']}/rows"
    wrong, first = await asyncio.gather(
        visitor.api.get(path, outcome="error", limit=EXAMPLES_SHOWN), visitor.api.get(path, limit=50)
    )
    fine = [row for row in first.body["items"] if row["outcome"] != "error"]
    return Wizard(batch, of, rows=[*wrong.body["items"], *fine[:EXAMPLES_SHOWN]])


async def _wizard(request: Request, visitor: Visitor, wizard: Wizard, *, status: int = 200) -> Response:
    batch = wizard.batch or {}
    settings = batch.get("settings", {})
    return await page(
        request,
        visitor,
        "students/import.html",
        part_of_it="preview",
        status=status,
        active="imports",
        batch=wizard.batch,
        problem=wizard.problem,
        # While the file is read the page is renewed, and what was chosen meanwhile would be lost.
        columns=[] if wizard.is_running else batch.get("columns") or [],
        targets=TARGETS,
        wrong=[row for row in wizard.rows if row["outcome"] == "error"],
        fine=[row for row in wizard.rows if row["outcome"] != "error"],
        running=wizard.is_running,
        can_import=bool(batch) and can_import(batch),
        progress=progress(batch) if batch else None,
        of=wizard.of,
        mode=settings.get("mode", "upsert"),
        empty_cells=settings.get("empty_cells", "keep"),
        most_bytes=services_of(request).settings.max_body_bytes,
    )
