"""admin_ui as an ASGI application: ``create_app`` builds it, ``app`` is built from the environment."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

if __name__ == "main":  # `uvicorn main:app` from inside this folder: make the packages importable
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fastapi import FastAPI
from starlette.middleware import Middleware

from admin_ui import assets, faults
from admin_ui.gateway_client import GatewayClient
from admin_ui.guard import PageHeaders, ReadableAddresses, SameOriginWrites
from admin_ui.pages import (
    audit,
    batches,
    dashboard,
    downloads,
    imports,
    personal,
    profile,
    sessions,
    sign_in,
    student_bulk,
    student_form,
    student_record,
    student_status,
    students,
    user_record,
    users,
)
from admin_ui.sealing import Sealer
from admin_ui.session_store import SessionStore
from admin_ui.settings import Settings
from admin_ui.visitor import Services
from servicekit.app import create_service_app
from servicekit.redis_client import connect_redis_async
from servicekit.settings import load_settings, resolve_proxy_token

DESCRIPTION = "The web pages that people work in. They are for browsers, at `/admin/`, and no part of the API."


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; ``settings`` come from the environment when they aren't given."""
    settings = settings or load_settings(Settings)
    redis = connect_redis_async(settings)
    store = SessionStore(
        redis,
        Sealer(settings.session_keys()),
        idle_seconds=settings.admin_ui_session_idle_ttl,
        max_seconds=settings.admin_ui_session_max_ttl,
    )
    client = GatewayClient(
        settings.gateway_url,
        timeout_seconds=settings.gateway_timeout,
        proxy_token=resolve_proxy_token(settings),
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await client.close()
            await redis.aclose()

    app = create_service_app(
        settings,
        service="admin_ui",
        title="Matricula admin UI",
        description=DESCRIPTION,
        version="0.1.0",
        lifespan=lifespan,
        readiness={"redis": store.ping, "gateway": client.check},
        middleware=[
            Middleware(PageHeaders),
            faults.error_pages(),
            Middleware(SameOriginWrites),
            Middleware(ReadableAddresses),
        ],
    )
    app.state.services = Services(settings, client, store)
    faults.install(app)
    app.include_router(assets.router)
    for family in (
        dashboard,
        sign_in,
        personal,
        students,
        imports,
        downloads,
        student_bulk,
        student_form,
        student_status,
        student_record,
        batches,
        users,
        user_record,
        sessions,
        profile,
        audit,
    ):
        app.include_router(family.router)
    return app


def __getattr__(name: str) -> Any:
    # Built at first use, so that importing this module does nothing.
    if name == "app":
        app = globals()["app"] = create_app()
        return app
    raise AttributeError(name)
