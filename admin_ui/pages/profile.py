"""One's own profile: role and rights, password, sessions."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response

from admin_ui import notices
from admin_ui.attempt import NEEDED, Attempt, failed
from admin_ui.audit_wording import SCOPES
from admin_ui.browser import go_to
from admin_ui.gateway_client import GatewayAway, Refused
from admin_ui.pages.sessions import PROFILE, this_one_first
from admin_ui.view import page
from admin_ui.visitor import Form, SignedIn, Visitor

SESSIONS_SHOWN = 5
SESSIONS_LOOKED_AT = 100  # for the one that asks, which others may have been used after
router = APIRouter(prefix=PROFILE, include_in_schema=False)


@router.get("")
@router.get("/")
async def show(request: Request, visitor: SignedIn) -> Response:
    """Who one is here, and where one is signed in."""
    me, sessions = await asyncio.gather(
        visitor.api.get("/auth/me"), visitor.api.get("/auth/sessions", limit=SESSIONS_LOOKED_AT)
    )
    found = sessions.body | {"items": this_one_first(sessions.body["items"])[:SESSIONS_SHOWN]}
    return await page(
        request,
        visitor,
        "profile/profile.html",
        active="profile",
        profile=me.body,
        rights=[SCOPES.get(scope, scope) for scope in me.body["scopes"]],
        sessions=found,
        sessions_path=f"{PROFILE}/sessions",
        may_end=True,
    )


@router.get("/password")
async def show_password(request: Request, visitor: SignedIn) -> Response:
    """The form for another password."""
    return await _form(request, visitor, Attempt())


@router.post("/password")
async def change_password(request: Request, visitor: SignedIn, form: Form) -> Response:
    """Change it. All other sessions end; nothing that was typed is ever sent back."""
    current, new, again = (str(form.get(name, "")) for name in ("current_password", "new_password", "new_again"))
    errors = {}
    if not current:
        errors["current_password"] = NEEDED
    if not new:
        errors["new_password"] = NEEDED
    elif new != again:
        errors["new_again"] = "is not the same as the new password"
    if errors:
        return await _form(request, visitor, Attempt(errors))
    try:
        await visitor.api.call("PUT", "/auth/me/password", json={"current_password": current, "new_password": new})
    except (Refused, GatewayAway) as error:
        return await _form(request, visitor, failed(request, error))
    await notices.leave(request, visitor, "Your password is changed. Other devices have to sign in again.")
    return go_to(request, PROFILE)


async def _form(request: Request, visitor: Visitor, attempt: Attempt) -> Response:
    return await page(
        request,
        visitor,
        "profile/password.html",
        part_of_it="form",
        status=attempt.status,
        active="profile",
        **attempt.context(),
    )
