"""A system for the load tests to judge: right in what they look at, or wrong in exactly one way.

`python -m tests.support.load_target PORT [FAULT]`. It keeps everything in memory, answers in a millisecond, and counts
what it was asked (`GET /counted`). Below `/direct` it is the service behind its gateway.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

import uvicorn

from tests.support.load_target_pages import admin_reply
from tests.support.load_target_students import students_reply
from tests.support.load_target_world import UNAUTHORIZED, Reply, Request, Token, World

FAULTS = {
    "": "none",
    "slow": "everything about students takes SLOW_SECONDS",
    "sign-in-slow": "a sign-in takes SLOW_SECONDS",
    "stalls": "/students/ stands still for 1 of 2.5 seconds",
    "errors": "500 for everything about students",
    "wrong-body": "students without an address",
    "revoked-works": "a token after its logout",
    "limiter-loose": "a tenth more than the quota passes",
    "retry-after-lies": "Retry-After is a second, whatever is left",
    "others-harmed": "registrars, who stay within their limits, wait SLOW_SECONDS for a 503",
    "lost-update": "If-Match is ignored",
    "made-twice": "Idempotency-Key is ignored",
    "duplicates": "an address may be used twice",
    "undead": "deleted students are still shown",
    "history-short": "a history without its last entry",
    "import-loses": "an import creates one student too few",
    "page-wrong": "the admin pages are something else with status 200",
    "page-slow": "the admin pages take SLOW_SECONDS",
    "page-errors": "500 for every admin page but the sign-in",
    "page-whole": "a part of a page is asked for, a whole one is sent",
    "any-password": "a wrong password signs in",
    "no-refresh-token": "a sign-in gives an access token only",
    "another-profile": "/auth/me is somebody else's",
    "gateway-adds-200-ms": "what isn't below /direct takes so much longer",
    "leaves-slowly": "everything about students, and deleting an account, takes SLOW_SECONDS",
    "no-more-sign-ins": "429 for every sign-in",
}
SLOW_BELOW = {
    "slow": "/students/", "sign-in-slow": "/auth/login", "page-slow": "/admin/students", "leaves-slowly": "/students/",
}  # fmt: skip
SLOW_SECONDS, ADDED_SECONDS = 0.7, 0.2
STALL_SECONDS, STALL_EVERY_SECONDS = 1.0, 2.5


async def reply(world: World, request: Request) -> Reply:
    """What the system says to one request."""
    path = request.path
    if path == "/counted":
        return 200, {}, {**world.counted, "open sessions of admin": world.open_sessions("admin")}
    world.counted[f"{request.method} {'/students/' if path.startswith('/students/') else path}"] += 1
    await _delay(world, request)
    if path.startswith("/admin/"):
        return admin_reply(world, request)
    if path in ("/auth/login", "/auth/refresh"):
        return _sign_in_reply(world, request)
    path = path.removeprefix("/direct")
    caller = world.tokens.get(request.token)
    if caller is None or (caller.session in world.revoked and world.fault != "revoked-works"):
        return UNAUTHORIZED
    if path.startswith("/students/"):
        return _limited_students_reply(world, request, path, caller)
    answer = _account_reply(world, request, caller)
    if world.fault == "leaves-slowly" and request.method == "DELETE":
        await asyncio.sleep(SLOW_SECONDS)  # the account is gone already, and the run has others to delete
    return answer


async def _delay(world: World, request: Request) -> None:
    path = request.path
    if path.startswith(SLOW_BELOW.get(world.fault, "nothing")):
        await asyncio.sleep(SLOW_SECONDS)
    if world.fault == "stalls" and path.startswith("/students/"):
        into = time.monotonic() % STALL_EVERY_SECONDS
        await asyncio.sleep(max(0.0, STALL_SECONDS - into))
    if world.fault == "gateway-adds-200-ms" and path.startswith("/students/"):
        await asyncio.sleep(ADDED_SECONDS)
    if world.fault == "others-harmed" and world.is_registrar(request.token):
        await asyncio.sleep(SLOW_SECONDS)


def _sign_in_reply(world: World, request: Request) -> Reply:
    body = request.json()
    if request.path == "/auth/login":
        if world.fault == "no-more-sign-ins":
            return 429, {"retry-after": "60"}, None
        if body["username"] == "admin":
            world.counted[f"sign-in of admin by {request.headers.get('user-agent', 'nobody knows what')}"] += 1
        is_right = world.passwords.get(body["username"]) == body["password"] or world.fault == "any-password"
        pair = world.sign_in(body["username"]) if is_right else None
    else:
        old = world.tokens[world.refreshes[body["refresh_token"]]]
        pair = None if old.session in world.revoked else world.sign_in(old.account, old.session)
    if pair is None:
        return UNAUTHORIZED
    return 200, {}, pair | ({"refresh_token": None} if world.fault == "no-refresh-token" else {})


def _account_reply(world: World, request: Request, caller: Token) -> Reply:
    if request.path == "/auth/users/" and request.method == "POST":
        body = request.json()
        world.passwords[body["username"]] = body["password"]
        world.roles[body["username"]] = body["role"]
        identifier = str(uuid.uuid4())
        world.usernames[identifier] = body["username"]
        return 201, {}, {"id": identifier, "username": body["username"]}
    if request.path.startswith("/auth/users/") and request.method == "DELETE":
        world.delete_account(request.path.removeprefix("/auth/users/"))
        return 204, {}, None
    if request.path == "/auth/logout":
        world.revoked.add(caller.session)
        return 204, {}, None
    if request.path == "/auth/me":
        return 200, {}, {"username": "somebody-else" if world.fault == "another-profile" else caller.account}
    return 204, {}, None


def _limited_students_reply(world: World, request: Request, path: str, caller: Token) -> Reply:
    passed, limits = world.admit(caller.account) if request.query == {"limit": "1"} else (True, {})
    if not passed:
        return 429, limits, None
    if world.fault == "errors":
        return 500, limits, None
    if world.fault == "others-harmed" and world.is_registrar(request.token):
        return 503, limits, None
    status, headers, body = students_reply(world, request, path)
    return status, headers | limits, body


def application(world: World) -> Callable[..., Awaitable[None]]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        content = b""
        while (message := await receive())["type"] == "http.request":
            content += message["body"]
            if not message["more_body"]:
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        query = dict(parse_qsl(scope["query_string"].decode()))
        status, more, body = await reply(world, Request(scope["method"], scope["path"], query, headers, content))
        request_id = uuid.uuid4().hex
        kind = "text/html; charset=utf-8" if isinstance(body, str) else "application/json"
        if status >= 400:
            kind = "application/problem+json"
            problem = {"type": "urn:x:y", "title": "t", "status": status, "detail": "d", "instance": scope["path"]}
            body = {**problem, "request_id": request_id, **(body or {})}
        sent = body.encode() if isinstance(body, str) else b"" if body is None else json.dumps(body).encode()
        all_headers = {"x-request-id": request_id, "content-type": kind, "content-length": str(len(sent)), **more}
        await send({
            "type": "http.response.start", "status": status,
            "headers": [(name.encode(), value.encode()) for name, value in all_headers.items()],
        })  # fmt: skip
        await send({"type": "http.response.body", "body": sent})

    return app


if __name__ == "__main__":
    chosen = sys.argv[2] if len(sys.argv) > 2 else ""
    assert chosen in FAULTS
    uvicorn.run(
        application(World(chosen)), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", lifespan="off"
    )
