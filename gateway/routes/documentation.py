"""``/openapi.json``: one document for the whole system, as it is reached through the gateway."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx2
from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse

from gateway.forward import Forwarding
from gateway.merge_openapi import merge_documents
from servicekit.control_client import control_client
from servicekit.logs import get_logger

log = get_logger()
FRESH_SECONDS = 15.0
RETRY_SECONDS = 1.0  # while a document is missing
FETCH_SECONDS = 2.0
MAX_BYTES = 5 * 1024 * 1024


class DocumentSource:
    """Fetches the services' documents when asked, remembers them a while, and keeps the last of one that is away."""

    def __init__(self, current: Callable[[], Forwarding]) -> None:
        self._current = current
        self._documents: dict[str, dict[str, Any]] = {}
        self._fetched_at = float("-inf")
        self._missed: set[str] = set()  # then
        self._lock = asyncio.Lock()

    async def merged(self, app: FastAPI) -> dict[str, Any]:
        """The whole document."""
        forwarding = self._current()
        async with self._lock:
            wanted = {name for name, block in forwarding.table.upstreams.items() if block.openapi}
            unknown = wanted - self._documents.keys()
            age = time.monotonic() - self._fetched_at
            # Those who have waited here for another's look at a hung service don't take a look each.
            if age > (RETRY_SECONDS if unknown else FRESH_SECONDS) or unknown - self._missed:
                await self._fetch(forwarding, wanted)
                self._fetched_at, self._missed = time.monotonic(), wanted - self._documents.keys()
        own = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        parts = {name: self._documents[name] for name in sorted(wanted & self._documents.keys())}
        missing = sorted(wanted - parts.keys())
        return merge_documents(own, parts, forwarding.table, missing=missing)

    async def _fetch(self, forwarding: Forwarding, wanted: set[str]) -> None:
        async with control_client(FETCH_SECONDS) as client:

            async def one(name: str) -> None:
                for url in forwarding.table.urls[name]:
                    try:
                        response = await client.get(url + "/openapi.json")
                        if response.status_code == 200 and len(response.content) <= MAX_BYTES:
                            document = response.json()
                            if isinstance(document, dict):
                                self._documents[name] = document
                                return
                    except (httpx2.HTTPError, ValueError) as error:
                        log.warning("openapi_unreachable", upstream=name, error=type(error).__name__)

            await asyncio.gather(*map(one, wanted))


def documentation_router(source: DocumentSource, app: FastAPI) -> APIRouter:
    """Serves the merged document in the place of FastAPI's own."""
    router = APIRouter(include_in_schema=False)

    @router.get("/openapi.json")
    async def openapi() -> JSONResponse:
        return JSONResponse(await source.merged(app))

    return router
