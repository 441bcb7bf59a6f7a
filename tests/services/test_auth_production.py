"""What auth_service refuses in production although each setting is right."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from auth_service.bootstrap import DefaultPasswordInUse
from auth_service.key_ring import KeyRing
from auth_service.main import create_app
from auth_service.settings import Settings
from tests.support.auth_world import PASSWORD


def settings_for(app_env: str, folder: Path, redis_url: str, **more: object) -> Settings:
    chosen = {"state_dir": folder, "redis_url": redis_url, "auth_database_url": f"sqlite:///{folder}/auth.db", **more}
    return Settings.model_validate({"app_env": app_env, **chosen})


def production(folder: Path, redis_url: str, pem: str) -> Settings:
    secrets = {"bootstrap_admin_password": SecretStr(PASSWORD), "signing_keys": SecretStr(pem)}
    return settings_for("production", folder, redis_url, proxy_token=SecretStr("p" * 32), **secrets)


@pytest.fixture
def pem(tmp_path: Path) -> str:
    """A signing key as production is given one."""
    KeyRing(Settings(state_dir=tmp_path / "elsewhere"))
    text = next((tmp_path / "elsewhere" / "keys").glob("*.pem")).read_text()
    return text[text.index("-----BEGIN") :]


def test_production_refuses_a_database_where_admin_still_has_the_password_admin(
    tmp_path: Path, redis_url: str, pem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with TestClient(create_app(settings_for("development", tmp_path, redis_url))):
        pass
    with pytest.raises(DefaultPasswordInUse), TestClient(create_app(production(tmp_path, redis_url, pem))):
        pass
    assert "configuration error: the user admin in this database" in capsys.readouterr().err


def test_production_starts_with_an_empty_database_and_a_password_of_its_own(
    tmp_path: Path, redis_url: str, pem: str
) -> None:
    with TestClient(create_app(production(tmp_path, redis_url, pem))) as client:
        answer = client.post("/auth/login", json={"username": "admin", "password": PASSWORD})
        assert answer.status_code == 200
