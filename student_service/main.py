"""student_service as an ASGI application: ``create_app`` builds it, ``app`` is built from the environment."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

if __name__ == "main":  # `uvicorn main:app` from inside this folder: make the packages importable
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from servicekit.app import create_service_app
from servicekit.database import Database, migrate, utc_now
from servicekit.settings import load_settings
from servicekit.tokens import TokenVerifier
from student_service import batch_routes, export_routes, import_routes, processing, routes, search
from student_service.runner import Runner
from student_service.settings import Settings

MIGRATIONS = Path(__file__).resolve().parent / "migrations"
DESCRIPTION = """Student records: create, find, change, delete and restore them, with everything that ever changed.

Every answer about one student has an `ETag`; send it back as `If-Match` so that nobody's change is lost."""


def create_app(
    settings: Settings | None = None,
    *,
    verifier: TokenVerifier | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> FastAPI:
    """The application; its database is prepared when it starts.

    Args:
        settings: Read from the environment when not given.
        verifier: Checks tokens; by default with the keys that auth_service publishes.
        clock: The current time, in UTC.
    """
    settings = settings or load_settings(Settings)
    database = Database(settings.database_url)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            await run_in_threadpool(migrate, database, MIGRATIONS)
            with database.patience():
                await run_in_threadpool(search.prepare, database)
            app.state.runner = runner = Runner(
                database, zone=settings.zone, work_on=processing.work_on, fail=processing.fail
            )
            runner.start()
            try:
                yield
            finally:
                await run_in_threadpool(runner.stop)
        finally:
            database.dispose()

    app = create_service_app(
        settings,
        service="student_service",
        title="Matricula student records",
        description=DESCRIPTION,
        version="0.1.0",
        lifespan=lifespan,
        verifier=verifier,
        readiness={"database": database.ping},
    )
    app.state.database = database
    app.state.clock = clock
    app.state.zone = settings.zone
    # The words below /students come before its ids.
    for router in (import_routes.router, export_routes.router, batch_routes.router, routes.router):
        app.include_router(router)
    return app


def __getattr__(name: str) -> Any:
    # Built at first use, so that importing this module does nothing.
    if name == "app":
        app = globals()["app"] = create_app()
        return app
    raise AttributeError(name)
