"""Puts the gateway together. ``app`` is built when first asked for: importing this module does nothing else.

Try ``python -m gateway``, or ``cd gateway && uvicorn main:app --reload --port 8000``.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "main":  # `uvicorn main:app` from inside this folder: make the packages importable
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Depends, FastAPI
from starlette.middleware import Middleware

from gateway.access_log import AccessLog
from gateway.admit import SCRIPT, Admission
from gateway.compiled import is_compiled
from gateway.forward import Forwarder, connect_upstreams
from gateway.freed_memory import keep_freed_memory
from gateway.garbage import rare_collections
from gateway.gateway_metrics import settle
from gateway.identify import Identifier, LiveTokens
from gateway.middleware import Gateway
from gateway.redis_link import RedisLink
from gateway.route import RouteTable
from gateway.route_table import RouteTableError, parse_route_table
from gateway.routes.documentation import DocumentSource, documentation_router
from gateway.routes.guard import own_endpoints_guard
from gateway.routes.index import router as index_router
from gateway.routes.readiness import UpstreamChecks
from gateway.settings import Settings
from servicekit.app import build_app
from servicekit.health import Readiness
from servicekit.jwks_client import JwksClient
from servicekit.logs import get_logger, writes_json
from servicekit.middleware import BodyLimit, CatchErrors, HeadAsGet, SecurityHeaders
from servicekit.query_guard import QueryGuard
from servicekit.redis_client import resolve_redis_url
from servicekit.settings import load_settings, resolve_proxy_token
from servicekit.tokens import TokenVerifier

VERSION = "0.1.0"
DESCRIPTION = """One address for the whole system. Sign in at `POST /auth/login` and send the access token as
`Authorization: Bearer …`, or use **Authorize** with a user name and password."""
log = get_logger()


def read_table(settings: Settings) -> RouteTable:
    """Read ``routes.toml``.

    Raises:
        RouteTableError: It can't be read or used.
    """
    urls = {f"{name.upper()}_URL": addresses for name, addresses in settings.upstream_urls().items()}
    try:
        text = settings.routes_file.read_text(encoding="utf-8")
    except OSError as error:
        raise RouteTableError(f"{settings.routes_file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RouteTableError(f"{settings.routes_file}: not UTF-8") from None
    return parse_route_table(text, environment_urls=urls, policies=settings.rate_policies())


def create_app(settings: Settings | None = None, *, verifier: TokenVerifier | None = None) -> Gateway:
    """The gateway as an ASGI application.

    Args:
        settings: From the environment when left out.
        verifier: Checks tokens; by default with auth_service's keys.
    """
    settings = settings or load_settings(Settings)
    try:
        table = read_table(settings)
    except RouteTableError as error:
        raise SystemExit(f"configuration error: {settings.routes_file.name}: {error}") from None
    keys = None
    if verifier is None:
        keys = JwksClient(settings.auth_service_url)
        verifier = TokenVerifier(keys, issuer=settings.token_issuer, audience=settings.token_audience, max_cached=1)
    identifier = Identifier(verifier)
    if keys is not None:
        keys.when_a_key_is_gone += [verifier.forget, identifier.forget]
    token = resolve_proxy_token(settings)
    link = RedisLink(resolve_redis_url(settings), [SCRIPT])
    admission = Admission(
        link, denylist_on_outage=settings.denylist_on_outage, rate_limit_on_outage=settings.rate_limit_on_outage
    )
    forwarder = Forwarder(connect_upstreams(table), max_body_bytes=settings.max_body_bytes, proxy_token=token)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        log.info("data_path", compiled=is_compiled())
        keep_freed_memory()
        await link.start()
        if keys is not None:
            await keys.start()
        loop = asyncio.get_running_loop()
        try:
            loop.add_signal_handler(signal.SIGHUP, reload_table, settings, forwarder)
        except (ValueError, RuntimeError):
            log.debug("no_signals_in_this_thread")
        with rare_collections():
            yield
        settle()
        await forwarder.close()
        await link.stop()
        if keys is not None:
            await keys.stop()

    checks: dict[str, Any] = {"redis": admission.check_redis, "denylist": admission.check_denylist}
    if keys is not None:
        checks["signing_keys"] = keys.check
    guards = [Depends(own_endpoints_guard(settings))]
    own = build_app(
        settings,
        service="gateway",
        title="Matricula",
        description=DESCRIPTION,
        version=VERSION,
        lifespan=lifespan,
        verifier=LiveTokens(verifier, admission),
        readiness=Readiness(checks, UpstreamChecks(lambda: forwarder.current)),
        # The pipeline has done the rest before a request comes here.
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(CatchErrors),
            Middleware(HeadAsGet),
            Middleware(QueryGuard),
            Middleware(BodyLimit, max_bytes=settings.max_body_bytes),
        ],
        openapi_url=None,
        guards=guards,
    )
    own.include_router(index_router, dependencies=guards)
    documents = DocumentSource(lambda: forwarder.current)
    own.include_router(documentation_router(documents, own), dependencies=guards)
    own.state.gateway_link = link
    return Gateway(
        own,
        settings,
        identifier=identifier,
        admission=admission,
        forwarder=forwarder,
        access_log=AccessLog(as_json=writes_json(settings.log_format), level=settings.log_level),
        proxy_token=token,
    )


def reload_table(settings: Settings, forwarder: Forwarder) -> None:
    """On SIGHUP: read ``routes.toml`` again and use it from the next request on, or keep the old one and say why."""
    try:
        table = read_table(settings)
    except RouteTableError as error:
        log.error("routes_kept", reason=str(error))  # noqa: TRY400 - the reason is the message; no stack helps
        return
    forwarder.replace(table)
    log.info("routes_reloaded", routes=len(table.routes))


def __getattr__(name: str) -> Any:
    if name == "app":
        app = create_app()
        globals()["app"] = app
        return app
    raise AttributeError(name)
