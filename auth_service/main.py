"""auth_service: users, sessions, tokens and revocations. ``create_app`` puts it together, ``app`` is what is served."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

if __name__ == "main":  # `uvicorn main:app` from inside this folder: make the packages importable
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from datetime import timedelta

import anyio.to_thread
from fastapi import APIRouter, FastAPI, Response
from fastapi.concurrency import run_in_threadpool

from auth_service import account, audit_routes, auth, session_routes, user_routes
from auth_service.background import Repeated
from auth_service.bootstrap import DefaultPasswordInUse, make_first_user, refuse_default_password
from auth_service.denylist import Denylist
from auth_service.hashing import PasswordHasher
from auth_service.housekeeping import purge
from auth_service.key_ring import KeyRing
from auth_service.keys import BadKey
from auth_service.service import Clock, Service, utc_now
from auth_service.settings import Settings
from auth_service.throttle import sign_in_limiter
from servicekit.app import create_service_app
from servicekit.database import Database, migrate
from servicekit.redis_client import connect_redis
from servicekit.settings import load_settings
from servicekit.tokens import TokenVerifier

VERSION = "0.1.0"
MIGRATIONS = Path(__file__).resolve().parent / "migrations"
DENYLIST_SECONDS = 0.5
PURGE_SECONDS = 300.0
OTHER_THREADS = 40  # for endpoints that wait for no password
KEYS_MAX_AGE_SECONDS = 60


def create_app(settings: Settings | None = None, *, clock: Clock = utc_now) -> FastAPI:
    """The service. ``clock`` is a seam for tests: nothing in here asks for the time by another way.

    Raises:
        SystemExit: A setting is bad, or the keys that it names are.
    """
    settings = settings or load_settings(Settings)
    service = open_service(settings, clock)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(prepare, service)
        # Requests that wait for a password hold a thread each; the others must still find one.
        threads = anyio.to_thread.current_default_thread_limiter()
        threads.total_tokens = OTHER_THREADS + service.hasher.places
        retention = timedelta(days=settings.audit_retention_days)
        jobs = [
            Repeated("denylist", service.denylist.tick, DENYLIST_SECONDS),
            Repeated("purge", lambda: purge(service.db, service.clock(), retention), PURGE_SECONDS),
        ]
        for job in jobs:
            job.start()
        try:
            yield
        finally:
            for job in jobs:
                await run_in_threadpool(job.stop)
            service.hasher.close()
            service.redis.close()
            service.db.dispose()

    verifier = TokenVerifier(service.keys, issuer=settings.token_issuer, audience=settings.token_audience)
    service.keys.when_a_key_is_gone.append(verifier.forget)
    app = create_service_app(
        settings,
        service="auth_service",
        title="Matricula: sign-in, users and sessions",
        description="Issues and revokes the tokens that every other service verifies.",
        version=VERSION,
        lifespan=lifespan,
        verifier=verifier,
        readiness={"database": service.db.ping, "redis": lambda: _ping(service)},
    )
    app.state.service = service
    limiter = sign_in_limiter(settings, service.redis)
    for router in (
        auth.sign_in_router(limiter, settings.login_rates),
        auth.router,
        account.account_router(limiter, settings.login_rates),
        session_routes.router,
        user_routes.router,
        audit_routes.router,
        keys_router(service),
    ):
        app.include_router(router)
    return app


def open_service(settings: Settings, clock: Clock) -> Service:
    """What the endpoints share; nothing is connected to yet."""
    try:
        keys = KeyRing(settings)
    except (BadKey, OSError) as error:
        print(f"configuration error: {error}", file=sys.stderr)  # noqa: T201 - for the person who starts it
        raise SystemExit(2) from None
    db = Database(settings.database_url)
    client = connect_redis(settings, max_connections=256)
    return Service(
        settings=settings,
        db=db,
        redis=client,
        keys=keys,
        hasher=PasswordHasher(queue=settings.password_queue, workers=settings.workers),
        denylist=Denylist(client, db, clock),
        clock=clock,
    )


def prepare(service: Service) -> None:
    """Bring the database up to date and make the first user."""
    migrate(service.db, MIGRATIONS)
    make_first_user(service)
    try:
        refuse_default_password(service)
    except DefaultPasswordInUse as error:
        print(f"configuration error: {error}", file=sys.stderr)  # noqa: T201 - for the person who starts it
        raise


def keys_router(service: Service) -> APIRouter:
    """The public keys."""
    router = APIRouter(tags=["keys"])

    @router.get("/.well-known/jwks.json", summary="Public keys (RFC 7517)")
    async def jwks(response: Response) -> dict[str, list[dict[str, str]]]:
        response.headers["Cache-Control"] = f"public, max-age={KEYS_MAX_AGE_SECONDS}"
        return service.keys.jwks()

    return router


def _ping(service: Service) -> None:
    service.redis.ping()


def __getattr__(name: str) -> FastAPI:
    """Build ``app`` when it is first asked for: importing this module does nothing."""
    if name != "app":
        raise AttributeError(name)
    app = create_app()
    globals()["app"] = app
    return app
