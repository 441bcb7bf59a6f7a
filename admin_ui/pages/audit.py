"""The audit trail: who signed in, who failed to, who changed what."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from fastapi import APIRouter, Request, Response

from admin_ui.audit_wording import EVENTS, tell
from admin_ui.browser import go_to, wants_part
from admin_ui.browsing import Browsing
from admin_ui.gateway_client import Refused
from admin_ui.view import page, part
from admin_ui.visitor import SignedIn, require

PATH = "/admin/audit"
LIST = Browsing(PATH, page_size=50)
FILTERS: dict[str, tuple[str, ...]] = {"event": (), "actor": (), "subject": (), "since": (), "until": ()}
router = APIRouter(prefix=PATH, include_in_schema=False)


@router.get("")
@router.get("/")
async def show(request: Request, visitor: SignedIn) -> Response:
    """The trail, newest first, a page at a time."""
    require(visitor, "users:manage")
    state = LIST.reading(request.query_params, filters=FILTERS)
    errors = _objections(state)
    found: dict[str, Any] = {"items": [], "next_cursor": None, "total": 0}
    if not errors:
        try:
            found = (await visitor.api.get("/auth/audit", **_api_filters(state), **state.api_page())).body
        except Refused as refused:
            if refused.status != 422:
                raise
            if "cursor" in refused.errors:
                return go_to(request, state.url())  # the page belongs to another list: begin again
            errors = refused.errors
    context: dict[str, Any] = {
        "active": "audit",
        "state": state,
        "found": found,
        "told": [tell(entry) for entry in found["items"]],
        "events": EVENTS,
        "errors": errors,
    }
    if not wants_part(request):
        return await page(request, visitor, "audit/trail.html", status=422 if errors else 200, **context)
    response = part(request, "audit/trail.html", "count_update", "results", **context)
    typed = request.headers.get("hx-source", "").startswith("form")
    response.headers["HX-Replace-Url" if typed else "HX-Push-Url"] = state.address()
    return response


def _objections(state: Browsing) -> dict[str, str]:
    """What can't be filtered by, before the API is asked."""
    errors = {}
    if state.filters.get("event", "") not in (*EVENTS, ""):
        errors["event"] = "is none that the trail knows"
    days = {name: _day(state.filters.get(name, "")) for name in ("since", "until")}
    for name, day in days.items():
        if name in state.filters and day is None:
            errors[name] = "must be a day, such as 2026-11-24"
    if not errors and days["since"] and days["until"] and days["since"] > days["until"]:
        errors["until"] = "is before the beginning"
    return errors


def _api_filters(state: Browsing) -> dict[str, str]:
    """Whole days become moments: the last day is meant with all of it."""
    given = dict(state.filters)
    if day := _day(given.pop("since", "")):
        given["since"] = f"{day.isoformat()}T00:00:00Z"
    if day := _day(given.pop("until", "")):
        given["until"] = f"{(day + timedelta(days=1)).isoformat()}T00:00:00Z"
    return given


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if found < date.max else None
