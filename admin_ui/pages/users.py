"""Users: the list, and adding one."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from admin_ui import notices
from admin_ui.attempt import NEEDED, Attempt, failed
from admin_ui.audit_wording import ROLE_HINTS
from admin_ui.browser import go_to, wants_part
from admin_ui.browsing import Browsing
from admin_ui.gateway_client import GatewayAway, Refused
from admin_ui.view import page, part
from admin_ui.visitor import Form, SignedIn, Visitor, require
from admin_ui.wording import ROLES

PATH = "/admin/users"
LIST = Browsing(PATH, page_size=25, default_sort="username")
FILTERS = {"q": (), "role": ROLES, "disabled": ("true", "false")}
SORTS = ("username", "role", "created_at", "updated_at")
NOBODY: dict[str, Any] = {"items": [], "next_cursor": None, "total": 0}
router = APIRouter(prefix=PATH, include_in_schema=False)


def user_path(user_id: Any) -> str:
    """The page of a user."""
    return f"{PATH}/{user_id}"


@router.get("")
@router.get("/")
async def show_list(request: Request, visitor: SignedIn) -> Response:
    """Users, a page at a time; a script that searches as one types gets the results alone."""
    require(visitor, "users:manage")
    state = LIST.reading(request.query_params, filters=FILTERS, sorts=SORTS)
    refused = None
    try:
        found = (await visitor.api.get("/auth/users/", **state.filters, **state.api_page())).body
    except Refused as error:
        if error.status != 422:
            raise
        if "cursor" in error.errors:
            return go_to(request, state.url())  # the page belongs to another list: begin again
        found, refused = NOBODY, error
    context: dict[str, Any] = {
        "active": "users",
        "state": state,
        "found": found,
        "refused": refused,
        "tabs": [{"label": "All", "key": ""}, *({"label": f"{label}s", "key": key} for key, label in ROLES.items())],
    }
    if not wants_part(request):
        return await page(request, visitor, "users/list.html", **context)
    response = part(request, "users/list.html", "count_update", "results", **context)
    typed = request.headers.get("hx-source", "").startswith("form")
    response.headers["HX-Replace-Url" if typed else "HX-Push-Url"] = state.address()
    return response


@router.get("/new")
async def show_new(request: Request, visitor: SignedIn) -> Response:
    """An empty form."""
    require(visitor, "users:manage")
    return await _form(request, visitor, {"username": "", "role": "viewer"}, Attempt())


@router.post("/new")
async def create(request: Request, visitor: SignedIn, form: Form) -> Response:
    """Add a user; the password is not shown again, whatever happens."""
    require(visitor, "users:manage")
    given = {name: str(form.get(name, "")).strip() for name in ("username", "role")}
    password = str(form.get("password", ""))
    errors = {}
    if not given["username"]:
        errors["username"] = NEEDED
    if not password:
        errors["password"] = NEEDED
    if errors:
        return await _form(request, visitor, given, Attempt(errors))
    try:
        user = (await visitor.api.call("POST", "/auth/users/", json={**given, "password": password})).body
    except (Refused, GatewayAway) as error:
        return await _form(request, visitor, given, failed(request, error))
    await notices.leave(request, visitor, f"{user['username']} can sign in now.")
    return go_to(request, user_path(user["id"]))


async def _form(request: Request, visitor: Visitor, given: dict[str, str], attempt: Attempt) -> Response:
    return await page(
        request,
        visitor,
        "users/new.html",
        part_of_it="form",
        status=attempt.status,
        active="users",
        given=given,
        roles=ROLES,
        role_hints=ROLE_HINTS,
        **attempt.context(),
    )
