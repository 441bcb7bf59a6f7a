"""What a person sets for themselves, and the command palette that finds pages and students."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from admin_ui.browser import safe_target
from admin_ui.gateway_client import Refused
from admin_ui.navigation import commands_for
from admin_ui.preferences import Preferences
from admin_ui.view import part
from admin_ui.visitor import Form, SignedIn, services_of

FOUND_AT_MOST = 8
router = APIRouter(prefix="/admin", include_in_schema=False)


@router.post("/preferences")
async def change(request: Request, _: SignedIn, form: Form) -> Response:
    """Remember a choice, and back to the page it was made on."""
    given = {name: value for name, value in form.items() if isinstance(value, str)}
    if form.get("columns_chosen"):
        given["columns"] = ".".join(str(name) for name in form.getlist("column")) or "-"
    response = RedirectResponse(safe_target(str(form.get("next", ""))), 303)
    Preferences.read(request).changed(given).keep(response, services_of(request).settings)
    return response


@router.get("/palette")
async def palette(request: Request, visitor: SignedIn, q: str = "") -> Response:
    """Commands and students that match what is typed."""
    words = q.lower().split()
    commands = [c for c in commands_for(visitor.session) if all(word in c.label.lower() for word in words)]
    students = []
    if words and visitor.session.may("students:read"):
        try:
            students = (await visitor.api.get("/students/", q=q, limit=FOUND_AT_MOST)).body["items"]
        except Refused as refused:
            if refused.status != 422:  # what can't be searched for is not found
                raise
    return part(request, "layout/palette.html", "results", commands=commands, students=students, q=q)
