"""`/auth/login`, `/auth/token`, `/auth/refresh`, `/auth/logout`, `/auth/logout-all`."""

# No `from __future__ import annotations`: endpoints are made inside a function and FastAPI reads their annotations.
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from auth_service import audit, refresh_tokens, sessions, throttle
from auth_service.answers import SIGNED_IN, Tokens, problems
from auth_service.audit import Event
from auth_service.caller import Caller, SignedToken, live_caller, signed_in
from auth_service.credentials import FormCredentials, JsonCredentials
from auth_service.models import sessions as sessions_table
from auth_service.revocations import revoke, unpublished
from auth_service.service import origin_of, service_of
from auth_service.settings import LoginRates
from auth_service.sign_in import sign_in
from auth_service.throttle import ACCOUNT, ADDRESS, LOGIN, LimitedRoute, RedisLimiter
from servicekit.problems import Unauthorized


class RefreshBody(BaseModel):
    """A refresh token that has not been used."""

    refresh_token: str = Field(min_length=1, max_length=refresh_tokens.MAX_CHARACTERS)


def sign_in_router(limiter: RedisLimiter, rates: LoginRates) -> APIRouter:
    """Signing in, limited."""
    router = APIRouter(prefix="/auth", tags=["sign-in"], route_class=LimitedRoute)
    answers = problems(400, 401, 422, 429)

    @router.post("/login", summary="Sign in (JSON)", response_model=Tokens, responses=answers)
    @limiter.shared_limit(rates.address, scope=ADDRESS, key_func=throttle.by_address)
    @limiter.shared_limit(rates.account, scope=ACCOUNT, key_func=throttle.by_account)
    @limiter.shared_limit(rates.login, scope=LOGIN, key_func=throttle.by_address_and_account)
    def login(request: Request, credentials: JsonCredentials) -> Response:
        return _answer(sign_in(service_of(request), credentials, origin_of(request)))

    @router.post("/token", summary="Sign in (OAuth 2 password form)", response_model=Tokens, responses=answers)
    @limiter.shared_limit(rates.address, scope=ADDRESS, key_func=throttle.by_address)
    @limiter.shared_limit(rates.account, scope=ACCOUNT, key_func=throttle.by_account)
    @limiter.shared_limit(rates.login, scope=LOGIN, key_func=throttle.by_address_and_account)
    def token(request: Request, credentials: FormCredentials) -> Response:
        return _answer(sign_in(service_of(request), credentials, origin_of(request)))

    return router


def _answer(pair: sessions.TokenPair) -> Response:
    # As bytes: FastAPI would go to another thread once more, to check a model that has just been made.
    body = Tokens(**asdict(pair)).model_dump_json()
    return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})  # RFC 6749 §5.1


router = APIRouter(prefix="/auth", tags=["sign-in"], route_class=LimitedRoute)


@router.post(
    "/refresh",
    summary="Exchange a refresh token for a new pair",
    response_model=Tokens,
    responses=problems(400, 401, 422),
)
def refresh(request: Request, body: RefreshBody) -> Response:
    """The token sent is spent. Sent again within seconds it gives the same successor; later, it ends the session."""
    service = service_of(request)
    with service.db.write() as conn:
        outcome = sessions.refresh(conn, service, body.refresh_token, origin_of(request), service.clock())
    if outcome.to_publish:
        service.denylist.publish(outcome.to_publish)
    if outcome.pair is None:
        raise Unauthorized("The refresh token is not valid (any more); sign in again.", error="invalid_token")
    return _answer(outcome.pair)


@router.post("/logout", status_code=204, summary="End this session", responses=problems(*SIGNED_IN))
def logout(request: Request, claims: SignedToken) -> None:
    """From the answer on, this session's tokens are refused everywhere."""
    service = service_of(request)
    now = service.clock()
    try:
        caller = live_caller(service, claims)
    except Unauthorized:
        # A logout that was answered 503 is repeated: finish it. Otherwise the session is simply over.
        with service.db.read() as conn:
            waiting = unpublished(conn, now, user_id=claims.sub)
        if claims.sid not in {item.session_id for item in waiting}:
            raise
        service.denylist.publish(waiting)
        return
    with service.db.write() as conn:
        revoked = revoke(conn, caller.id, because="sign_out", now=now, which=sessions_table.c.id == caller.session_id)
        origin = origin_of(request)
        audit.record(
            conn,
            Event.SIGN_OUT,
            origin=origin,
            now=now,
            actor=caller.person,
            subject=caller.person,
            session_id=caller.session_id,
        )
    service.denylist.publish(revoked)


@router.post("/logout-all", status_code=204, summary="End all of the caller's sessions", responses=problems(*SIGNED_IN))
def logout_all(request: Request, caller: Annotated[Caller, Depends(signed_in())]) -> None:
    """This one too."""
    service = service_of(request)
    now = service.clock()
    with service.db.write() as conn:
        revoked = revoke(conn, caller.id, because="sign_out_all", now=now)
        audit.record(
            conn,
            Event.SIGN_OUT_ALL,
            origin=origin_of(request),
            now=now,
            actor=caller.person,
            subject=caller.person,
            session_id=caller.session_id,
            sessions=len(revoked),
        )
    service.denylist.publish(revoked)
