"""Sessions: where somebody is signed in, and ending one or all of them. One's own, and for administrators anybody's."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from admin_ui import notices
from admin_ui.browser import go_to
from admin_ui.browsing import Browsing
from admin_ui.gateway_client import Refused
from admin_ui.pages.user_record import read_user
from admin_ui.pages.users import user_path
from admin_ui.view import page
from admin_ui.visitor import Form, SignedIn, Visitor

PROFILE = "/admin/profile"
PAGE_SIZE = 25
router = APIRouter(include_in_schema=False)


@router.get("/admin/users/{user_id:uuid}/sessions")
async def show_of_user(request: Request, visitor: SignedIn, user_id: UUID) -> Response:
    """All sessions of a user."""
    user = await read_user(visitor, user_id)
    path, own = user_path(user_id), str(user_id) == visitor.session.user_id
    context = {"active": "users", "user": user, "back": path, "may_end": not own}
    return await _list(request, visitor, f"/auth/users/{user_id}/sessions", f"{path}/sessions", **context)


@router.post("/admin/users/{user_id:uuid}/sessions/{session_id:uuid}/end")
async def end_of_user(request: Request, visitor: SignedIn, form: Form, user_id: UUID, session_id: UUID) -> Response:
    """End one session of a user."""
    await _end(request, visitor, f"/auth/users/{user_id}/sessions/{session_id}")
    return go_to(request, user_path(user_id))


@router.post("/admin/users/{user_id:uuid}/sessions/end")
async def end_all_of_user(request: Request, visitor: SignedIn, form: Form, user_id: UUID) -> Response:
    """Sign a user out everywhere."""
    user = await read_user(visitor, user_id)
    await visitor.api.call("POST", f"/auth/users/{user_id}/revoke-sessions")
    await notices.leave(request, visitor, f"{user['username']} is signed out everywhere.")
    return go_to(request, user_path(user_id))


@router.get(PROFILE + "/sessions")
async def show_own(request: Request, visitor: SignedIn) -> Response:
    """All sessions of the person who looks."""
    context = {"active": "profile", "user": None, "back": PROFILE, "may_end": True}
    return await _list(request, visitor, "/auth/sessions", f"{PROFILE}/sessions", **context)


@router.post(PROFILE + "/sessions/{session_id:uuid}/end")
async def end_own(request: Request, visitor: SignedIn, form: Form, session_id: UUID) -> Response:
    """End one of the own sessions; for the one that asks there is signing out."""
    await _end(request, visitor, f"/auth/sessions/{session_id}")
    return go_to(request, PROFILE)


def this_one_first(sessions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A page of sessions with the one that asks for it, if it's there, before the others."""
    return sorted(sessions, key=lambda session: not session["current"])


async def _list(request: Request, visitor: Visitor, api_path: str, path: str, **context: Any) -> Response:
    state = Browsing(path, PAGE_SIZE).reading(request.query_params)
    try:
        found = (await visitor.api.get(api_path, **state.api_page())).body
    except Refused as refused:
        if refused.status == 422 and "cursor" in refused.errors:
            return go_to(request, state.url())
        raise
    found |= {"items": this_one_first(found["items"])}
    return await page(
        request, visitor, "sessions/list.html", state=state, found=found, sessions=found, sessions_path=path, **context
    )


async def _end(request: Request, visitor: Visitor, api_path: str) -> None:
    """End a session; one that is over already is what was wanted."""
    text = "That session is ended."
    try:
        await visitor.api.call("DELETE", api_path)
    except Refused as refused:
        if refused.status != 404:
            raise
        text = "That session was over already."
    await notices.leave(request, visitor, text)
