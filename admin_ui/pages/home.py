"""Where the UI begins, and what answers for addresses that lead nowhere."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from admin_ui.browser import go_to
from admin_ui.visitor import SignedIn

router = APIRouter(include_in_schema=False)


@router.get("/admin")
@router.get("/admin/")
async def home(request: Request, _: SignedIn) -> Response:
    """The first page a person sees."""
    return go_to(request, "/admin/students")
