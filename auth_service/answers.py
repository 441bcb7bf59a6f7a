"""What the API document says of answers: the pydantic models, and the errors of each route."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from auth_service.roles import Role

# Written out, not referred to: the gateway puts the documents of several services together.
PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Problem (RFC 9457)",
    "required": ["type", "title", "status", "detail", "instance", "request_id"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:matricula:problem:conflict"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}

_MEANINGS = {
    400: "The request can't be read.",
    401: "No valid credentials, or the session has ended.",
    403: "The caller's role lacks a scope.",
    404: "There is no such thing, or it isn't the caller's.",
    409: "It contradicts what is there; the detail and `errors` say how.",
    413: "The body is too large.",
    415: "The body is of a kind that isn't read here.",
    422: "Values that can't be accepted; `errors` names each field.",
    429: "Too many attempts; `Retry-After` says when to come back.",
    503: "A database or Redis is away, or too much is waiting; nothing is left half done.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The ``responses=`` of a route that may answer with these errors (503 is always among them)."""
    schema = {"application/problem+json": {"schema": PROBLEM_SCHEMA}}
    described: dict[int | str, dict[str, Any]] = {
        status: {"description": _MEANINGS[status], "content": schema} for status in (*statuses, 503)
    }
    return described


SIGNED_IN = (401,)
ADMIN = (401, 403)


class Tokens(BaseModel):
    """A pair of tokens. Durations are in seconds."""

    access_token: str = Field(description="Send it as `Authorization: Bearer …`.")
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the name of a scheme
    expires_in: int
    refresh_token: str = Field(description="Good for one use at `/auth/refresh`.")
    refresh_expires_in: int


class UserOut(BaseModel):
    """A user as an administrator sees them."""

    id: str
    username: str
    role: Role
    disabled: bool
    created_at: datetime
    updated_at: datetime
    password_changed_at: datetime
    last_sign_in_at: datetime | None


class Profile(UserOut):
    """The caller."""

    scopes: list[str]
    session_id: str


class SessionOut(BaseModel):
    """One sign-in on one device."""

    id: str
    device: str = Field(examples=["Firefox on Linux"])
    user_agent: str
    address: str
    created_at: datetime
    last_seen_at: datetime = Field(description="To the minute.")
    expires_at: datetime = Field(description="Unless it is refreshed before.")
    ends_at: datetime = Field(description="It can't be refreshed beyond.")
    current: bool


class AuditOut(BaseModel):
    """One entry of the audit trail."""

    id: str
    at: datetime
    event: str
    actor_id: str | None
    actor: str | None
    subject_id: str | None
    subject: str | None
    session_id: str | None
    address: str | None
    request_id: str | None
    details: dict[str, Any]


class UserPage(BaseModel):
    """A page of users."""

    items: list[UserOut]
    next_cursor: str | None
    total: int


class SessionPage(BaseModel):
    """A page of sessions."""

    items: list[SessionOut]
    next_cursor: str | None
    total: int


class AuditPage(BaseModel):
    """A page of the audit trail."""

    items: list[AuditOut]
    next_cursor: str | None
    total: int
