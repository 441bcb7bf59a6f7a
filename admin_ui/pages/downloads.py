"""Files to take away: exports, and the rows of an import that couldn't be imported. Passed on piece by piece."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from admin_ui.gateway_client import Download
from admin_ui.listing import ListState
from admin_ui.visitor import SignedIn

router = APIRouter(prefix="/admin", include_in_schema=False)
FORMATS = ("csv", "xlsx", "oneroster")


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
