"""One change of many students, an import or a bulk change: how far it is, what became of each row, and its undo."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response

from admin_ui.browser import go_to
from admin_ui.gateway_client import Refused
from admin_ui.listing import PATH
from admin_ui.view import page
from admin_ui.visitor import Form, SignedIn, require, services_of

router = APIRouter(prefix=PATH, include_in_schema=False)
UNFINISHED = {"reading", "applying", "reverting", "undoing"}
CHANGING = ("create", "update", "restore", "delete")
ROWS_SHOWN = 50
KEPT_SHOWN = 20
ROWS = {"error": "Not possible", "all": "All rows"}
Kind = Literal["bulk", "imports"]


@router.get("/{kind}/{batch_id:uuid}")
async def show(request: Request, visitor: SignedIn, kind: Kind, batch_id: UUID) -> Response:
    """The batch; a script asks again while it is under way."""
    path, address = f"/students/{kind}/{batch_id}", f"{PATH}/{kind}/{batch_id}"
    chosen = request.query_params.get("outcome", "")
    chosen = chosen if chosen in ROWS else ""
    batch = await visitor.api.get(path)
    running = batch.body["state"] in UNFINISHED
    # What went wrong is looked at first, and where nothing did, what was done.
    outcome = chosen or ("error" if running or batch.body["counts"].get("error") else "all")
    cursor = request.query_params.get("cursor", "")
    asked: dict[str, str | int] = {"limit": ROWS_SHOWN, **({"cursor": cursor} if cursor else {})}
    if outcome != "all":
        asked["outcome"] = outcome
    rows = await visitor.api.get(f"{path}/rows", **asked)
    has_kept = batch.body["rows_kept"] and not running
    kept = await visitor.api.get(f"{path}/kept", limit=KEPT_SHOWN) if has_kept else None
    return await page(
        request,
        visitor,
        "students/batch.html",
        part_of_it="batch",
        active="students" if kind == "bulk" else "imports",
        batch=batch.body,
        rows=rows.body,
        kept=kept and kept.body,
        kind=kind,
        outcome=outcome,
        tabs=ROWS,
        again=address + (f"?outcome={chosen}" if chosen else ""),
        running=running,
        progress=progress(batch.body),
        can_import=can_import(batch.body),
        address=address,
    )


@router.post("/{kind}/{batch_id:uuid}/undo")
async def undo(request: Request, visitor: SignedIn, form: Form, kind: Kind, batch_id: UUID) -> Response:
    """Take the batch back where nobody has changed the student since."""
    require(visitor, "students:write")
    try:
        await visitor.api.call("POST", f"/students/{kind}/{batch_id}/undo")
    except Refused as refused:
        if refused.status != 409:
            raise
        await services_of(request).store.notify(visitor.session, {"kind": "warn", "text": refused.detail})
    return go_to(request, f"{PATH}/{kind}/{batch_id}")


def can_import(batch: dict[str, Any]) -> bool:
    """Whether a preview has rows that would change something, those with errors left out."""
    return batch["state"] == "previewed" and any(batch["counts"].get(outcome) for outcome in CHANGING)


def progress(batch: dict[str, Any]) -> int | None:
    """How much is done, in percent; None while that isn't known."""
    total = batch["rows_total"]
    if not total:
        return None
    done = batch["rows_read"] if batch["state"] == "reading" else batch["rows_applied"]
    if batch["state"] in ("undoing", "reverting"):
        done = batch["rows_undone"] + batch["rows_kept"]
    return min(100, int(100 * done / total))
