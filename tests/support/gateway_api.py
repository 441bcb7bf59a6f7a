"""Calling a running gateway: as a person with an account, and as many connections at once."""

from __future__ import annotations

import itertools
import json
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx2

from tests.support.answers import check_answer, check_problem
from tests.support.edge_server import Client, Response

PASSWORD = "violet harbour 29 kites"
OTHER_PASSWORD = "seven amber lighthouses"
ADMIN = {"username": "admin", "password": "admin"}

_count = itertools.count(1)


class Person:
    """Somebody signed in: every answer they get is held against the contract."""

    def __init__(self, url: str, username: str, password: str) -> None:
        self.username = username
        self.http = httpx2.Client(
            base_url=url, timeout=30, trust_env=False, event_hooks={"request": [], "response": [check_answer]}
        )
        answer = self.http.post("/auth/login", json={"username": username, "password": password})
        assert answer.status_code == 200, answer.text
        self.take(answer.json())

    def take(self, pair: dict[str, Any]) -> None:
        """Go on with this pair of tokens."""
        self.access_token: str = pair["access_token"]
        self.refresh_token: str = pair["refresh_token"]
        self.http.headers["Authorization"] = f"Bearer {self.access_token}"

    def __call__(self, method: str, path: str, status: int | None = None, **options: Any) -> httpx2.Response:
        answer = self.http.request(method, path, **options)
        assert status is None or answer.status_code == status, (answer.status_code, answer.text)
        return answer

    def refresh(self) -> httpx2.Response:
        return self.http.post("/auth/refresh", json={"refresh_token": self.refresh_token})

    def profile(self) -> dict[str, Any]:
        profile: dict[str, Any] = self("GET", "/auth/me", 200).json()
        return profile

    @property
    def bearer(self) -> str:
        return f"Authorization: Bearer {self.access_token}"


class People:
    """Makes users and signs them in; closes what was opened."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._open: list[Person] = []
        self.admin = self.sign_in("admin", "admin")

    def sign_in(self, username: str, password: str = PASSWORD) -> Person:
        person = Person(self.url, username, password)
        self._open.append(person)
        return person

    def make(self, role: str = "viewer", prefix: str = "user") -> str:
        """A new user's name."""
        username = f"{prefix}{next(_count)}"
        self.admin("POST", "/auth/users/", 201, json={"username": username, "password": PASSWORD, "role": role})
        return username

    def new(self, role: str = "viewer") -> Person:
        """A new user, signed in."""
        return self.sign_in(self.make(role))

    def close(self) -> None:
        for person in self._open:
            person.http.close()


@contextmanager
def many_connections(url: str, count: int) -> Iterator[list[Client]]:
    """So many open connections to one server."""
    parts = urlsplit(url)
    with ExitStack() as stack:
        yield [
            stack.enter_context(Client(socket.create_connection((parts.hostname, parts.port), timeout=30)))
            for _ in range(count)
        ]


def request(path: str, *lines: str, method: str = "GET", body: bytes = b"") -> bytes:
    """A request as it goes over the wire."""
    length = [f"Content-Length: {len(body)}"] if body or method in ("POST", "PUT", "PATCH") else []
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: gateway.test", *lines, *length, "", "")).encode() + body


def json_request(method: str, path: str, content: Any, *lines: str) -> bytes:
    return request(path, "Content-Type: application/json", *lines, method=method, body=json.dumps(content).encode())


def ask_all(connections: Sequence[Client], asked: bytes, times: int = 1) -> list[Response]:
    """Send on every connection before any answer is read; every error is held against the contract."""
    answers = []
    for _ in range(times):
        for connection in connections:
            connection.send(asked)
        answers += [connection.response() for connection in connections]
    for answer in answers:
        if answer.status >= 400:
            check_problem(answer.status, answer.headers, answer.body)
    return answers


def statuses(answers: Sequence[Response]) -> Counter[int]:
    return Counter(answer.status for answer in answers)
