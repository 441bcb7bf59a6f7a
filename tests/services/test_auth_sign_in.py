from pathlib import Path
from typing import Any

import jwt
import pytest
from sqlalchemy import func, select

from auth_service.models import audit_events
from servicekit.tokens import StaticKeys, TokenVerifier
from tests.support.auth_world import PASSWORD, AuthWorld, build_world


@pytest.fixture
def auth(make_client: Any, tmp_path: Path, redis_url: str) -> AuthWorld:
    return build_world(make_client, tmp_path, redis_url)


def test_json_and_form_give_the_same_kind_of_answer(auth: AuthWorld) -> None:
    form = {"grant_type": "password", "username": "admin", "password": "admin", "scope": ""}
    by_form = auth.client.post("/auth/token", data=form)
    by_json = auth.client.post("/auth/login", json={"username": "admin", "password": "admin"})
    for answer in (by_form, by_json):
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        body = answer.json()
        assert set(body) == {"access_token", "token_type", "expires_in", "refresh_token", "refresh_expires_in"}
        assert (body["token_type"], body["expires_in"], body["refresh_expires_in"]) == ("bearer", 900, 1_209_600)


def test_the_access_token_is_of_the_rfc_9068_profile_and_verifies_with_the_published_keys(auth: AuthWorld) -> None:
    token = auth.sign_in()["access_token"]
    header = jwt.get_unverified_header(token)
    assert (header["typ"], header["alg"]) == ("at+jwt", "EdDSA")
    keys = StaticKeys(auth.client.get("/.well-known/jwks.json").json())
    claims = TokenVerifier(keys, issuer="matricula", audience="matricula-api").verify(token)
    assert (claims.username, claims.role) == ("admin", "admin")
    assert claims.scopes == {"students:read", "students:write", "users:manage", "ops:read"}
    assert claims.exp - claims.iat == 900
    assert len(claims.sub) == len(claims.sid) == 36


def test_the_username_is_found_whatever_its_case(auth: AuthWorld) -> None:
    assert auth.sign_in("ADMIN")["token_type"] == "bearer"


def test_a_password_typed_on_another_keyboard_is_the_same(auth: AuthWorld) -> None:
    admin = auth.sign_in()
    body = {"username": "zoe", "password": "caf\u00e9 am d\u00fcnnen Fluss", "role": "viewer"}
    assert auth.call("POST", "/auth/users/", admin, json=body).status_code == 201
    assert auth.sign_in("zoe", "cafe\u0301 am du\u0308nnen Fluss")


def test_unknown_disabled_and_wrong_are_told_apart_by_nobody(auth: AuthWorld) -> None:
    admin = auth.sign_in()
    user = auth.make_user(admin, "mara")
    auth.make_user(admin, "nils")
    assert auth.call("PATCH", f"/auth/users/{user['id']}", admin, json={"disabled": True}).status_code == 200
    tries = [("nobody", PASSWORD), ("mara", PASSWORD), ("nils", "wrong"), ("no such\u2603name", PASSWORD)]
    answers = [auth.client.post("/auth/login", json={"username": u, "password": p}) for u, p in tries]
    assert {answer.status_code for answer in answers} == {401}
    for answer in answers:
        assert answer.json()["detail"] == answers[0].json()["detail"]
        assert set(answer.headers) == set(answers[0].headers)


def test_a_password_typed_into_the_username_field_is_stored_nowhere(auth: AuthWorld, tmp_path: Path) -> None:
    secret = "my-very-secret-password"
    assert auth.client.post("/auth/login", json={"username": secret, "password": "x"}).status_code == 401
    with auth.app.state.service.db.read() as conn:
        failures = conn.execute(
            select(func.count()).select_from(audit_events).where(audit_events.c.event == "sign_in_failed")
        ).scalar_one()
    assert failures == 1
    for file in tmp_path.glob("auth.db*"):
        assert secret.encode() not in file.read_bytes()
    assert not any(secret.encode() in key for key in auth.redis.keys("*"))


def test_a_hash_of_weaker_parameters_is_renewed_at_sign_in(auth: AuthWorld) -> None:
    from pwdlib.hashers.argon2 import Argon2Hasher
    from sqlalchemy import update

    from auth_service.models import users

    weak = Argon2Hasher(time_cost=1, memory_cost=8192, parallelism=1).hash("admin")
    db = auth.app.state.service.db
    with db.write() as conn:
        conn.execute(update(users).values(password_hash=weak))
    auth.sign_in()
    with db.read() as conn:
        assert conn.execute(select(users.c.password_hash)).scalar_one() != weak
    auth.sign_in()


def test_a_token_with_a_broken_signature_is_refused(auth: AuthWorld) -> None:
    token = auth.sign_in()["access_token"]
    head, payload, signature = token.split(".")
    forged = ".".join((head, payload, signature[::-1]))
    assert auth.call("GET", "/auth/me", {"access_token": forged}).status_code == 401


@pytest.mark.parametrize("path", ["/auth/me", "/auth/sessions", "/auth/users/", "/auth/audit"])
def test_nothing_is_shown_without_a_token(auth: AuthWorld, path: str) -> None:
    answer = auth.client.get(path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_the_profile_says_role_scopes_and_session(auth: AuthWorld) -> None:
    me = auth.call("GET", "/auth/me", auth.sign_in()).json()
    assert (me["username"], me["role"]) == ("admin", "admin")
    assert set(me["scopes"]) == {"students:read", "students:write", "users:manage", "ops:read"}
    assert "password_hash" not in me
