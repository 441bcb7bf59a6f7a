"""A system for the load tests to judge: right in what they look at, or wrong in exactly one way.

`python -m tests.support.load_target PORT [FAULT]`. It keeps everything in memory, answers in a millisecond, and counts
what it was asked (`GET /counted`).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import uvicorn

FAULTS = ("", "slow", "wrong-body", "errors", "revoked-works", "limiter-loose", "retry-after-lies", "stalls")
QUOTA, WINDOW_SECONDS = 40, 3
SLOW_SECONDS = 0.7
STALL_SECONDS, STALL_EVERY_SECONDS = 1.0, 2.5

Headers = dict[str, str]
Reply = tuple[int, Headers, Any]


@dataclass
class Token:
    account: str
    session: str


@dataclass
class World:
    fault: str = ""
    counted: Counter[str] = field(default_factory=Counter)
    passwords: dict[str, str] = field(default_factory=lambda: {"admin": "admin"})
    tokens: dict[str, Token] = field(default_factory=dict)
    refreshes: dict[str, str] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
    windows: dict[str, tuple[float, int]] = field(default_factory=dict)
    students: list[dict[str, Any]] = field(default_factory=lambda: [a_student(number) for number in range(60)])

    def sign_in(self, account: str, session: str | None = None) -> dict[str, Any]:
        session = session or str(uuid.uuid4())
        access, refresh = f"a.b.{uuid.uuid4().hex}", uuid.uuid4().hex
        self.tokens[access] = Token(account, session)
        self.refreshes[refresh] = access
        return {
            "access_token": access, "token_type": "bearer", "expires_in": 900,
            "refresh_token": refresh, "refresh_expires_in": 9000,
        }  # fmt: skip

    def admit(self, account: str) -> tuple[bool, Headers]:
        """A window from the account's first request on; the broken limiter counts to a tenth too many."""
        now = time.monotonic()
        began, used = self.windows.get(account, (now, 0))
        if now >= began + WINDOW_SECONDS:
            began, used = now, 0
        limit = QUOTA + QUOTA // 10 if self.fault == "limiter-loose" else QUOTA
        passed = used < limit
        self.windows[account] = (began, used + passed)
        left = began + WINDOW_SECONDS - now
        headers = {
            "ratelimit-policy": f'"user";q={QUOTA};w={WINDOW_SECONDS}',
            "ratelimit": f'"user";r={max(0, QUOTA - used - 1)};t={int(left) + 1}',
        }
        if not passed:
            headers["retry-after"] = "1" if self.fault == "retry-after-lies" else str(int(left) + 1)
        return passed, headers


def a_student(number: int) -> dict[str, Any]:
    fields = dict.fromkeys(
        ("middle_name", "preferred_name", "date_of_birth", "phone", "enrolled_on", "notes", "deleted_at"), None
    )
    return fields | {
        "id": str(uuid.uuid4()), "student_number": f"N{number:04}", "first_name": "Ada",
        "last_name": f"Lovelace{number}",
        "email": f"ada{number}@example.org", "program": "Arts", "year": 1, "status": "enrolled", "guardians": [],
        "version": 1, "created_at": "2026-01-01T00:00:00Z", "created_by": "x", "updated_at": "2026-01-01T00:00:00Z",
        "updated_by": "x",
    }  # fmt: skip


async def reply(world: World, method: str, path: str, query: str, token: str, body: Any) -> Reply:
    """What the system says to one request."""
    if path == "/counted":
        return 200, {}, dict(world.counted)
    world.counted[f"{method} {'/students/' if path.startswith('/students/') else path}"] += 1
    if path in ("/auth/login", "/auth/refresh"):
        return sign_in_reply(world, path, body)
    caller = world.tokens.get(token)
    if caller is None or (caller.session in world.revoked and world.fault != "revoked-works"):
        return UNAUTHORIZED
    if path.startswith("/students/"):
        return await students_reply(world, path, query, caller)
    return account_reply(world, method, path, caller, body)


UNAUTHORIZED: Reply = (401, {"www-authenticate": "Bearer"}, None)


def sign_in_reply(world: World, path: str, body: Any) -> Reply:
    if path == "/auth/login":
        right = world.passwords.get(body["username"]) == body["password"]
        return (200, {}, world.sign_in(body["username"])) if right else UNAUTHORIZED
    old = world.tokens[world.refreshes[body["refresh_token"]]]
    return UNAUTHORIZED if old.session in world.revoked else (200, {}, world.sign_in(old.account, old.session))


def account_reply(world: World, method: str, path: str, caller: Token, body: Any) -> Reply:
    if path == "/auth/users/" and method == "POST":
        world.passwords[body["username"]] = body["password"]
        return 201, {}, {"id": str(uuid.uuid4()), "username": body["username"]}
    if path == "/auth/logout":
        world.revoked.add(caller.session)
        return 204, {}, None
    return (200, {}, {"username": caller.account}) if path == "/auth/me" else (204, {}, None)


async def students_reply(world: World, path: str, query: str, caller: Token) -> Reply:
    passed, headers = world.admit(caller.account) if query == "limit=1" else (True, {})
    if not passed:
        return 429, headers, None
    if world.fault == "slow":
        await asyncio.sleep(SLOW_SECONDS)
    if world.fault == "stalls" and time.monotonic() % STALL_EVERY_SECONDS < STALL_SECONDS:
        await asyncio.sleep(STALL_SECONDS - time.monotonic() % STALL_EVERY_SECONDS % STALL_SECONDS)
    if world.fault == "errors":
        return 500, headers, None
    wrong = {"email": None} if world.fault == "wrong-body" else {}
    if path == "/students/stats":
        return 200, headers, {"total": 60, "by_status": {"enrolled": 60}}
    if path != "/students/":
        found = next(each for each in world.students if each["id"] == path.rpartition("/")[2])
        return 200, {"etag": '"1"', **headers}, found | wrong
    asked = dict(part.split("=", 1) for part in query.split("&"))
    names = [
        each for each in world.students if asked.get("q", "").lower() in f"{each['last_name']}{each['email']}".lower()
    ]
    start = int(asked.get("cursor", 0))
    items = names[start : start + int(asked["limit"])]
    following = start + len(items)
    page = {"items": [each | wrong for each in items], "total": len(names)}
    return 200, headers, page | {"next_cursor": str(following) if following < len(names) else None}


def application(world: World) -> Callable[..., Awaitable[None]]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        raw = b""
        while (message := await receive())["type"] == "http.request":
            raw += message["body"]
            if not message["more_body"]:
                break
        authorization = dict(scope["headers"]).get(b"authorization", b"").decode()
        status, headers, body = await reply(
            world, scope["method"], scope["path"], scope["query_string"].decode(), authorization[7:],
            json.loads(raw) if raw else None,
        )  # fmt: skip
        request_id = uuid.uuid4().hex
        kind = "application/json"
        if status >= 400:
            kind = "application/problem+json"
            body = {"type": "urn:x:y", "title": "t", "status": status, "detail": "d", "instance": scope["path"]}
            body["request_id"] = request_id
        content = b"" if body is None else json.dumps(body).encode()
        all_headers = {"x-request-id": request_id, "content-type": kind, "content-length": str(len(content)), **headers}
        await send({
            "type": "http.response.start", "status": status,
            "headers": [(name.encode(), value.encode()) for name, value in all_headers.items()],
        })  # fmt: skip
        await send({"type": "http.response.body", "body": content})

    return app


if __name__ == "__main__":
    chosen = sys.argv[2] if len(sys.argv) > 2 else ""
    assert chosen in FAULTS
    uvicorn.run(
        application(World(chosen)), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", lifespan="off"
    )
