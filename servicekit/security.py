"""FastAPI dependencies that say who may call: ``caller: Annotated[Claims, Depends(require("students:read"))]``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi.security import HTTPBearer, OAuth2PasswordBearer
from fastapi.security.base import SecurityBase
from starlette.routing import BaseRoute

from servicekit.problems import BadRequest, Forbidden, Unauthorized
from servicekit.request_context import set_user
from servicekit.tokens import Claims, InvalidToken, Verifier

SCOPES = {
    "students:read": "Read student records",
    "students:write": "Change student records",
    "users:manage": "Manage users, sessions and the audit trail",
    "ops:read": "Read metrics",
}
# These only document: ``identify`` reads the header itself, so that every refusal is the same problem.
password_flow = OAuth2PasswordBearer(tokenUrl="/auth/token", scheme_name="password", auto_error=False)
bearer_token = HTTPBearer(scheme_name="bearer", bearerFormat="JWT", auto_error=False)
SCHEMES: tuple[SecurityBase, ...] = (password_flow, bearer_token)


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


async def identify(request: Request) -> Claims:
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


class Require:
    """A dependency that asks for a token with scopes; ``require`` makes it, ``document_security`` tells of it.

    One call a request, where FastAPI's own security dependencies would be called to document: each of those costs as
    much as a look into the token.
    """

    def __init__(self, scopes: frozenset[str]) -> None:
        self._scopes = scopes

    async def __call__(self, request: Request) -> Claims:
        claims = await identify(request)
        missing = self._scopes - claims.scopes
        if missing:
            raise Forbidden(f"Your role lacks the scope {' '.join(sorted(missing))}.")
        return claims


def require(*scopes: str) -> Require:
    """A dependency that lets through whoever has all of ``scopes``; without any, whoever is signed in.

    Raises (when called):
        Unauthorized: No valid token. Forbidden: a scope is missing.
    """
    return Require(frozenset(scopes))


def document_security(document: dict[str, Any], routes: Sequence[BaseRoute]) -> None:
    """Say in an OpenAPI document which of its operations ask for a token, and how one gets it."""
    for context in iter_route_contexts(routes):
        operations = document["paths"].get(context.path_format, {})
        if isinstance(context.original_route, APIRoute) and _asks_for_token(context.dependant):
            for method in context.methods or ():
                if method.lower() in operations and context.include_in_schema:
                    operations[method.lower()]["security"] = [{scheme.scheme_name: []} for scheme in SCHEMES]
                    schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
                    schemes |= {scheme.scheme_name: _described(scheme) for scheme in SCHEMES}


def _asks_for_token(dependant: Any) -> bool:
    return isinstance(dependant.call, Require) or any(map(_asks_for_token, dependant.dependencies))


def _described(scheme: SecurityBase) -> dict[str, Any]:
    found: dict[str, Any] = scheme.model.model_dump(mode="json", by_alias=True, exclude_none=True)
    return found
