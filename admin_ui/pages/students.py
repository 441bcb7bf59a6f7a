"""The list of students."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from admin_ui.view import render
from admin_ui.visitor import SignedIn

router = APIRouter(include_in_schema=False)


@router.get("/admin/students")
@router.get("/admin/students/")
async def show_list(request: Request, visitor: SignedIn) -> Response:
    """Students, a page at a time."""
    page = (await visitor.api.get("/students/", limit=50)).body
    return render(request, "students/list.html", active="students", page=page)
