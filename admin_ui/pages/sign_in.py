"""Signing in and out.

Signing in makes a session under a new id, whatever cookie came along. Signing out ends the session here first, so that
the cookie and every copy of it are worthless even when the gateway can't be told.
"""

from __future__ import annotations

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from admin_ui.api import Api, SessionEnded, tokens_from
from admin_ui.browser import SIGN_IN, go_to, is_htmx, safe_target
from admin_ui.gateway_client import GatewayAway, Refused
from admin_ui.kept_form import KeptForm
from admin_ui.session_store import Session
from admin_ui.sign_in_form import SignInForm, check_token, sign_in_page
from admin_ui.view import render
from admin_ui.visitor import (
    Form,
    SignedIn,
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
    asked = request.query_params
    notice = "ended" if asked.get("ended") else asked.get("signed", "")
    return sign_in_page(request, SignInForm(target, notice=notice if notice in {"ended", "out", "here"} else ""))


@router.get("/admin/login/again")
async def show_form_again(request: Request) -> Response:
    """The form alone, for a page whose session has ended while something was being typed."""
    return sign_in_page(request, SignInForm(), template="sign_in/again.html")


@router.post(SIGN_IN)
async def sign_in(request: Request) -> Response:
    """Exchange a password for a session."""
    form = await request.form()
    check_token(request, str(form.get("csrf", "")))
    draft = SignInForm(
        safe_target(str(form.get("next", ""))), username=str(form.get("username", "")), kept=KeptForm.carried(form)
    )
    try:
        session_id, session = await _open_session(request, draft.username, str(form.get("password", "")))
    except Refused as refused:
        return _not_let_in(request, draft, refused)
    log.info("signed_in", user=session.username)
    request.scope["state"]["session"] = session
    if is_htmx(request):
        told = orjson.dumps({"signed-in-again": {"csrf": session.csrf}}).decode()
        response = Response("", 200, {"HX-Trigger": told, "HX-Reswap": "none"})
    elif draft.kept.to:
        response = render(request, "sign_in/kept.html", kept_to=draft.kept.to, kept=draft.kept.fields)
    else:
        response = RedirectResponse(draft.target, 303)
    set_session_cookie(response, services_of(request).settings, session_id)
    return response


@router.post("/admin/logout")
async def sign_out(request: Request, visitor: SignedIn, form: Form) -> Response:
    """End this session, or with ``everywhere`` all sessions of this person."""
    outcome = "out"
    try:
        if form.get("everywhere"):
            await visitor.api.call("POST", "/auth/logout-all")
            await visitor.api.end()
        else:
            await visitor.api.end()
            await visitor.api.revoke()
    except SessionEnded:
        log.info("signed_out_of_an_ended_session")
    except (GatewayAway, Refused):
        if form.get("everywhere"):
            raise  # nothing has ended yet, and the person is told so
        outcome = "here"
    response = go_to(request, f"{SIGN_IN}?signed={outcome}")
    response.headers["Clear-Site-Data"] = '"cache"'
    drop_session_cookie(response, services_of(request).settings)
    return response


def _not_let_in(request: Request, draft: SignInForm, refused: Refused) -> Response:
    """The form again. Whatever was wrong with the name or the password, it is said in the same words."""
    if refused.status not in (401, 422, 429):
        raise refused
    template = "sign_in/again.html" if is_htmx(request) else "sign_in/form.html"
    if refused.status == 429:
        if is_htmx(request):
            raise refused
        return sign_in_page(request, draft, status=429, wait=refused.retry_after or 1)
    return sign_in_page(request, draft, template=template, status=401)


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
