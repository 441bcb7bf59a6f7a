"""The list of students."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request, Response

from admin_ui import notices
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
DELETED = "deleted"
TABS = {"": "All", **STATUSES, DELETED: "Deleted"}

router = APIRouter(include_in_schema=False)


@router.get(PATH)
@router.get(PATH + "/")
async def show_list(request: Request, visitor: SignedIn) -> Response:
    """Students, a page at a time; a script that searches as one types gets the results alone."""
    state = ListState.read(request.query_params)
    try:
        found, stats, counts = await asyncio.gather(
            visitor.api.get("/students/", **state.page_query()),
            visitor.api.get("/students/stats"),
            _counts_under_filters(visitor, state),
        )
    except Refused as refused:
        if refused.status == 422 and "cursor" in refused.errors:
            # The page belongs to another list: begin again.
            text = "That page of the list isn’t there. This is the first one."
            await notices.leave(request, visitor, text, kind="warn")
            return go_to(request, state.url())
        if refused.status != 422:
            raise
        return await _list(request, visitor, state, NOBODY, NO_STATS, {}, refused)
    return await _list(request, visitor, state, found.body, stats.body, counts, None)


async def _list(
    request: Request,
    visitor: Visitor,
    state: ListState,
    found: dict[str, Any],
    stats: dict[str, Any],
    counts: dict[str, int],
    refused: Refused | None,
) -> Response:
    context: dict[str, Any] = {
        "active": "students",
        "state": state,
        "found": found,
        "stats": stats,
        "tabs": tabs(state, found, stats, counts),
        "columns": Preferences.read(request).columns,
        "all_columns": COLUMNS,
        "column_sorts": COLUMN_SORTS,
        "sorts": SORTS,
        "refused": refused,
        "left_out": ListState.left_out(request.query_params),
        "may_write": visitor.session.may("students:write"),
    }
    if not wants_part(request):
        return await page(request, visitor, "students/list.html", **context)
    response = part(request, "students/list.html", "count_update", "results", **context)
    response.headers["HX-Replace-Url" if request.headers.get("hx-source", "").startswith("form") else "HX-Push-Url"] = (
        state.url(cursor=state.cursor, trail=state.trail, page=state.page)
    )
    return response


async def _counts_under_filters(visitor: Visitor, state: ListState) -> dict[str, int]:
    """How many each tab but the open one holds under a program or a year.

    Not under a search: that runs with every letter typed, and would ask for all of them each time.
    """
    if state.q or not (state.program or state.year):
        return {}
    others = [key for key in TABS if key != _open_tab(state)]
    answers = await asyncio.gather(
        *(visitor.api.get("/students/", **_tab(state, key).api_query(), limit=1) for key in others)
    )
    return {key: answer.body["total"] for key, answer in zip(others, answers, strict=True)}


def tabs(
    state: ListState, found: dict[str, Any], stats: dict[str, Any], counts: dict[str, int]
) -> list[dict[str, Any]]:
    """The statuses with how many have them; during a search only the open one's count is known."""
    if state.q or state.program or state.year:
        known = {**counts, _open_tab(state): found["total"]}
    else:
        known = {"": stats.get("total"), DELETED: stats.get("deleted"), **stats.get("by_status", {})}
    return [
        {
            "label": label,
            "count": known.get(key),
            "current": key == _open_tab(state),
            "href": _tab(state, key).url(),
        }
        for key, label in TABS.items()
    ]


def _open_tab(state: ListState) -> str:
    return DELETED if state.deleted else state.status


def _tab(state: ListState, key: str) -> ListState:
    return replace(state, status="" if key == DELETED else key, deleted=key == DELETED)
