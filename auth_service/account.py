"""`/auth/me` and `/auth/me/password`: the caller's own account."""

# No `from __future__ import annotations`: see auth.py.
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel
from sqlalchemy import select, update

from auth_service import audit, passwords, throttle
from auth_service.answers import SIGNED_IN, Profile, UserOut, problems
from auth_service.audit import Event
from auth_service.caller import Caller, ended, signed_in
from auth_service.credentials import TypedPassword
from auth_service.models import sessions, users
from auth_service.revocations import revoke
from auth_service.roles import scopes_of
from auth_service.service import Service, origin_of, service_of
from auth_service.settings import LoginRates
from auth_service.throttle import LOGIN, RedisLimiter, name_account
from auth_service.token_first import LimitedTokenFirstRoute
from servicekit.problems import FieldError, Unprocessable

SignedIn = Annotated[Caller, Depends(signed_in())]


class PasswordChange(BaseModel):
    """The password that is, and the one that shall be."""

    current_password: TypedPassword
    new_password: TypedPassword


async def _own_account(request: Request, caller: SignedIn) -> Caller:
    name_account(request, caller.person.username)
    return caller


def account_router(limiter: RedisLimiter, rates: LoginRates) -> APIRouter:
    """The caller's own account; guessing the current password counts as signing in."""
    router = APIRouter(prefix="/auth/me", tags=["account"], route_class=LimitedTokenFirstRoute)

    @router.get("", summary="Who am I?", responses=problems(*SIGNED_IN))
    def me(request: Request, caller: SignedIn) -> Profile:
        with service_of(request).db.read() as conn:
            user = conn.execute(select(users).where(users.c.id == caller.id)).first()
        if user is None:
            raise ended()
        known = UserOut.model_validate(user, from_attributes=True)
        return Profile(**known.model_dump(), scopes=list(scopes_of(user.role)), session_id=caller.session_id)

    @router.put(
        "/password", status_code=204, summary="Change the own password", responses=problems(*SIGNED_IN, 400, 422, 429)
    )
    @limiter.shared_limit(rates.login, scope=LOGIN, key_func=throttle.by_address_and_account)
    def change_password(
        request: Request, body: PasswordChange, caller: Annotated[Caller, Depends(_own_account)]
    ) -> None:
        """All other sessions end; this one stays."""
        _change_password(service_of(request), request, caller, body)

    return router


def _change_password(service: Service, request: Request, caller: Caller, body: PasswordChange) -> None:
    origin = origin_of(request)
    with service.db.read() as conn:
        user = conn.execute(select(users).where(users.c.id == caller.id)).first()
    if user is None:
        raise ended()
    right, _ = service.hasher.verify(body.current_password, user.password_hash)
    if not right:
        with service.db.write() as conn:
            audit.record(
                conn,
                Event.PASSWORD_CHANGE_FAILED,
                origin=origin,
                now=service.clock(),
                actor=caller.person,
                subject=caller.person,
                session_id=caller.session_id,
            )
        raise Unprocessable(errors=[FieldError("current_password", "is not the current password")])
    objection = passwords.objection(body.new_password, user.username)
    if objection is not None:
        raise Unprocessable(objection, errors=[FieldError("new_password", objection)])
    hashed = service.hasher.hash(body.new_password)
    now = service.clock()
    with service.db.write() as conn:
        fresh = conn.execute(select(users).where(users.c.id == caller.id).with_for_update()).first()
        live = conn.execute(
            select(sessions.c.id).where(sessions.c.id == caller.session_id, sessions.c.revoked_at.is_(None))
        ).first()
        # A reset by an administrator, or a sign-out, while the passwords were being hashed wins.
        if fresh is None or live is None or fresh.password_hash != user.password_hash:
            raise ended()
        conn.execute(
            update(users)
            .where(users.c.id == caller.id)
            .values(password_hash=hashed, password_changed_at=now, updated_at=now)
        )
        others = sessions.c.id != caller.session_id
        revoked = revoke(conn, caller.id, because="password_changed", now=now, which=others)
        audit.record(
            conn,
            Event.PASSWORD_CHANGED,
            origin=origin,
            now=now,
            actor=caller.person,
            subject=caller.person,
            session_id=caller.session_id,
            sessions_ended=len(revoked),
        )
    service.denylist.publish(revoked)
