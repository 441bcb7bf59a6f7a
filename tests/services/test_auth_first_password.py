"""Development's password opens nothing in production, whatever the first user was called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from auth_service.bootstrap import DefaultPasswordInUse
from auth_service.key_ring import KeyRing
from auth_service.main import create_app
from auth_service.settings import Settings
from tests.support.auth_world import PASSWORD


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path}/auth.db"


def settings_for(app_env: str, folder: Path, **chosen: Any) -> Settings:
    return Settings.model_validate({"app_env": app_env, "state_dir": folder, **chosen})


def production(folder: Path, **chosen: Any) -> Settings:
    KeyRing(Settings(state_dir=folder / "elsewhere"))
    pem = next((folder / "elsewhere" / "keys").glob("*.pem")).read_text()
    given = {"proxy_token": SecretStr("p" * 32), "signing_keys": SecretStr(pem[pem.index("-----BEGIN") :])}
    return settings_for("production", folder, bootstrap_admin_password=SecretStr(PASSWORD), **given, **chosen)


def bearer(client: TestClient, username: str, password: str) -> dict[str, str]:
    answer = client.post("/auth/login", json={"username": username, "password": password})
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


@pytest.mark.parametrize("role", ["admin", "viewer"])
def test_production_refuses_a_first_user_of_another_name_with_the_password_of_development(
    tmp_path: Path, redis_url: str, url: str, role: str, capsys: pytest.CaptureFixture[str]
) -> None:
    common = {"redis_url": redis_url, "auth_database_url": url, "bootstrap_admin_username": "Head.Teacher"}
    with TestClient(create_app(settings_for("development", tmp_path, **common))) as client:
        first = bearer(client, "head.teacher", "admin")
        for username in ("mara", "nils"):
            body = {"username": username, "password": PASSWORD, "role": "admin"}
            assert client.post("/auth/users/", json=body, headers=first).status_code == 201
        me = client.get("/auth/me", headers=first).json()["id"]
        other = bearer(client, "mara", PASSWORD)
        assert client.patch(f"/auth/users/{me}", json={"role": role}, headers=other).status_code == 200
    with pytest.raises(DefaultPasswordInUse), TestClient(create_app(production(tmp_path, **common))):
        pass
    assert "configuration error: the user Head.Teacher in this database" in capsys.readouterr().err


def test_production_starts_once_that_password_is_another(tmp_path: Path, redis_url: str, url: str) -> None:
    common = {"redis_url": redis_url, "auth_database_url": url, "bootstrap_admin_username": "head"}
    with TestClient(create_app(settings_for("development", tmp_path, **common))) as client:
        change = {"current_password": "admin", "new_password": PASSWORD}
        assert client.put("/auth/me/password", json=change, headers=bearer(client, "head", "admin")).status_code == 204
    with TestClient(create_app(production(tmp_path, **common))) as client:
        assert bearer(client, "head", PASSWORD)
