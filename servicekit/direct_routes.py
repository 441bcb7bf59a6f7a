"""Finds the route of a request in one pass. FastAPI asks each included router twice, through several layers a route."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.convertors import Convertor, PathConvertor
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass(frozen=True, slots=True)
class _Direct:
    path_regex: re.Pattern[str]
    convertors: dict[str, Convertor[Any]]
    route: APIRoute
    endpoint: Any
    app: ASGIApp


Key = tuple[str, int]  # a method and a number of slashes


class DirectRoutes:
    """Goes straight to the first route that matches path and method, which is the one that FastAPI would choose.

    Whatever it doesn't know is left to FastAPI's own search: 404 and 405, mounts and what comes after them, fixed paths
    such as /openapi.json, routes that were added after the first request, and all routes where a router limits forms
    (those limits are gathered on the way through the routers). Its place is that of the router's middleware:
    ``router.middleware_stack``.
    """

    def __init__(self, router: APIRouter) -> None:
        self._router = router
        self._search = router.middleware_stack
        self._known: dict[Key, list[_Direct]] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope.get("root_path"):
            if self._known is None:
                self._known = {} if _limits_forms(self._router) else known_routes(self._router.routes)
            path = scope["path"]
            for direct in self._known.get((scope["method"], path.count("/")), ()):
                match = direct.path_regex.match(path)
                if match is not None:
                    found = {name: direct.convertors[name].convert(text) for name, text in match.groupdict().items()}
                    scope.update(endpoint=direct.endpoint, route=direct.route, router=self._router, path_params=found)
                    await direct.app(scope, receive, send)
                    return
        await self._search(scope, receive, send)


def known_routes(routes: Sequence[BaseRoute]) -> dict[Key, list[_Direct]]:
    """The routes in their order, up to the first that others can't be told from by method and slashes."""
    known: dict[Key, list[_Direct]] = defaultdict(list)
    fixed: list[str] = []
    for context in iter_route_contexts(routes):
        route = context.original_route
        if isinstance(route, Route) and not isinstance(route, APIRoute) and not route.param_convertors:
            fixed.append(route.path)
            continue
        if not isinstance(route, APIRoute) or not _is_plain(context, route, fixed):
            break
        direct = _Direct(context.path_regex, context.param_convertors, route, context.endpoint, context.app)
        for method in context.methods or ():
            known[method, route.path_format.count("/")].append(direct)
    return dict(known)


def _limits_forms(router: Any) -> bool:
    included = [(route.original_router, route.include_context) for route in router.routes if _is_included(route)]
    return bool(router.form_limits) or any(
        bool(context.form_limits) or _limits_forms(inner) for inner, context in included
    )


def _is_included(route: BaseRoute) -> bool:
    return hasattr(route, "original_router") and hasattr(route, "include_context")


def _is_plain(context: RouteContext, route: APIRoute, fixed: list[str]) -> bool:
    """Whether nothing else is to be known than its own path, and no fixed path before it would match that."""
    any_depth = any(isinstance(convertor, PathConvertor) for convertor in route.param_convertors.values())
    return context.path == route.path and not any_depth and not any(map(context.path_regex.match, fixed))
