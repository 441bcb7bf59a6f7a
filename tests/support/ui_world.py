"""The whole system as browser tests use it: its API to prepare things, and pages that are watched for complaints."""

from __future__ import annotations

import contextlib
import itertools
import time
from pathlib import Path
from typing import Any

import httpx2
import psutil
from playwright.sync_api import ConsoleMessage, Page

PASSWORD = "violet harbour 29 kites"
ADMIN = {"username": "admin", "password": "admin"}
SIGN_IN_EVERY_SECONDS = 10  # a password takes long to check, and a token lives for 21 seconds
AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

_count = itertools.count(1)


class UiWorld:
    """A running system."""

    def __init__(self, url: str, state_dir: Path) -> None:
        self.url = url
        self.state_dir = state_dir
        self._token = ""
        self._signed_in_at = float("-inf")

    def api(self, method: str, path: str, **options: Any) -> Any:
        """A call as the first administrator; the answer's JSON."""
        # It is plain HTTP: nothing is to be verified, and loading authorities' certificates takes longer than the call.
        with httpx2.Client(base_url=self.url, timeout=30, trust_env=False, verify=False) as client:
            if time.monotonic() - self._signed_in_at > SIGN_IN_EVERY_SECONDS:
                self._signed_in_at = time.monotonic()
                self._token = client.post("/auth/login", json=ADMIN).json()["access_token"]
            headers = {"Authorization": f"Bearer {self._token}", **options.pop("headers", {})}
            answer = client.request(method, path, headers=headers, **options)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def make_users(self) -> None:
        for username, role in (("rita", "registrar"), ("vera", "viewer"), ("ada", "admin")):
            self.api("POST", "/auth/users/", json={"username": username, "password": PASSWORD, "role": role})

    def student(self, **fields: Any) -> dict[str, Any]:
        """A student that nobody else has."""
        number = next(_count)
        names = {"first_name": "Ada", "last_name": f"Lovelace{number}", "email": f"ui{number}@example.org"}
        made: dict[str, Any] = self.api("POST", "/students/", json=names | fields)
        return made

    def students(self, how_many: int, **fields: Any) -> list[dict[str, Any]]:
        return [self.student(**fields) for _ in range(how_many)]

    def read(self, student: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self.api("GET", f"/students/{student['id']}?deleted=true")
        return found

    def requests_to(self, service: str, path: str) -> int:
        """How often a service was asked for a path, by its log."""
        log = (self.state_dir / "log" / f"{service}.jsonl").read_text()
        return log.count(f'"path":"{path}"') + log.count(f'"path": "{path}"')

    def process_of(self, service: str) -> psutil.Process:
        """The process that runs a service of this system."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("VAR_DIR") == str(self.state_dir) and process.cmdline()[-1] == service:
                    return process
        raise AssertionError(f"{service} doesn't run")


class Watched:
    """A page, and what its console said. Refusals that a test provokes are announced with ``expect``."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self._expected: set[int] = set()
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))

    def expect(self, *statuses: int) -> None:
        """The browser will complain of answers with these statuses."""
        self._expected |= set(statuses)

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def check(self) -> None:
        """Fails when there was a complaint that no test expected: a policy violation, a script's error."""
        expected = tuple(f"status of {status}" for status in self._expected)
        left = [text for text in self.complaints if not any(part in text for part in expected)]
        assert not left, left

    def check_accessibility(self, state: str = "", *, within: str = "html") -> None:
        """Fails on whatever axe-core finds in the page as it is now, or in a part of it."""
        # Only what is wrong is described: that takes half as long as describing what is right, too.
        options = {"runOnly": AXE_RULES, "resultTypes": ["violations"]}
        found = self.page.evaluate("([part, options]) => axe.run(part, options)", [within, options])
        told = [
            f"{violation['id']}: {node['target']} {node['failureSummary']}"
            for violation in found["violations"]
            for node in violation["nodes"]
        ]
        assert not told, f"{state or self.page.url}: {told}"
        widths = self.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert widths[0] <= widths[1], f"{state or self.page.url} is wider than its window: {widths}"
