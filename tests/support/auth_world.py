"""auth_service in one process, as its service tests use it: a real Valkey, a real database, a clock to turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import redis
from fastapi import FastAPI
from starlette.testclient import TestClient

from auth_service.main import create_app
from auth_service.settings import Settings

PASSWORD = "violet harbour 29 kites"
OTHER_PASSWORD = "seven amber lighthouses"


@dataclass
class TurnableClock:
    """The time, with a part of it that a test adds."""

    ahead: timedelta = field(default_factory=timedelta)
    meanwhile: Callable[[], None] | None = None
    """What happens just before somebody looks at the clock the next time."""

    def __call__(self) -> datetime:
        happening, self.meanwhile = self.meanwhile, None
        if happening is not None:
            happening()
        return datetime.now(UTC) + self.ahead

    def turn(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)


@dataclass
class AuthWorld:
    """A running auth_service and short words for what a test does with it."""

    app: FastAPI
    client: TestClient
    clock: TurnableClock
    redis: redis.Redis

    def sign_in(self, username: str = "admin", password: str = "admin", **headers: str) -> dict[str, Any]:
        answer = self.client.post("/auth/login", json={"username": username, "password": password}, headers=headers)
        assert answer.status_code == 200, answer.text
        pair: dict[str, Any] = answer.json()
        return pair

    def refresh(self, pair: dict[str, Any]) -> Any:
        return self.client.post("/auth/refresh", json={"refresh_token": pair["refresh_token"]})

    def call(self, method: str, path: str, pair: dict[str, Any], **options: Any) -> Any:
        return self.client.request(method, path, headers={"Authorization": f"Bearer {pair['access_token']}"}, **options)

    def make_user(self, admin: dict[str, Any], username: str, role: str = "viewer") -> dict[str, Any]:
        answer = self.call(
            "POST", "/auth/users/", admin, json={"username": username, "password": PASSWORD, "role": role}
        )
        assert answer.status_code == 201, answer.text
        user: dict[str, Any] = answer.json()
        return user

    def is_alive(self, pair: dict[str, Any]) -> bool:
        return bool(self.call("GET", "/auth/me", pair).status_code == 200)

    def session_of(self, pair: dict[str, Any]) -> str:
        answer = self.call("GET", "/auth/me", pair)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["session_id"])

    def is_denied(self, session_id: str) -> bool:
        return bool(self.redis.exists(f"denylist:sid:{session_id}"))

    def is_whole(self) -> bool:
        marker, server = self.redis.get("denylist:whole"), self.redis.info("server")
        return marker is not None and bool(marker == str(server["run_id"]).encode())


def build_world(
    make_client: Callable[[Any], TestClient], state_dir: Path, redis_url: str, **settings: Any
) -> AuthWorld:
    """Start auth_service; sign-in is not limited unless the test says so."""
    clock = TurnableClock()
    chosen = {"rate_limit_login": "1000000/minute", **settings}
    app = create_app(Settings(state_dir=state_dir, redis_url=redis_url, **chosen), clock=clock)
    return AuthWorld(app, make_client(app), clock, redis.Redis.from_url(redis_url))
