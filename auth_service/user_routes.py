"""`/auth/users`: for whoever may manage users."""

# No `from __future__ import annotations`: see auth.py.
from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import Row, select

from auth_service import audit, listing, usernames, users
from auth_service.answers import ADMIN, SessionPage, UserOut, UserPage, problems
from auth_service.audit import Event, Person
from auth_service.caller import USER_ADMIN, Caller, signed_in
from auth_service.credentials import TypedPassword
from auth_service.listing import PageRequest
from auth_service.models import users as table
from auth_service.parameters import Cursor, Identifier, Limit
from auth_service.revocations import revoke
from auth_service.roles import Role
from auth_service.service import origin_of, service_of
from auth_service.session_routes import end_one, page_of_sessions
from auth_service.token_first import TokenFirstRoute
from auth_service.users import Changes, NewUser

router = APIRouter(prefix="/auth/users", tags=["users"], route_class=TokenFirstRoute)
UserAdmin = Annotated[Caller, Depends(signed_in("users:manage"))]
SORTS = {
    "username": table.c.username_key,
    "role": table.c.role,
    "created_at": table.c.created_at,
    "updated_at": table.c.updated_at,
}


def _a_username(value: str) -> str:
    if not usernames.is_valid(value):
        raise ValueError(f"must be {usernames.RULE}")
    return value


class UserCreate(BaseModel):
    """A new user."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"username": "m.okafor", "password": "violet harbour 29 kites", "role": "registrar"}
        },
    )

    username: Annotated[
        str,
        # The pattern is for the document only: as a check it would answer with itself.
        Field(max_length=usernames.MAX_LENGTH, json_schema_extra={"pattern": usernames.PATTERN}),
        AfterValidator(_a_username),
    ] = Field(description=usernames.RULE.capitalize() + ". Unique whatever its case.")
    password: TypedPassword = Field(description="At least 12 characters, not a common one.")
    role: Role


class UserPatch(BaseModel):
    """What to change; what is left out stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"role": "viewer"}})

    role: Role = Role.VIEWER
    disabled: Annotated[bool, Field(strict=True)] = False
    password: TypedPassword = ""

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("give at least one of role, disabled, password")
        return self

    def changes(self) -> Changes:
        """Only what was sent."""
        return Changes(**self.model_dump(exclude_unset=True))


@router.get("/", summary="List users", responses=problems(*ADMIN, 422), dependencies=[USER_ADMIN])
@router.get("", include_in_schema=False, dependencies=[USER_ADMIN])
def list_users(
    request: Request,
    limit: Limit = 20,
    cursor: Cursor = None,
    sort: str = "username",
    q: Annotated[str | None, Query(max_length=64, description="Part of the username.")] = None,
    role: Role | None = None,
    disabled: bool | None = None,
) -> UserPage:
    """Sort by `username`, `role`, `created_at` or `updated_at`; `-` in front for descending."""
    query = select(table)
    if q:
        query = query.where(table.c.username_key.contains(usernames.key_of(q), autoescape=True))
    if role is not None:
        query = query.where(table.c.role == role)
    if disabled is not None:
        query = query.where(table.c.disabled.is_(disabled))
    with service_of(request).db.read() as conn:
        found = listing.fetch(conn, query, PageRequest(limit, cursor, sort), columns=SORTS, key=table.c.id)
    return UserPage(items=[_shown(row) for row in found.rows], next_cursor=found.next_cursor, total=found.total)


@router.post("/", status_code=201, summary="Create a user", responses=problems(*ADMIN, 409, 422))
@router.post("", status_code=201, include_in_schema=False)
def create_user(request: Request, response: Response, body: UserCreate, caller: UserAdmin) -> UserOut:
    """The password is given by the administrator; its owner changes it at `/auth/me/password`."""
    new = NewUser(body.username, body.password, body.role)
    user = users.create(service_of(request), new, caller.person, origin_of(request))
    response.headers["Location"] = f"/auth/users/{user.id}"
    return _shown(user)


@router.get("/{id}", summary="One user", responses=problems(*ADMIN, 404, 422), dependencies=[USER_ADMIN])
def get_user(request: Request, id: Identifier) -> UserOut:
    """Whether disabled or not."""
    with service_of(request).db.read() as conn:
        return _shown(users.find(conn, id))


@router.patch("/{id}", summary="Change role, disabled or password", responses=problems(*ADMIN, 404, 409, 422))
def change_user(request: Request, id: Identifier, body: UserPatch, caller: UserAdmin) -> UserOut:
    """A new role or password, or disabling, ends the user's sessions: their tokens are refused from the answer on."""
    service = service_of(request)
    user, revoked = users.change(service, id, body.changes(), caller.person, origin_of(request))
    service.denylist.publish(revoked)
    return _shown(user)


@router.delete("/{id}", status_code=204, summary="Delete a user", responses=problems(*ADMIN, 404, 409, 422))
def delete_user(request: Request, id: Identifier, caller: UserAdmin) -> None:
    """For good; the audit trail keeps the name."""
    service = service_of(request)
    service.denylist.publish(users.remove(service, id, caller.person, origin_of(request)))


@router.get("/{id}/sessions", summary="A user's sessions", responses=problems(*ADMIN, 404, 422))
def list_user_sessions(
    request: Request,
    id: Identifier,
    caller: UserAdmin,
    limit: Limit = 20,
    cursor: Cursor = None,
    sort: str = "-last_seen_at",
) -> SessionPage:
    """Those that can still be used."""
    service = service_of(request)
    with service.db.read() as conn:
        users.find(conn, id)
        return page_of_sessions(conn, id, PageRequest(limit, cursor, sort), caller.session_id, service.clock())


@router.delete(
    "/{id}/sessions/{session_id}",
    status_code=204,
    summary="End one session of a user",
    responses=problems(*ADMIN, 404, 422),
)
def end_user_session(request: Request, id: Identifier, session_id: Identifier, caller: UserAdmin) -> None:
    """Its tokens are refused everywhere from the answer on."""
    with service_of(request).db.read() as conn:
        user = users.find(conn, id)
    end_one(request, Person(user.id, user.username), session_id, by=caller.person)


@router.post(
    "/{id}/revoke-sessions", status_code=204, summary="End all sessions of a user", responses=problems(*ADMIN, 404, 422)
)
def revoke_sessions(request: Request, id: Identifier, caller: UserAdmin) -> None:
    """Their tokens are refused everywhere from the answer on."""
    service = service_of(request)
    now = service.clock()
    with service.db.write() as conn:
        user = users.find(conn, id, lock=True)
        revoked = revoke(conn, id, because="revoked_by_admin", now=now)
        subject = Person(user.id, user.username)
        audit.record(
            conn,
            Event.SESSIONS_REVOKED,
            origin=origin_of(request),
            now=now,
            actor=caller.person,
            subject=subject,
            sessions=len(revoked),
        )
    service.denylist.publish(revoked)


def _shown(row: Row[Any]) -> UserOut:
    return UserOut.model_validate(row, from_attributes=True)
