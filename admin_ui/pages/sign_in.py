"""Signing in and out.

Signing in makes a session under a new id, whatever cookie came along. Signing out ends the session here first, so that
the cookie and every copy of it are worthless even when the gateway can't be told.
"""

from __future__ import annotations

import secrets

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from admin_ui.api import Api, SessionEnded, tokens_from
from admin_ui.browser import SIGN_IN, go_to, is_htmx, safe_target
from admin_ui.gateway_client import GatewayAway, Refused
from admin_ui.session_store import Session
from admin_ui.settings import Settings
from admin_ui.view import render
from admin_ui.visitor import (
    Form,
    SignedIn,
    StaleForm,
    cookie_name,
    current_session,
    drop_session_cookie,
    origin_of,
    services_of,
    set_session_cookie,
)
from servicekit.logs import get_logger

log = get_logger()
router = APIRouter(include_in_schema=False)


@router.get(SIGN_IN)
async def show_form(request: Request) -> Response:
    """The form; whoever is signed in already goes on."""
    target = safe_target(request.query_params.get("next"))
    if await current_session(request) is not None:
        return go_to(request, target)
    return form_page(request, target, notice=_notice(request))


@router.post(SIGN_IN)
async def sign_in(request: Request) -> Response:
    """Exchange a password for a session."""
    form = await request.form()
    _check_form_cookie(request, str(form.get("csrf", "")))
    username, target = str(form.get("username", "")), safe_target(str(form.get("next", "")))
    services = services_of(request)
    try:
        session_id, session = await _open_session(request, username, str(form.get("password", "")))
    except Refused as refused:
        if is_htmx(request) or refused.status not in (401, 422, 429):
            raise
        status = 401 if refused.status == 422 else refused.status
        return form_page(request, target, username=username, status=status, wait=refused.retry_after or 0)
    log.info("signed_in", user=session.username)
    if is_htmx(request):
        response = Response("", 200, {"HX-Trigger": f'{{"signed-in-again": {{"csrf": "{session.csrf}"}}}}'})
    else:
        response = RedirectResponse(target, 303)
    set_session_cookie(response, services.settings, session_id)
    return response


@router.post("/admin/logout")
async def sign_out(request: Request, visitor: SignedIn, form: Form) -> Response:
    """End this session, or with ``everywhere`` all sessions of this person."""
    path = "/auth/logout-all" if form.get("everywhere") else "/auth/logout"
    outcome = "out"
    try:
        if form.get("everywhere"):
            await visitor.api.call("POST", path)
            await visitor.api.end()
        else:
            await visitor.api.end()
            await visitor.api.revoke()
    except SessionEnded:
        pass
    except (GatewayAway, Refused):
        if form.get("everywhere"):
            raise
        outcome = "here"
    response = go_to(request, f"{SIGN_IN}?signed={outcome}")
    response.headers["Clear-Site-Data"] = '"cache"'
    drop_session_cookie(response, services_of(request).settings)
    return response


def form_page(
    request: Request, target: str, *, username: str = "", status: int = 200, wait: int = 0, notice: str = ""
) -> Response:
    """The sign-in form with a token of its own: nobody can be signed in by another site's form (login CSRF)."""
    settings = services_of(request).settings
    token = request.cookies.get(form_cookie_name(settings)) or secrets.token_urlsafe(24)
    response = render(
        request,
        "sign_in/form.html",
        status=status,
        csrf=token,
        target=target,
        username=username,
        failed=status == 401,
        wait=wait,
        notice=notice,
    )
    response.set_cookie(
        form_cookie_name(settings),
        token,
        path="/",
        secure=settings.cookies_are_secure,
        httponly=True,
        samesite="strict",
    )
    return response


def form_cookie_name(settings: Settings) -> str:
    """The cookie that the form's token is held against, while there is no session."""
    return cookie_name(settings) + "-form"


async def _open_session(request: Request, username: str, password: str) -> tuple[str, Session]:
    services, origin = services_of(request), origin_of(request)
    answer = await services.client.call(
        origin, "POST", "/auth/login", json={"username": username, "password": password}
    )
    tokens = tokens_from(answer.body)
    profile = await services.client.call(origin, "GET", "/auth/me", token=tokens.access)
    before = await current_session(request)
    if before is not None:  # the browser was signed in: that session is not left lying about
        api = Api(services.client, services.store, before, origin)
        await api.end()
        try:
            await api.revoke()
        except (GatewayAway, Refused, SessionEnded):
            log.info("earlier_session_left_to_expire")
    return await services.store.create(tokens, profile.body)


def _check_form_cookie(request: Request, token: str) -> None:
    kept = request.cookies.get(form_cookie_name(services_of(request).settings), "")
    if not kept or not secrets.compare_digest(kept.encode(), token.encode()):
        raise StaleForm


def _notice(request: Request) -> str:
    asked = request.query_params
    if asked.get("ended"):
        return "ended"
    return asked["signed"] if asked.get("signed") in {"out", "here"} else ""
