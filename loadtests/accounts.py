"""Who the simulated people are: accounts made for this run, signed in once and shared, and deleted at its end.

Signing in costs argon2 time on purpose, so a scenario that isn't about it must not pay for it: its people take turns
with a few accounts' tokens, which are renewed before they expire.
"""

from __future__ import annotations

import itertools
import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import gevent
from gevent.lock import RLock

from loadtests.plain_client import SIGN_OUT_SECONDS, Plain, Unreachable, ask, sign_out

PASSWORD = "copper lantern 47 meadows"  # noqa: S105 - of accounts that live as long as the run
RENEW_BEFORE_SECONDS = 60.0


class SetupFailed(Exception):
    """The system doesn't let the run prepare itself; the message says what to do."""


@dataclass
class Account:
    """A user of the system, and their present tokens."""

    id: str
    username: str
    password: str
    access_token: str = ""
    refresh_token: str = ""
    good_until: float = 0.0


class Accounts:
    """Makes accounts with the administrator's help.

    Args:
        host: The gateway's URL.
        username: The administrator.
        password: Theirs.
        per_role: How many share the load of one role.
    """

    def __init__(self, host: str, username: str, password: str, per_role: int) -> None:
        self._host = host
        self._admin = Account("", username, password)
        self._per_role = per_role
        self._shared: dict[str, list[Account]] = {}
        self._turns: dict[str, Any] = {}
        self._made: list[Account] = []
        self._numbers = itertools.count(1)  # of attempts: whoever asks may be stopped before the answer is here
        self._lock = RLock()
        self._run = f"load-{os.getpid()}-{secrets.token_hex(3)}"

    def token(self, role: str) -> str:
        """An access token of one of the shared accounts of this role."""
        with self._lock:
            if role not in self._shared:
                self._shared[role] = [self.make(role) for _ in range(self._per_role)]
                self._turns[role] = itertools.cycle(self._shared[role])
            account: Account = next(self._turns[role])
            return self._token_of(account)

    def admin_token(self) -> str:
        """The administrator's."""
        with self._lock:
            return self._token_of(self._admin)

    def shared(self, role: str) -> Account:
        """One of the shared accounts."""
        self.token(role)
        account: Account = next(self._turns[role])
        return account

    def make(self, role: str) -> Account:
        """A new account.

        Raises:
            SetupFailed: It can't be made.
        """
        with self._lock:
            username = f"{self._run}-{next(self._numbers)}"
            body = {"username": username, "password": PASSWORD, "role": role}
            made = self._ask("POST", "/auth/users/", body=body, token=self.admin_token())
            if made.status != 201:
                raise SetupFailed(f"making the account of a {role} failed: {made.told()} {_advice(made)}")
            account = Account(made.json()["id"], username, PASSWORD)
            self._made.append(account)
            return account

    def sign_in(self, account: Account) -> None:
        """Give the account fresh tokens.

        Raises:
            SetupFailed: It is refused.
        """
        asked_at = time.monotonic()
        body = {"username": account.username, "password": account.password}
        answer = self._ask("POST", "/auth/login", body=body)
        if answer.status != 200:
            raise SetupFailed(f"{account.username} can't sign in at {self._host}: {answer.told()} {_advice(answer)}")
        _take(account, answer, asked_at)

    def close(self) -> None:
        """Delete what was made, and sign the administrator out; what can't be done is left."""
        with self._lock:
            made, self._made, self._shared = self._made, [], {}
            with suppress(Unreachable, SetupFailed):
                for account in made:
                    ask("DELETE", f"{self._host}/auth/users/{account.id}", token=self.admin_token(), timeout_seconds=5)
            if self._admin.access_token:
                # The deadline is for a token that must be renewed first.
                with suppress(SetupFailed), gevent.Timeout(2 * SIGN_OUT_SECONDS, exception=False):
                    sign_out(self._host, self.admin_token())
                self._admin = Account("", self._admin.username, self._admin.password)

    def _token_of(self, account: Account) -> str:
        if time.monotonic() > account.good_until - RENEW_BEFORE_SECONDS and not self._renew(account):
            self.sign_in(account)
        return account.access_token

    def _renew(self, account: Account) -> bool:
        """Go on in the same session, so that a long run doesn't leave one for each token; whether that was let."""
        if not account.refresh_token:
            return False
        asked_at = time.monotonic()
        answer = self._ask("POST", "/auth/refresh", body={"refresh_token": account.refresh_token})
        if answer.status == 200:
            _take(account, answer, asked_at)
        return answer.status == 200

    def _ask(self, method: str, path: str, **options: Any) -> Plain:
        try:
            return ask(method, self._host + path, **options)
        except Unreachable as error:
            raise SetupFailed(f"nothing answers at {error}: start the system, or name another with --host") from None


def _take(account: Account, answer: Plain, asked_at: float) -> None:
    pair = answer.json()
    account.access_token, account.refresh_token = pair["access_token"], pair.get("refresh_token") or ""
    account.good_until = asked_at + pair["expires_in"]


def _advice(answer: Plain) -> str:
    """What whoever started the run can do about a refusal."""
    match answer.status:
        case 401:
            return "Say who may make accounts: --admin-username, and the password in LOCUST_ADMIN_PASSWORD."
        case 403:
            return "--admin-username must be somebody who may make accounts, an admin."
        case 404 | 405:
            return "Is that the gateway? Name it with --host."
        case 429:
            return "Wait, or start the system with RATE_LIMIT_LOGIN, RATE_LIMIT_USER and RATE_LIMIT_ANONYMOUS raised."
        case _:
            return "The system's log says more."
