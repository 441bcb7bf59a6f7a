"""JSON bodies read strictly: what a database or another JSON reader can't hold is refused as 422.

orjson refuses NaN, infinities, lone surrogates, numbers out of range and nesting beyond 1,024; here NUL characters,
integers beyond 64 bits and nesting beyond MAX_DEPTH are refused too.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute

from servicekit.problems import FieldError, Unprocessable

MAX_DEPTH = 32
INT64 = 2**63


class StrictRequest(Request):
    """A request whose ``json()`` is strict."""

    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            self._json = parse_json(await self.body())
        return self._json


class StrictRoute(APIRoute):
    """Use as ``APIRouter(route_class=StrictRoute)``."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handle(StrictRequest(request.scope, request.receive))

        return strict


def parse_json(body: bytes) -> Any:
    """Read one JSON document.

    Raises:
        Unprocessable: It isn't JSON, or holds a value that can't be stored and sent again.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Unprocessable("The body isn't valid JSON.", errors=[FieldError("body", str(error))]) from None
    reject_unstorable(value)
    return value


def reject_unstorable(value: Any, field: str = "", depth: int = 0) -> None:
    """Raise Unprocessable for NUL characters, integers beyond 64 bits and deep nesting, naming the field."""
    if depth > MAX_DEPTH:
        raise Unprocessable(errors=[FieldError(field[:200] or "body", f"is nested deeper than {MAX_DEPTH} levels")])
    if isinstance(value, str):
        if "\x00" in value:
            raise Unprocessable(errors=[FieldError(field or "body", "has a NUL character")])
    elif isinstance(value, dict):
        for key, item in value.items():
            name = f"{field}.{key}" if field else key
            if "\x00" in key:
                raise Unprocessable(errors=[FieldError(name.replace("\x00", "?"), "has a NUL character in its name")])
            reject_unstorable(item, name, depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            reject_unstorable(item, f"{field}.{index}" if field else str(index), depth + 1)
    elif isinstance(value, int) and not -INT64 <= value < INT64:
        raise Unprocessable(errors=[FieldError(field or "body", "is a number beyond 64 bits")])
