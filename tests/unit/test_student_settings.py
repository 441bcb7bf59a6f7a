"""Where the records are kept, and what production refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from auth_service.settings import Settings as AuthSettings
from servicekit.database import normalise_url
from servicekit.settings import load_settings
from student_service.settings import Settings


def test_records_are_a_file_in_the_state_folder_by_default(tmp_path: Path) -> None:
    assert Settings(state_dir=tmp_path).database_url == f"sqlite:///{tmp_path}/students.db"
    assert Settings().port == 8001


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"])
def test_production_refuses_a_database_in_memory(url: str) -> None:
    Settings(student_database_url=url)
    with pytest.raises(ValidationError, match="outlives"):
        Settings(student_database_url=url, app_env="production")


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_a_postgresql_url_may_be_written_as_hosting_services_write_it(scheme: str) -> None:
    url = f"{scheme}://student:secret@database/student"
    assert normalise_url(Settings(student_database_url=url).database_url).drivername == "postgresql+psycopg"
    assert normalise_url(AuthSettings(auth_database_url=url).database_url).drivername == "postgresql+psycopg"


@pytest.mark.parametrize("url", ["mysql://x/y", "nonsense", "://"])
def test_a_wrong_database_url_is_named_on_stderr_without_its_password(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STUDENT_DATABASE_URL", url)
    with pytest.raises(SystemExit) as stopped:
        load_settings(Settings)
    assert stopped.value.code == 2
    assert "STUDENT_DATABASE_URL" in capsys.readouterr().err
