"""The gateway one writes first: a FastAPI route, an HTTP client, slowapi, a look into Redis. The benchmark's baseline.

It does what the real one does (token, denylist, limit in Redis with its headers, a JSON line), each with the library
that comes to mind and its plain use. Settings come from the environment; see ``contenders.py``.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import jwt
import redis.asyncio
from fastapi import FastAPI, HTTPException, Request, Response
from slowapi import Limiter, _rate_limit_exceeded_handler
from slowapi.errors import RateLimitExceeded

UPSTREAM = os.environ.get("UPSTREAM", "http://127.0.0.1:8001")
REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")
JWKS_URL = os.environ.get("JWKS_URL", "http://127.0.0.1:8002/.well-known/jwks.json")
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]

log = logging.getLogger("obvious")
keys = jwt.PyJWKClient(JWKS_URL)
denylist = redis.asyncio.Redis.from_url(REDIS_URL)


def caller_of(request: Request) -> str:
    """Whom a request is counted for."""
    subject: str = request.state.claims["sub"]
    return subject


STORAGE = REDIS_URL.replace("unix://", "redis+unix://", 1)  # how `limits` spells a socket
limiter = Limiter(key_func=caller_of, storage_uri=STORAGE, strategy="moving-window", headers_enabled=True)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One HTTP client for all requests."""
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    async with httpx2.AsyncClient(base_url=UPSTREAM) as client:
        app.state.client = client
        yield
    await denylist.aclose()


app = FastAPI(lifespan=lifespan)
app.state.limiter = limiter
app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)  # type: ignore[arg-type]  # slowapi's own way


@app.middleware("http")
async def check_and_log(request: Request, call_next: Any) -> Response:
    """Verify the token, ask the denylist, write a line."""
    started = time.perf_counter()
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        if scheme.lower() != "bearer":
            raise jwt.InvalidTokenError
        key = keys.get_signing_key_from_jwt(token)
        claims = jwt.decode(token, key, algorithms=["EdDSA"], issuer="matricula", audience="matricula-api")
    except jwt.PyJWTError:
        return Response(status_code=401)
    if await denylist.exists(f"denylist:sid:{claims['sid']}"):
        return Response(status_code=401)
    request.state.claims = claims
    response: Response = await call_next(request)
    response.headers["X-Request-ID"] = request_id = uuid.uuid4().hex
    fields: dict[str, Any] = {
        "event": "request",
        "request_id": request_id,
        "method": request.method,
        "path": request.url.path,
    }
    fields |= {"status": response.status_code, "duration_ms": (time.perf_counter() - started) * 1000}
    log.info(json.dumps(fields | {"user": claims["sub"], "client_ip": request.client and request.client.host}))
    return response


@app.api_route("/{path:path}", methods=METHODS)
@limiter.limit("100000000/minute")
async def forward(request: Request, path: str) -> Response:
    """Send the request on and give its answer back."""
    client: httpx2.AsyncClient = request.app.state.client
    headers = {name: value for name, value in request.headers.items() if name not in ("host", "content-length")}
    try:
        answer = await client.request(
            request.method, f"/{path}", params=request.query_params, headers=headers, content=await request.body()
        )
    except httpx2.HTTPError:
        raise HTTPException(502) from None
    dropped = {"content-length", "content-encoding", "transfer-encoding", "connection", "server", "date"}
    passed = {name: value for name, value in answer.headers.items() if name not in dropped}
    return Response(answer.content, answer.status_code, headers=passed)
