"""The list of students."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response

from admin_ui.browser import go_to, wants_part
from admin_ui.gateway_client import Refused
from admin_ui.listing import PATH, SORTS, ListState
from admin_ui.preferences import COLUMNS, Preferences
from admin_ui.view import page, part
from admin_ui.visitor import SignedIn, Visitor
from admin_ui.wording import STATUSES

COLUMN_SORTS = {
    "number": "student_number",
    "email": "email",
    "status": "status",
    "program": "program",
    "year": "year",
    "born": "date_of_birth",
    "enrolled": "enrolled_on",
    "updated": "updated_at",
}
NOBODY: dict[str, Any] = {"items": [], "next_cursor": None, "total": 0}
NO_STATS: dict[str, Any] = {"by_program": [], "by_year": []}

router = APIRouter(include_in_schema=False)


@router.get(PATH)
@router.get(PATH + "/")
async def show_list(request: Request, visitor: SignedIn) -> Response:
    """Students, a page at a time; a script that searches as one types gets the results alone."""
    state = ListState.read(request.query_params)
    try:
        found, stats = await asyncio.gather(
            visitor.api.get("/students/", **state.page_query()), visitor.api.get("/students/stats")
        )
    except Refused as refused:
        if refused.status == 422 and "cursor" in refused.errors:
            return go_to(request, state.url())  # the page belongs to another list: begin again
        if refused.status != 422:
            raise
        return await _list(request, visitor, state, NOBODY, NO_STATS, refused)
    return await _list(request, visitor, state, found.body, stats.body, None)


async def _list(
    request: Request,
    visitor: Visitor,
    state: ListState,
    found: dict[str, Any],
    stats: dict[str, Any],
    refused: Refused | None,
) -> Response:
    context: dict[str, Any] = {
        "active": "students",
        "state": state,
        "found": found,
        "stats": stats,
        "tabs": tabs(state, found, stats),
        "columns": Preferences.read(request).columns,
        "all_columns": COLUMNS,
        "column_sorts": COLUMN_SORTS,
        "sorts": SORTS,
        "refused": refused,
        "may_write": visitor.session.may("students:write"),
    }
    if not wants_part(request):
        return await page(request, visitor, "students/list.html", **context)
    response = part(request, "students/list.html", "count_update", "results", **context)
    response.headers["HX-Replace-Url" if request.headers.get("hx-source", "").startswith("form") else "HX-Push-Url"] = (
        state.url(cursor=state.cursor, trail=state.trail, page=state.page)
    )
    return response


def tabs(state: ListState, found: dict[str, Any], stats: dict[str, Any]) -> list[dict[str, Any]]:
    """The statuses with how many have them. Under a filter only the open one's count is known without asking more."""
    is_narrowed = bool(state.q or state.program or state.year)
    counts: dict[str, int | None] = {"": stats.get("total"), "deleted": stats.get("deleted")}
    counts |= stats.get("by_status", {})
    current = "deleted" if state.deleted else state.status
    if is_narrowed:
        counts = dict.fromkeys(counts) | {current: found["total"]}
    listed = [("", "All"), *STATUSES.items(), ("deleted", "Deleted")]
    return [
        {
            "label": label,
            "count": counts.get(key),
            "current": key == current,
            "href": state.url(status="" if key == "deleted" else key, deleted=key == "deleted"),
        }
        for key, label in listed
    ]
