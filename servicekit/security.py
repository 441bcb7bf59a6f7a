"""FastAPI dependencies that say who may call: ``caller: Annotated[Claims, Depends(require("students:read"))]``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer, OAuth2PasswordBearer

from servicekit.problems import BadRequest, Forbidden, Unauthorized
from servicekit.request_context import set_user
from servicekit.tokens import Claims, InvalidToken, Verifier

SCOPES = {
    "students:read": "Read student records",
    "students:write": "Change student records",
    "users:manage": "Manage users, sessions and the audit trail",
    "ops:read": "Read metrics",
}
# Both only document: ``identify`` reads the header itself, so that every refusal is the same problem.
password_flow = OAuth2PasswordBearer(tokenUrl="/auth/token", scheme_name="password", auto_error=False)
bearer_token = HTTPBearer(scheme_name="bearer", bearerFormat="JWT", auto_error=False)


def bearer_of(request: Request) -> str:
    """The token of the ``Authorization: Bearer`` header (RFC 6750 §2.1).

    Raises:
        Unauthorized: There is none. BadRequest: There are two, and which one counts would be anybody's guess.
    """
    headers = request.headers.getlist("authorization")
    if len(headers) > 1:
        raise BadRequest("The request has more than one Authorization header.")
    scheme, _, token = (headers[0] if headers else "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized
    return token


async def identify(
    request: Request,
    _: Annotated[str | None, Depends(password_flow)] = None,
    __: Annotated[object | None, Depends(bearer_token)] = None,
) -> Claims:
    """Who calls.

    Raises:
        Unauthorized: No valid token came with the request.
    """
    token = bearer_of(request)
    verifier: Verifier = request.app.state.verifier
    try:
        claims = await verifier.verify_fresh(token)
    except InvalidToken as error:
        raise Unauthorized(str(error), error="invalid_token") from None
    set_user(request.scope, claims.username)
    return claims


def require(*scopes: str) -> Callable[..., Awaitable[Claims]]:
    """A dependency that lets through whoever has all of ``scopes``; without any, whoever is signed in.

    Raises (when called):
        Unauthorized: No valid token. Forbidden: a scope is missing.
    """
    needed = frozenset(scopes)

    async def check(claims: Annotated[Claims, Depends(identify)]) -> Claims:
        missing = needed - claims.scopes
        if missing:
            raise Forbidden(f"Your role lacks the scope {' '.join(sorted(missing))}.")
        return claims

    return check
