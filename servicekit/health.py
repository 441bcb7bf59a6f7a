"""``/healthz`` (alive), ``/readyz`` (ready, each dependency by name) and ``/metrics``."""

from __future__ import annotations

import asyncio
import hmac
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse
from prometheus_client import Gauge

from servicekit.draining import draining
from servicekit.http_metrics import exposition
from servicekit.problems import ServiceUnavailable
from servicekit.security import bearer_of, bearer_token, password_flow, require
from servicekit.settings import ServiceSettings

Check = Callable[[], Awaitable[None] | None]
CHECK_SECONDS = 1.0
DEPENDENCY_UP = Gauge(
    "dependency_up",
    "1 when the dependency was there at the last look, which every scrape and every /readyz takes.",
    ["dependency"],
    multiprocess_mode="mostrecent",
)
WORKERS = Gauge(
    "service_workers", "Worker processes that this service was told to run (WORKERS).", multiprocess_mode="max"
)


@dataclass(frozen=True)
class Readiness:
    """Checks by dependency name; each raises when its dependency isn't there."""

    core: Mapping[str, Check]  # without these the process can do nothing
    peripheral: Mapping[str, Check] = field(default_factory=dict)  # without these, some things

    @property
    def everything(self) -> dict[str, Check]:
        return {**self.core, **self.peripheral}


async def run_checks(checks: Mapping[str, Check]) -> dict[str, dict[str, str]]:
    """Run every check side by side, each with its deadline; the state of each by name."""

    async def one(check: Check) -> dict[str, str]:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                if inspect.iscoroutinefunction(check):
                    await check()
                else:
                    outcome = await run_in_threadpool(check)
                    if inspect.isawaitable(outcome):
                        await outcome
        except TimeoutError:
            return {"status": "down", "reason": f"no answer within {CHECK_SECONDS:g} s"}
        except Exception as error:  # whatever a dependency does, readiness answers
            return {"status": "down", "reason": type(error).__name__}
        return {"status": "up"}

    states = dict(zip(checks, await asyncio.gather(*(one(check) for check in checks.values())), strict=True))
    for name, state in states.items():
        DEPENDENCY_UP.labels(name).set(state["status"] == "up")
    return states


def health_router(readiness: Readiness) -> APIRouter:
    """The routes that an orchestrator asks; they are never limited."""
    router = APIRouter(tags=["operations"])

    @router.get("/healthz", summary="Is this process alive?")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/readyz", summary="Can this process do its work?", responses={503: {"description": "Not ready"}})
    async def readyz(core_only: Annotated[bool, Query(alias="core")] = False) -> dict[str, object]:
        """Each dependency by name with its state; `core=true` leaves out other services, for orchestrators."""
        if draining.begun:
            raise ServiceUnavailable("Not ready: this process is stopping.", retry_after=1, dependencies={})
        states = await run_checks(readiness.core if core_only else readiness.everything)
        down = [name for name, state in states.items() if state["status"] != "up"]
        if down:
            raise ServiceUnavailable(f"Not ready: {', '.join(down)}.", retry_after=1, dependencies=states)
        return {"status": "ready", "dependencies": states}

    return router


def metrics_router(settings: ServiceSettings, readiness: Readiness) -> APIRouter:
    """What a scraper asks."""
    router = APIRouter(tags=["operations"])

    @router.get(
        "/metrics",
        summary="Prometheus metrics (scope ops:read, or METRICS_TOKEN)",
        response_class=PlainTextResponse,
        # They only document, so that "Authorize" counts here too: a scraper's own token is no JWT.
        dependencies=[Depends(password_flow), Depends(bearer_token)],
    )
    async def metrics(request: Request) -> Response:
        await authorize_scraper(request, settings)
        WORKERS.set(settings.workers)
        await run_checks(readiness.everything)  # so that `dependency_up` is true now, whoever asks for /readyz
        text, media_type = await run_in_threadpool(exposition)
        return Response(text, media_type=media_type)

    return router


async def authorize_scraper(request: Request, settings: ServiceSettings) -> None:
    """Let through METRICS_TOKEN, or a caller with ``ops:read``."""
    token = bearer_of(request)
    static = settings.metrics_token.get_secret_value() if settings.metrics_token else None
    if static and hmac.compare_digest(token.encode(), static.encode()):
        return
    await require("ops:read")(request)
