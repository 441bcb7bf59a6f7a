"""What an access token says, and whose clock it is read by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.support.auth_world import AuthWorld, build_world


@pytest.fixture
def auth(make_client: Any, tmp_path: Path, redis_url: str) -> AuthWorld:
    return build_world(make_client, tmp_path, redis_url)


def claims_of(pair: dict[str, Any]) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(pair["access_token"], options={"verify_signature": False})
    return claims


def test_a_token_has_every_claim_that_rfc_9068_requires(auth: AuthWorld) -> None:
    """RFC 9068 §2.2, and ours."""
    claims = claims_of(auth.sign_in())
    assert {"iss", "exp", "aud", "sub", "client_id", "iat", "jti"} <= claims.keys()
    assert {"sid", "scope", "role"} <= claims.keys()
    assert all(isinstance(claims[name], str) for name in ("iss", "aud", "sub", "client_id", "jti"))
    assert all(isinstance(claims[name], int) for name in ("iat", "exp"))


def test_no_two_tokens_have_the_same_jti(auth: AuthWorld) -> None:
    first = auth.sign_in()
    pairs = [first, auth.sign_in(), auth.refresh(first).json(), auth.refresh(first).json()]
    assert len({claims_of(pair)["jti"] for pair in pairs}) == 4


@pytest.mark.parametrize("ahead", [1, 10, 45])
def test_a_token_is_good_at_once_though_the_signers_clock_is_ahead(auth: AuthWorld, ahead: float) -> None:
    auth.clock.turn(ahead)
    assert auth.is_alive(auth.sign_in())


def test_a_token_from_far_ahead_is_refused(auth: AuthWorld) -> None:
    auth.clock.turn(3600)
    answer = auth.call("GET", "/auth/me", auth.sign_in())
    assert answer.status_code == 401
    assert "not valid yet" in answer.json()["detail"]
