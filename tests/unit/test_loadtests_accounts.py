"""The accounts of a run, and the administrator who makes them: one session each, however long it lasts."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from loadtests import accounts, plain_client
from loadtests.accounts import RENEW_BEFORE_SECONDS, Accounts
from loadtests.plain_client import Plain, Unreachable


@dataclass
class System:
    """Answers what it is asked, with tokens that must be renewed before each request."""

    refuses: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def ask(self, method: str, url: str, *, token: str | None = None, **_: Any) -> Plain:
        path = url.removeprefix("http://system")
        self.asked.append(f"{method} {path}" + (f" as {token}" if token else ""))
        if path in self.refuses:
            raise Unreachable("gone")
        if path not in ("/auth/login", "/auth/refresh"):
            return Plain(201 if method == "POST" else 204, {}, b'{"id": "7"}')
        if path == "/auth/refresh" and "a refresh" in self.refuses:
            return Plain(401, {}, b"{}")
        pair = {"access_token": f"token {len(self.asked)}", "refresh_token": "r", "expires_in": RENEW_BEFORE_SECONDS}
        return Plain(200, {}, json.dumps(pair).encode())


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    made = System()
    for module in (accounts, plain_client):
        monkeypatch.setattr(module, "ask", made.ask)
    return made


def made_by(system: System) -> Accounts:
    everyone = Accounts("http://system", "admin", "admin", 1)
    everyone.make("viewer")
    del system.asked[:]
    return everyone


def test_a_token_is_renewed_in_the_same_session(system: System) -> None:
    everyone = made_by(system)
    assert everyone.admin_token() == "token 1"
    assert system.asked == ["POST /auth/refresh"]


def test_whose_session_is_over_signs_in_again(system: System) -> None:
    everyone = made_by(system)
    system.refuses.add("a refresh")
    assert everyone.admin_token() == "token 2"
    assert system.asked == ["POST /auth/refresh", "POST /auth/login"]


def test_the_administrator_is_signed_out_last_and_once(system: System) -> None:
    everyone = made_by(system)
    everyone.close()
    everyone.close()
    assert system.asked == [
        "POST /auth/refresh", "DELETE /auth/users/7 as token 1", "POST /auth/refresh", "POST /auth/logout as token 3",
    ]  # fmt: skip


def test_the_administrator_is_signed_out_when_an_account_cannot_be_deleted(system: System) -> None:
    everyone = made_by(system)
    system.refuses.add("/auth/users/7")
    everyone.close()
    assert system.asked[-1] == "POST /auth/logout as token 3"


def test_who_never_signed_in_is_not_signed_out(system: System) -> None:
    Accounts("http://system", "admin", "admin", 1).close()
    assert system.asked == []
