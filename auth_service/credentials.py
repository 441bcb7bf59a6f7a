"""What people send to sign in, read from JSON or a form before the limiter counts the attempt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Body, Depends, Form, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from auth_service import passwords
from auth_service.throttle import name_account
from servicekit.problems import FieldError, Unprocessable


def _measurable(value: str) -> str:
    if not passwords.is_measurable(value):
        raise ValueError(f"is longer than {passwords.MAX_BYTES} bytes or isn't valid Unicode")
    return value


TypedUsername = Annotated[str, Field(min_length=1, max_length=256)]
TypedPassword = Annotated[str, Field(min_length=1, max_length=passwords.MAX_BYTES), AfterValidator(_measurable)]


class LoginBody(BaseModel):
    """Sign-in as JSON."""

    model_config = ConfigDict(json_schema_extra={"example": {"username": "admin", "password": "admin"}})

    username: TypedUsername
    password: TypedPassword


@dataclass(frozen=True)
class Credentials:
    """A username and a password as they were typed."""

    username: str
    password: str


async def from_json(request: Request, body: Annotated[LoginBody, Body()]) -> Credentials:
    """Read `/auth/login`."""
    name_account(request, body.username)
    return Credentials(body.username, body.password)


async def from_form(
    request: Request,
    username: Annotated[TypedUsername, Form()],
    password: Annotated[TypedPassword, Form(json_schema_extra={"format": "password"})],
    grant_type: Annotated[str | None, Form(pattern="^password$", description="`password`, or left out.")] = None,
    scope: Annotated[str, Form(max_length=1000, description="Accepted and ignored: the role decides.")] = "",
) -> Credentials:
    """Read `/auth/token` (RFC 6749 §4.3.2)."""
    del grant_type, scope
    if "\x00" in username or "\x00" in password:
        raise Unprocessable(
            errors=[FieldError("username" if "\x00" in username else "password", "has a NUL character")]
        )
    name_account(request, username)
    return Credentials(username, password)


JsonCredentials = Annotated[Credentials, Depends(from_json)]
FormCredentials = Annotated[Credentials, Depends(from_form)]
