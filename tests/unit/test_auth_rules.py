"""Usernames, devices and settings of auth_service."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from auth_service import usernames
from auth_service.devices import device_name, printable
from auth_service.roles import Role, scopes_of
from auth_service.settings import Settings
from servicekit.settings import load_settings

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
EDGE = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0"
GOOD = "violet harbour 29 kites"


@pytest.mark.parametrize("name", ["a", "admin", "M.Okafor", "m.okafor@school.example", "x_1-2", "a" * 64])
def test_ordinary_names_are_usernames(name: str) -> None:
    assert usernames.is_valid(name)


@pytest.mark.parametrize(
    "name", ["", " a", "a ", ".a", "a.", "a b", "аdmin", "admin\n", "ａdmin", "a" * 65, "a\0b", "ad\u200bmin"]
)
def test_names_that_could_be_mistaken_for_another_are_not(name: str) -> None:
    assert not usernames.is_valid(name)
    assert usernames.lookup_key(name) is None


@given(st.text(max_size=80))
def test_two_usernames_with_one_key_differ_only_in_case(name: str) -> None:
    key = usernames.lookup_key(name)
    assert (key is None) != usernames.is_valid(name)
    assert key is None or (key.isascii() and key == name.lower())


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (FIREFOX, "Firefox on Linux"),
        (EDGE, "Edge on Windows"),
        ("curl/8.5.0", "curl"),
        ("", "Unknown device"),
        (None, "Unknown device"),
    ],
)
def test_a_device_has_a_short_human_name(user_agent: str | None, name: str) -> None:
    assert device_name(user_agent) == name


@given(st.text(max_size=2000))
def test_a_device_name_is_bounded_and_printable(user_agent: str) -> None:
    assert 0 < len(device_name(user_agent)) <= 64
    assert device_name(user_agent).isprintable()
    assert len(printable(user_agent)) <= 400


def test_each_role_can_do_what_the_lesser_one_can() -> None:
    assert set(scopes_of("viewer")) < set(scopes_of("registrar")) < set(scopes_of(Role.ADMIN))


def production(tmp_path: Path, **changed: Any) -> dict[str, Any]:
    given = {
        "app_env": "production",
        "redis_url": "redis://localhost",
        "auth_database_url": f"sqlite:///{tmp_path}/a.db",
        "bootstrap_admin_password": GOOD,
        "signing_keys_dir": tmp_path,
    }
    return given | changed


def test_a_complete_production_configuration_is_accepted(tmp_path: Path) -> None:
    assert Settings(**production(tmp_path)).is_production


@pytest.mark.parametrize(
    ("changed", "variable"),
    [
        ({"bootstrap_admin_password": "admin"}, "BOOTSTRAP_ADMIN_PASSWORD"),
        ({"bootstrap_admin_password": "password1234"}, "BOOTSTRAP_ADMIN_PASSWORD"),
        ({"signing_keys_dir": None}, "SIGNING_KEYS"),
        ({"auth_database_url": None}, "AUTH_DATABASE_URL"),
        ({"auth_database_url": "sqlite://"}, "AUTH_DATABASE_URL"),
        ({"auth_database_url": "sqlite:///:memory:"}, "AUTH_DATABASE_URL"),
        ({"redis_url": None}, "REDIS_URL"),
    ],
)
def test_production_refuses_what_is_only_fit_for_development(
    tmp_path: Path, changed: dict[str, Any], variable: str
) -> None:
    with pytest.raises(ValidationError, match=variable):
        Settings(**production(tmp_path, **changed))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("RATE_LIMIT_LOGIN", "often"),
        ("RATE_LIMIT_LOGIN", "0/minute"),
        ("AUTH_DATABASE_URL", "mysql://x/y"),
        ("AUTH_DATABASE_URL", "nonsense"),
        ("REFRESH_TOKEN_TTL", "soon"),
        ("BOOTSTRAP_ADMIN_USERNAME", "two words"),
        ("RATE_LIMIT_ON_OUTAGE", "panic"),
    ],
)
def test_a_bad_value_stops_the_start_with_one_line_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as stopped:
        load_settings(Settings)
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert variable in line


def test_words_count_whatever_their_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATE_LIMIT_ON_OUTAGE", " LOCAL")
    assert load_settings(Settings).rate_limit_on_outage == "local"


def test_the_wider_guards_follow_the_login_limit() -> None:
    rates = Settings(rate_limit_login="7/2 minutes;50/hour").login_rates
    assert rates.account == "70/2 minute;500/1 hour"
    assert rates.address == "210/2 minute;1500/1 hour"
