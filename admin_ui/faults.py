"""What a person sees when something can't be done: a designed page for each case, with the request id to quote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import quote

import orjson
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.types import Receive, Scope, Send

from admin_ui.api import SessionEnded
from admin_ui.browser import SIGN_IN, go_to, here, is_htmx
from admin_ui.gateway_client import Refused
from admin_ui.guard import READING, is_page
from admin_ui.kept_form import KeptForm
from admin_ui.session_store import StoreAway
from admin_ui.sign_in_form import SignInForm, sign_in_page
from admin_ui.view import render
from admin_ui.visitor import NotSignedIn, StaleForm, cookie_name, current_session, drop_session_cookie, services_of
from servicekit.app import problem_response
from servicekit.logs import get_logger
from servicekit.middleware import CatchErrors
from servicekit.problems import ServiceUnavailable, phrase_of

log = get_logger()


@dataclass(frozen=True)
class Case:
    """The words for one kind of failure."""

    title: str
    text: str
    icon: str = "alert"


CASES = {
    403: Case("You can’t do this", "Your role doesn’t include it. Ask an administrator if you need it.", "lock"),
    404: Case("Not found", "There is nothing here. It may have been deleted, or the address is wrong.", "search-off"),
    405: Case("Not possible here", "This address can’t be used in that way.", "search-off"),
    409: Case("That clashes with something", "It contradicts what is already there.", "conflict"),
    413: Case("Too large", "What was sent is larger than this system accepts.", "file-off"),
    422: Case("Something isn’t right", "Some of what was sent can’t be accepted."),
    429: Case("A little too fast", "You have asked more often than is allowed for the moment.", "clock"),
    503: Case(
        "Away for a moment", "The records can’t be reached just now. Nothing is lost: try again shortly.", "cloud"
    ),
    504: Case("No answer in time", "The records took too long to answer. Look before you repeat a change.", "cloud"),
}
UNEXPECTED = Case("Something went wrong", "That is our fault, not yours. Quote the number below when you report it.")


@dataclass(frozen=True)
class Fault:
    """A failure that is to be shown."""

    status: int
    detail: str = ""
    request_id: str = ""
    retry_after: int | None = None
    errors: Mapping[str, str] = field(default_factory=dict)


def error_pages() -> Middleware:
    """The layer that shows whatever goes wrong inside a page as a page."""
    return Middleware(CatchErrors, covers=is_page, tell=tell_by_page)


async def tell_by_page(error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer an error with a page."""
    response = await answer_for(Request(scope, receive), error)
    await response(scope, receive, send)


async def answer_for(request: Request, error: Exception) -> Response:
    """The answer that tells a person of an error."""
    if isinstance(error, NotSignedIn | SessionEnded):
        return await ask_to_sign_in(request, ended=isinstance(error, SessionEnded))
    if isinstance(error, StaleForm):
        return await ask_to_send_again(request, error)
    if isinstance(error, Refused):
        return await show(request, Fault(error.status, error.detail, error.request_id, error.retry_after, error.errors))
    if isinstance(error, HTTPException):
        wait = (error.headers or {}).get("Retry-After", "")
        detail = "" if error.detail in _unspoken(error.status_code) else str(error.detail)
        return await show(request, Fault(error.status_code, detail, retry_after=int(wait) if wait else None))
    log.error("unhandled_error", exc_info=error)
    return await show(request, Fault(500))


def _unspoken(status: int) -> set[str]:
    """What an error says when whoever raised it said nothing: the page has better words."""
    phrase = phrase_of(status)
    return {phrase, HTTPStatus(status).description if phrase != "Error" else ""}


async def ask_to_sign_in(request: Request, *, ended: bool) -> Response:
    """To the sign-in page and back. What was being sent is kept, by the page or else by the sign-in form."""
    settings = services_of(request).settings
    was_signed_in = ended or cookie_name(settings) in request.cookies
    request.scope["state"]["session"] = None
    if request.method in READING:
        target = f"{SIGN_IN}?next={quote(here(request), safe='/')}" + ("&ended=1" if was_signed_in else "")
        response = go_to(request, target)
    elif is_htmx(request):
        response = Response("", 401, {"HX-Trigger": "sign-in-again"})
    else:
        response = sign_in_page(request, SignInForm(kept=await KeptForm.of_request(request)), status=401)
    drop_session_cookie(response, settings)
    return response


async def ask_to_send_again(request: Request, stale: StaleForm) -> Response:
    """The form of a page that is older than the session, to be sent again with the token of now.

    Only where the browser says that one of our pages sent it.
    """
    session = await current_session(request)
    if session is None or request.headers.get("sec-fetch-site") != "same-origin":
        request.scope["state"].pop("form", None)
        return await show(request, Fault(stale.status_code, str(stale.detail)))
    if is_htmx(request):
        return Response("", 403, {"HX-Trigger": orjson.dumps({"form-is-older": {"csrf": session.csrf}}).decode()})
    kept = await KeptForm.of_failed(request)
    request.scope["state"].pop("form", None)
    if not kept.to:
        return await show(request, Fault(stale.status_code, str(stale.detail)))
    return render(request, "sign_in/kept.html", status=403, kept_to=kept.to, kept=kept.fields)


async def show(request: Request, fault: Fault) -> Response:
    """A page for a failure, or for a script the message alone."""
    try:
        await current_session(request)  # for the menu
    except StoreAway:
        request.scope["state"]["session"] = None
    case = CASES.get(fault.status, UNEXPECTED)
    template = "errors/message.html" if is_htmx(request) else "errors/page.html"
    kept = await KeptForm.of_failed(request)
    response = render(request, template, status=fault.status, case=case, fault=fault, kept=kept)
    if fault.retry_after:
        response.headers["Retry-After"] = str(fault.retry_after)
    return response


def install(app: FastAPI) -> None:
    """Errors of routes are shown as those of the layers are."""

    async def handle(request: Request, error: Exception) -> Response:
        if is_page(request.scope):
            return await answer_for(request, error)
        return await problem_response(request, error)

    for kind in (HTTPException, NotSignedIn, SessionEnded, Refused, ServiceUnavailable):
        app.add_exception_handler(kind, handle)
