"""`/auth/sessions`: the caller's own sessions."""

# No `from __future__ import annotations`: see auth.py.
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from sqlalchemy import Connection, Row, select

from auth_service import audit, listing
from auth_service.answers import SIGNED_IN, SessionPage, problems
from auth_service.audit import Event, Person
from auth_service.caller import Caller, signed_in
from auth_service.listing import PageRequest
from auth_service.models import sessions
from auth_service.parameters import Cursor, Identifier, Limit
from auth_service.revocations import revoke, unpublished
from auth_service.service import origin_of, service_of
from auth_service.sessions import is_live
from servicekit.problems import NotFound
from servicekit.strict_json import StrictRoute

router = APIRouter(prefix="/auth/sessions", tags=["account"], route_class=StrictRoute)
SignedIn = Annotated[Caller, Depends(signed_in())]
SORTS = {"created_at": sessions.c.created_at, "last_seen_at": sessions.c.last_seen_at}


@router.get("/", summary="The caller's sessions", responses=problems(*SIGNED_IN, 422))
@router.get("", include_in_schema=False)
def list_own_sessions(
    request: Request, caller: SignedIn, limit: Limit = 20, cursor: Cursor = None, sort: str = "-last_seen_at"
) -> SessionPage:
    """Those that can still be used."""
    service = service_of(request)
    with service.db.read() as conn:
        return page_of_sessions(conn, caller.id, PageRequest(limit, cursor, sort), caller.session_id, service.clock())


@router.delete("/{id}", status_code=204, summary="End one of the caller's sessions", responses=problems(401, 404, 422))
def end_session(request: Request, id: Identifier, caller: SignedIn) -> None:
    """Its tokens are refused everywhere from the answer on."""
    end_one(request, caller.person, id, by=caller.person)


def end_one(request: Request, owner: Person, session_id: str, *, by: Person) -> None:
    """End one session of ``owner``, in the database and at every gateway.

    Raises:
        NotFound: The owner has no such session. ServiceUnavailable: It is stored, but not effective everywhere yet.
    """
    service = service_of(request)
    now = service.clock()
    with service.db.write() as conn:
        theirs = (sessions.c.user_id == owner.id) & (sessions.c.id == session_id)
        live = conn.execute(select(sessions.c.id).where(theirs, is_live(now))).first()
        waiting = {item.session_id for item in unpublished(conn, now, user_id=owner.id)}
        if live is None and session_id not in waiting:
            raise NotFound("There is no such session.")
        revoked = revoke(conn, owner.id, because="session_revoked", now=now, which=sessions.c.id == session_id)
        if live is not None:
            audit.record(
                conn,
                Event.SESSION_REVOKED,
                origin=origin_of(request),
                now=now,
                actor=by,
                subject=owner,
                session_id=session_id,
            )
    service.denylist.publish(revoked)


def page_of_sessions(
    conn: Connection, user_id: str, asked: PageRequest, current: str | None, now: datetime
) -> SessionPage:
    """The usable sessions of one user."""
    query = select(sessions).where(sessions.c.user_id == user_id, is_live(now))
    found = listing.fetch(conn, query, asked, columns=SORTS, key=sessions.c.id)
    items = [_shown(row, current) for row in found.rows]
    return SessionPage.model_validate({"items": items, "next_cursor": found.next_cursor, "total": found.total})


def _shown(row: Row[Any], current: str | None) -> dict[str, Any]:
    names = ("id", "device", "user_agent", "address", "created_at", "last_seen_at", "expires_at", "ends_at")
    return {**{name: getattr(row, name) for name in names}, "current": row.id == current}
