"""Who looks at the page: the session behind the cookie, and the API in that person's name."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Response
from starlette.datastructures import FormData

from admin_ui.api import Api
from admin_ui.gateway_client import GatewayClient, Origin
from admin_ui.session_store import Session, SessionStore
from admin_ui.settings import Settings
from servicekit.problems import Forbidden
from servicekit.request_context import facts_of, set_user

MAX_FIELDS = 1_000


class NotSignedIn(Exception):
    """The page is for people who are signed in."""


class StaleForm(Forbidden):
    """The form's token is not this session's: it was opened before the last sign-in, or comes from elsewhere."""

    def __init__(self) -> None:
        super().__init__("This form was opened before you signed in, or comes from elsewhere. Open the page again.")


@dataclass(frozen=True)
class Services:
    """What the pages share; one per application."""

    settings: Settings
    client: GatewayClient
    store: SessionStore


@dataclass(frozen=True)
class Visitor:
    """A signed-in person in one request."""

    api: Api

    @property
    def session(self) -> Session:
        return self.api.session


def services_of(request: Request) -> Services:
    """What ``create_app`` built."""
    found: Services = request.app.state.services
    return found


def origin_of(request: Request) -> Origin:
    """On whose behalf this request calls the gateway."""
    return Origin(facts_of(request.scope), request.headers.get("user-agent", ""))


async def current_session(request: Request) -> Session | None:
    """The session of the cookie, if there is one that lives; asked for once in a request."""
    if "session" not in request.scope["state"]:
        services = services_of(request)
        session_id = request.cookies.get(cookie_name(services.settings))
        request.scope["state"]["session"] = await services.store.find(session_id) if session_id else None
    found: Session | None = request.scope["state"]["session"]
    return found


async def signed_in(request: Request) -> Visitor:
    """The person who asks.

    Raises:
        NotSignedIn: Nobody we know. StoreAway: Redis is away.
    """
    session = await current_session(request)
    if session is None:
        raise NotSignedIn
    set_user(request.scope, session.username)
    services = services_of(request)
    return Visitor(Api(services.client, services.store, session, origin_of(request)))


def require(visitor: Visitor, scope: str) -> None:
    """Refuse a page that this person could do nothing with; whether they may is for the API to say.

    Raises:
        Forbidden: Their role lacks the scope.
    """
    if not visitor.session.may(scope):
        raise Forbidden


SignedIn = Annotated[Visitor, Depends(signed_in)]


async def checked_form(request: Request, visitor: SignedIn) -> FormData:
    """The form that was sent, by one of this session's own pages.

    Raises:
        StaleForm: It doesn't carry the session's token.
    """
    form = await request.form(max_fields=MAX_FIELDS)
    request.scope["state"]["form"] = form  # to keep what was typed when the session turns out to have ended
    token = form.get("csrf")
    if not isinstance(token, str) or not secrets.compare_digest(token.encode(), visitor.session.csrf.encode()):
        raise StaleForm
    return form


Form = Annotated[FormData, Depends(checked_form)]


def cookie_name(settings: Settings) -> str:
    """RFC 6265bis §4.1.3.2: the prefix keeps subdomains and plain http from setting this cookie."""
    return "__Host-matricula" if settings.cookies_are_secure else "matricula"


def set_session_cookie(response: Response, settings: Settings, session_id: str) -> None:
    """Gone with the browser's session, or when the session here has ended."""
    response.set_cookie(
        cookie_name(settings), session_id, path="/", secure=settings.cookies_are_secure, httponly=True, samesite="lax"
    )


def drop_session_cookie(response: Response, settings: Settings) -> None:
    """Tell the browser to forget the cookie; the session must have been ended besides."""
    response.delete_cookie(
        cookie_name(settings), path="/", secure=settings.cookies_are_secure, httponly=True, samesite="lax"
    )
