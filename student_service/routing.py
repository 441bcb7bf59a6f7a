"""How every route of student records is declared, and what every endpoint needs from its request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import APIRouter, Request

from servicekit.database import Database
from servicekit.problems import MethodNotAllowed
from servicekit.strict_json import StrictRoute
from student_service.idempotency import KeyedRequest, fingerprint_of

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


def students_router() -> APIRouter:
    """A router for paths below ``/students``."""
    return APIRouter(prefix="/students", tags=["students"], route_class=StrictRoute)


def reads(router: APIRouter, path: str, **documentation: Any) -> Callable[[Endpoint], Endpoint]:
    """GET; what isn't one student answers with and without its trailing slash, without a redirect."""

    def add(endpoint: Endpoint) -> Endpoint:
        router.get(path, **documentation)(endpoint)
        if path != "/{student_id}":
            twin = path.removesuffix("/") if path.endswith("/") else f"{path}/"
            router.get(twin, include_in_schema=False)(endpoint)
        return endpoint

    return add


def only(router: APIRouter, path: str, *allowed: str) -> None:
    """Other methods are 405 here; without this, the word would be taken for a student's id."""
    allow = ", ".join(allowed)

    async def refuse() -> None:
        raise MethodNotAllowed(f"Only {allow} can be asked here.", headers={"Allow": allow})

    others = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"} - set(allowed)
    router.add_api_route(path, refuse, methods=sorted(others), include_in_schema=False)


def database(request: Request) -> Database:
    """The records; one per application."""
    found: Database = request.app.state.database
    return found


def keyed_request(caller: Any, route: str, key: str | None, *asked: Any) -> KeyedRequest | None:
    """The request under its Idempotency-Key, or None without one."""
    return None if key is None else KeyedRequest(caller.sub, route, key, fingerprint_of(*asked))
