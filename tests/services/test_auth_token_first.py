"""Without a valid token nothing of a request's body is looked at: the answer is 401 whatever it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.auth_world import PASSWORD, AuthWorld, build_world

SOMEBODY = "0199aaaa-0000-7000-8000-000000000000"
ROUTES = [("POST", "/auth/users/"), ("POST", "/auth/users"), ("PATCH", f"/auth/users/{SOMEBODY}"),
          ("PUT", "/auth/me/password")]  # fmt: skip
BODIES = [b"{", b"", b"[]", b"{}", b'"\xff"', b'{"username": "\\u0000"}', b"[" * 5_000]


@pytest.fixture
def auth(make_client: Any, tmp_path: Path, redis_url: str) -> AuthWorld:
    return build_world(make_client, tmp_path, redis_url)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_without_a_token_every_body_is_401(auth: AuthWorld, method: str, path: str) -> None:
    ended = auth.sign_in()
    assert auth.call("POST", "/auth/logout", ended).status_code == 204
    for body in BODIES:
        headers = {"Content-Type": "application/json"}
        assert auth.client.request(method, path, content=body, headers=headers).status_code == 401
        forged = headers | {"Authorization": f"Bearer {ended['access_token'][:-6]}AAAAAA"}
        assert auth.client.request(method, path, content=body, headers=forged).status_code == 401


def test_with_a_token_the_body_is_judged(auth: AuthWorld) -> None:
    admin = auth.sign_in()
    for method, path in ROUTES:
        headers = {"Authorization": f"Bearer {admin['access_token']}", "Content-Type": "application/json"}
        for body in BODIES:
            assert auth.client.request(method, path, content=body, headers=headers).status_code == 422
    auth.make_user(admin, "mara")
    assert auth.sign_in("mara", PASSWORD)


def test_a_password_change_still_tells_of_its_limit(auth: AuthWorld) -> None:
    body = {"current_password": "wrong", "new_password": PASSWORD}
    answer = auth.call("PUT", "/auth/me/password", auth.sign_in(), json=body)
    assert answer.status_code == 422
    assert answer.headers["ratelimit-policy"].startswith('"login"')
