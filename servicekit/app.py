"""Puts a service together: the same layers, errors, health and metrics around everyone's routes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, cast

from fastapi import FastAPI, Request, Response, params
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Match

from servicekit.direct_routes import DirectRoutes
from servicekit.docs_page import docs_router
from servicekit.health import Check, Readiness, health_router, metrics_router
from servicekit.http_metrics import KNOWN_METHODS
from servicekit.jwks_client import JwksClient
from servicekit.logs import configure_logging, get_logger, writes_json
from servicekit.middleware import BodyLimit, CatchErrors, HeadAsGet, RequestContext, SecurityHeaders
from servicekit.problems import FieldError, MethodNotAllowed, Problem, Unprocessable, render
from servicekit.query_guard import QueryGuard
from servicekit.request_context import request_id
from servicekit.request_line import RequestLines
from servicekit.security import document_security
from servicekit.settings import ServiceSettings, resolve_proxy_token
from servicekit.strict_json import StrictRoute
from servicekit.tokens import TokenVerifier, Verifier

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
log = get_logger()


def layers(settings: ServiceSettings, service: str, own: Sequence[Middleware] = ()) -> list[Middleware]:
    """Everything around the routes, outermost first; the service's own layers lie just inside ``CatchErrors``."""
    token = resolve_proxy_token(settings)
    lines = RequestLines(level=settings.log_level, as_json=writes_json(settings.log_format))
    trusted = settings.trusted_proxies
    return [
        Middleware(RequestContext, service=service, trusted_proxies=trusted, proxy_token=token, lines=lines),
        Middleware(SecurityHeaders),
        Middleware(CatchErrors),
        *own,
        Middleware(HeadAsGet),
        Middleware(QueryGuard),
        Middleware(BodyLimit, max_bytes=settings.max_body_bytes),
    ]


class ServiceApp(FastAPI):
    """FastAPI, whose document also tells of the tokens that ``servicekit.security.require`` asks for."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            document_security(super().openapi(), self.routes)
        return super().openapi()


def create_service_app(
    settings: ServiceSettings,
    *,
    service: str,
    title: str,
    description: str,
    version: str,
    lifespan: Lifespan | None = None,
    verifier: TokenVerifier | None = None,
    readiness: Mapping[str, Check] | None = None,
    **options: Any,
) -> FastAPI:
    """A FastAPI app that keeps the house rules; the caller includes its own routers.

    Args:
        settings: Of the service.
        service: The name in logs and metrics.
        title: The name in the docs, as ``description`` and ``version``.
        description: Markdown.
        version: Of the service.
        lifespan: Opens and closes the service's own resources.
        verifier: Checks tokens; by default with auth_service's keys, fetched over HTTP.
        readiness: Checks by dependency name; each raises when its dependency isn't there.
        options: For FastAPI itself; its ``middleware`` are the service's own layers.
    """
    checks = dict(readiness or {})
    opened = lifespan
    if verifier is None:
        keys = JwksClient(settings.auth_service_url)
        verifier = TokenVerifier(keys, issuer=settings.token_issuer, audience=settings.token_audience)
        keys.when_a_key_is_gone.append(verifier.forget)
        checks["signing_keys"] = keys.check
        opened = _with_keys(keys, lifespan)
    return build_app(
        settings,
        service=service,
        title=title,
        description=description,
        version=version,
        lifespan=opened,
        verifier=verifier,
        readiness=Readiness(checks),
        middleware=layers(settings, service, options.pop("middleware", ())),
        **options,
    )


def _with_keys(keys: JwksClient, lifespan: Lifespan | None) -> Lifespan:
    @asynccontextmanager
    async def opened(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await keys.start()
            stack.push_async_callback(keys.stop)
            if lifespan is not None:
                await stack.enter_async_context(lifespan(app))
            yield

    return opened


def build_app(
    settings: ServiceSettings,
    *,
    service: str,
    version: str,
    lifespan: Lifespan | None,
    verifier: Verifier,
    readiness: Readiness,
    middleware: list[Middleware],
    guards: Sequence[params.Depends] = (),
    **options: Any,
) -> FastAPI:
    """The app inside given layers: for the gateway, whose pipeline takes the place of the outer ones.

    Args:
        middleware: The layers, outermost first.
        guards: Dependencies of the routes for people and scrapers, such as a rate limit; never of the health routes.
        settings, service, version, lifespan, verifier, readiness, options: As for ``create_service_app``.
    """
    configure_logging(service, settings.log_level, settings.log_format)

    @asynccontextmanager
    async def whole_life(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if lifespan is not None:
                await stack.enter_async_context(lifespan(app))
            log.info("service_started", version=version)
            yield
            log.info("service_stopping")

    app = ServiceApp(
        version=version,
        lifespan=whole_life,
        middleware=middleware,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        **options,
    )
    app.router.route_class = StrictRoute
    app.router.middleware_stack = DirectRoutes(app.router)
    app.state.settings = settings
    app.state.verifier = verifier
    app.add_exception_handler(HTTPException, problem_response)
    app.add_exception_handler(RequestValidationError, _validation_problem)
    app.include_router(health_router(readiness))
    app.include_router(metrics_router(settings, readiness), dependencies=guards)
    app.include_router(docs_router(app.title), dependencies=guards)
    return app


async def problem_response(request: Request, error: Exception) -> Response:
    """An HTTPException as the problem that every API answers with."""
    error = cast(HTTPException, error)  # Starlette calls by the registered type
    if error.status_code == 405 and not isinstance(error, Problem):
        error = MethodNotAllowed(headers={"Allow": allowed_methods(request)})
    status, headers, body = render(error, instance=request.url.path, request_id=request_id(request.scope))
    response = Response(body, status)
    response.raw_headers = headers
    return response


def allowed_methods(request: Request) -> str:
    """The methods of a path for Allow (RFC 9110 §10.2.1): FastAPI names those of one of its routes only."""
    found = {
        method
        for method in KNOWN_METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in request.app.routes)
    }
    return ", ".join(sorted(found | {"HEAD"} if "GET" in found else found))


async def _validation_problem(request: Request, error: Exception) -> Response:
    errors = cast(RequestValidationError, error).errors()
    return await problem_response(request, Unprocessable(errors=field_errors(errors)))


def field_errors(errors: Any) -> list[FieldError]:
    """Pydantic's errors as fields and messages, without the values: what was typed is not echoed."""
    listed = []
    for entry in errors:
        place = list(entry["loc"])
        if len(place) > 1 and place[0] in ("body", "query", "path", "header", "cookie"):
            place = place[1:]
        message = str(entry["msg"]).removeprefix("Value error, ")
        listed.append(FieldError(".".join(map(str, place))[:200], message[:500]))
    return listed
