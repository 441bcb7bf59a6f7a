"""What the load tests' simulated system remembers: people, tokens, quotas, students."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

QUOTA, WINDOW_SECONDS = 40, 3
Headers = dict[str, str]
Reply = tuple[int, Headers, Any]
"""Status, headers, and what becomes the body: text is HTML, anything else JSON."""

UNAUTHORIZED: Reply = (401, {"www-authenticate": "Bearer"}, None)


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: Headers
    content: bytes

    @property
    def token(self) -> str:
        return self.headers.get("authorization", "")[7:]

    def json(self) -> Any:
        return json.loads(self.content)


@dataclass
class Token:
    account: str
    session: str


@dataclass
class World:
    fault: str = ""
    counted: Counter[str] = field(default_factory=Counter)
    passwords: dict[str, str] = field(default_factory=lambda: {"admin": "admin"})
    roles: dict[str, str] = field(default_factory=dict)
    usernames: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    refreshes: dict[str, str] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
    windows: dict[str, tuple[float, int]] = field(default_factory=dict)
    students: dict[str, dict[str, Any]] = field(default_factory=dict)
    emails: set[str] = field(default_factory=set)
    made_by_key: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number in range(60):
            self.add({"first_name": "Ada", "last_name": f"Lovelace{number}", "email": f"ada{number}@example.org"})

    def add(self, values: dict[str, Any]) -> dict[str, Any]:
        """A new student."""
        nothing: dict[str, Any] = dict.fromkeys(
            ("middle_name", "preferred_name", "date_of_birth", "phone", "enrolled_on", "notes", "deleted_at"), None
        )
        made = nothing | {
            "id": str(uuid.uuid4()), "student_number": f"N{len(self.students):04}", "program": "Arts", "year": 1,
            "status": "enrolled", "guardians": [], "version": 1, "created_at": "2026-01-01T00:00:00Z",
            "created_by": "x", "updated_at": "2026-01-01T00:00:00Z", "updated_by": "x", **values,
        }  # fmt: skip
        self.students[made["id"]] = made
        self.emails.add(made["email"].lower())
        return made

    def sign_in(self, account: str, session: str | None = None) -> dict[str, Any]:
        session = session or str(uuid.uuid4())
        access, refresh = f"a.b.{uuid.uuid4().hex}", uuid.uuid4().hex
        self.tokens[access] = Token(account, session)
        self.refreshes[refresh] = access
        return {
            "access_token": access, "token_type": "bearer", "expires_in": 900,
            "refresh_token": refresh, "refresh_expires_in": 9000,
        }  # fmt: skip

    def open_sessions(self, account: str) -> int:
        return len({token.session for token in self.tokens.values() if token.account == account} - self.revoked)

    def delete_account(self, identifier: str) -> None:
        """An account and all of its sessions."""
        username = self.usernames.pop(identifier)
        del self.passwords[username]
        self.revoked |= {token.session for token in self.tokens.values() if token.account == username}

    def is_registrar(self, token: str) -> bool:
        caller = self.tokens.get(token)
        return caller is not None and self.roles.get(caller.account) == "registrar"

    def admit(self, account: str) -> tuple[bool, Headers]:
        """A window from the account's first request on; the broken limiter counts to a tenth too many."""
        now = time.monotonic()
        began, used = self.windows.get(account, (now, 0))
        if now >= began + WINDOW_SECONDS:
            began, used = now, 0
        limit = QUOTA + QUOTA // 10 if self.fault == "limiter-loose" else QUOTA
        passed = used < limit
        self.windows[account] = (began, used + passed)
        left = began + WINDOW_SECONDS - now
        headers = {
            "ratelimit-policy": f'"user";q={QUOTA};w={WINDOW_SECONDS}',
            "ratelimit": f'"user";r={max(0, QUOTA - used - 1)};t={int(left) + 1}',
        }
        if not passed:
            headers["retry-after"] = "1" if self.fault == "retry-after-lies" else str(int(left) + 1)
        return passed, headers
