"""One user: what is known of them, their sessions, and what an administrator can do."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from admin_ui import notices
from admin_ui.attempt import NEEDED, Attempt, failed
from admin_ui.audit_wording import ROLE_HINTS, tell
from admin_ui.browser import go_to
from admin_ui.gateway_client import GatewayAway, Refused
from admin_ui.pages.users import PATH, user_path
from admin_ui.view import page
from admin_ui.visitor import Form, SignedIn, Visitor, require
from admin_ui.wording import ROLES, role_label

SESSIONS_SHOWN = 5
EVENTS_SHOWN = 8
router = APIRouter(prefix=PATH + "/{user_id:uuid}", include_in_schema=False)


async def read_user(visitor: Visitor, user_id: UUID) -> dict[str, Any]:
    """The user, disabled or not."""
    require(visitor, "users:manage")
    user: dict[str, Any] = (await visitor.api.get(f"/auth/users/{user_id}")).body
    return user


@router.get("")
@router.get("/")
async def show_user(request: Request, visitor: SignedIn, user_id: UUID) -> Response:
    """Everything at a glance."""
    return await _record(request, visitor, user_id)


@router.get("/role")
async def show_role(request: Request, visitor: SignedIn, user_id: UUID) -> Response:
    """Which role it shall be."""
    user = await read_user(visitor, user_id)
    return await _form(request, visitor, "users/role.html", user, Attempt(), chosen=user["role"])


@router.post("/role")
async def change_role(request: Request, visitor: SignedIn, form: Form, user_id: UUID) -> Response:
    """Give the user another role; it ends their sessions."""
    user = await read_user(visitor, user_id)
    role = str(form.get("role", ""))
    if role == user["role"]:
        await notices.leave(request, visitor, "Nothing was changed.")
        return go_to(request, user_path(user_id))
    try:
        await visitor.api.call("PATCH", f"/auth/users/{user_id}", json={"role": role})
    except (Refused, GatewayAway) as error:
        return await _form(request, visitor, "users/role.html", user, failed(request, error), chosen=role)
    await notices.leave(
        request,
        visitor,
        f"{user['username']} is {_with_article(role)} now, and has to sign in again.",
        undo=f"{user_path(user_id)}/role",
        fields={"role": user["role"]},
    )
    return go_to(request, user_path(user_id))


@router.get("/password")
async def show_password(request: Request, visitor: SignedIn, user_id: UUID) -> Response:
    """A new password for somebody who has lost theirs."""
    user = await read_user(visitor, user_id)
    return await _form(request, visitor, "users/password.html", user, Attempt())


@router.post("/password")
async def reset_password(request: Request, visitor: SignedIn, form: Form, user_id: UUID) -> Response:
    """Set it; it ends the user's sessions."""
    user = await read_user(visitor, user_id)
    password = str(form.get("password", ""))
    if not password:
        return await _form(request, visitor, "users/password.html", user, Attempt({"password": NEEDED}))
    try:
        await visitor.api.call("PATCH", f"/auth/users/{user_id}", json={"password": password})
    except (Refused, GatewayAway) as error:
        return await _form(request, visitor, "users/password.html", user, failed(request, error))
    await notices.leave(request, visitor, f"{user['username']} has a new password and is signed out everywhere.")
    return go_to(request, user_path(user_id))


@router.post("/access")
async def change_access(request: Request, visitor: SignedIn, form: Form, user_id: UUID) -> Response:
    """Disable or enable."""
    user = await read_user(visitor, user_id)
    disabled = form.get("disabled") == "true"
    try:
        await visitor.api.call("PATCH", f"/auth/users/{user_id}", json={"disabled": disabled})
    except Refused as refused:
        return await _not_done(request, visitor, user_id, refused)
    words = "is disabled and signed out everywhere" if disabled else "can sign in again"
    await notices.leave(
        request,
        visitor,
        f"{user['username']} {words}.",
        undo=f"{user_path(user_id)}/access",
        fields={"disabled": "false" if disabled else "true"},
    )
    return go_to(request, user_path(user_id))


@router.get("/delete")
async def ask_to_delete(request: Request, visitor: SignedIn, user_id: UUID) -> Response:
    """The question, for a browser without scripts; with them the user's page asks it in a dialog."""
    user = await read_user(visitor, user_id)
    return await page(request, visitor, "users/delete.html", active="users", user=user, back=user_path(user_id))


@router.post("/delete")
async def delete(request: Request, visitor: SignedIn, form: Form, user_id: UUID) -> Response:
    """Delete for good."""
    user = await read_user(visitor, user_id)
    try:
        await visitor.api.call("DELETE", f"/auth/users/{user_id}")
    except Refused as refused:
        return await _not_done(request, visitor, user_id, refused)
    await notices.leave(request, visitor, f"{user['username']} was deleted.")
    return go_to(request, PATH)


async def _record(request: Request, visitor: Visitor, user_id: UUID, *, refused: Refused | None = None) -> Response:
    require(visitor, "users:manage")
    user, sessions, events = await asyncio.gather(
        visitor.api.get(f"/auth/users/{user_id}"),
        visitor.api.get(f"/auth/users/{user_id}/sessions", limit=SESSIONS_SHOWN),
        visitor.api.get("/auth/audit", subject=str(user_id), limit=EVENTS_SHOWN),
    )
    return await page(
        request,
        visitor,
        "users/record.html",
        status=refused.status if refused else 200,
        active="users",
        user=user.body,
        is_self=str(user_id) == visitor.session.user_id,
        sessions=sessions.body,
        sessions_path=f"{user_path(user_id)}/sessions",
        may_end=str(user_id) != visitor.session.user_id,
        events=[tell(entry) for entry in events.body["items"]],
        trail_is_longer=events.body["next_cursor"] is not None,
        back=user_path(user_id),
        **Attempt(refused=refused).context(),
    )


async def _not_done(request: Request, visitor: Visitor, user_id: UUID, refused: Refused) -> Response:
    """The user's page with what stood in the way."""
    if refused.status != 409:
        raise refused
    return await _record(request, visitor, user_id, refused=refused)


async def _form(
    request: Request, visitor: Visitor, template: str, user: dict[str, Any], attempt: Attempt, **context: Any
) -> Response:
    return await page(
        request,
        visitor,
        template,
        part_of_it="form",
        status=attempt.status,
        active="users",
        user=user,
        back=user_path(user["id"]),
        roles=ROLES,
        role_hints=ROLE_HINTS,
        **attempt.context(),
        **context,
    )


def _with_article(role: str) -> str:
    label = role_label(role).lower()
    return f"{'an' if label[:1] in 'aeiou' else 'a'} {label}"
