"""Access tokens from the real auth_service: one sign-in, then refreshes; each gives another token.

Kept in ``var/bench`` with the state of the auth_service that signed them, and used again while they are valid.

A refresh takes some milliseconds, so a hundred thousand tokens would take many minutes. Where so many are wanted, each
token comes in several spellings of "Bearer", whose case doesn't matter (RFC 9110 §11.1): to a gateway that remembers
its verdict by the whole header, as ours does, each is another one, verified by itself.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from itertools import islice, product
from pathlib import Path
from typing import Any

from loadtests.compare.bed import PASSWORD, Bed

MOST_TOKENS = 2_000
MOST_IDLE_SECONDS = 2.0  # uvicorn closes an idle connection after five
VALID_SECONDS = 3600.0  # that a token found on disk must still be valid for


class Sessions:
    """Tokens on demand."""

    def __init__(self, bed: Bed) -> None:
        self._bed = bed
        self._file = bed.work / "state" / "tokens.json"
        self._idle_connection = HTTPConnection("127.0.0.1", bed.auth_port, timeout=30)
        self._used_at = 0.0
        self._tokens: list[str] = []
        self._refresh_token = ""
        if self._file.exists():
            kept = json.loads(self._file.read_text())
            tokens = [token for token in kept["tokens"] if _claims(token)["exp"] > time.time() + VALID_SECONDS]
            if tokens and self._is_accepted(tokens[0]):
                self._tokens, self._refresh_token = tokens, kept["refresh_token"]

    def get(self, count: int) -> list[str]:
        """``count`` different valid tokens."""
        missing = count - len(self._tokens)
        if missing > 0:
            if not self._refresh_token:
                self._take(self._post("/auth/login", {"username": "admin", "password": PASSWORD}))
                missing -= 1
            for _ in range(missing):
                self._take(self._post("/auth/refresh", {"refresh_token": self._refresh_token}))
            self._file.write_text(json.dumps({"tokens": self._tokens, "refresh_token": self._refresh_token}))
        return self._tokens[:count]

    def write(self, count: int) -> Path:
        """A file with ``count`` different Authorization headers, one a line."""
        tokens = self.get(min(count, MOST_TOKENS))
        headers = (f"{scheme} {token}" for scheme in _spellings() for token in tokens)
        path = self._bed.work / f"tokens-{count}.txt"
        path.write_text("\n".join(islice(headers, count)) + "\n")
        return path

    @property
    def _connection(self) -> HTTPConnection:
        """The connection; a new one if auth_service may have closed it meanwhile."""
        if time.monotonic() - self._used_at > MOST_IDLE_SECONDS:
            self._idle_connection.close()  # the next request opens it
        self._used_at = time.monotonic()
        return self._idle_connection

    def public_keys(self) -> dict[str, Any]:
        """auth_service's JWKS."""
        self._connection.request("GET", "/.well-known/jwks.json")
        keys: dict[str, Any] = json.load(self._connection.getresponse())
        return keys

    def _take(self, answer: dict[str, Any]) -> None:
        self._tokens.append(answer["access_token"])
        self._refresh_token = answer["refresh_token"]

    def _post(self, path: str, body: dict[str, str]) -> dict[str, Any]:
        self._connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        answer: dict[str, Any] = json.load(response)
        if response.status != 200:
            raise RuntimeError(f"{path} answered {response.status}: {answer.get('detail')}")
        return answer

    def _is_accepted(self, token: str) -> bool:
        self._connection.request("GET", "/auth/me", headers={"Authorization": f"Bearer {token}"})
        response = self._connection.getresponse()
        response.read()
        return response.status == 200


def _spellings() -> Iterator[str]:
    """The 64 ways to write Bearer, the usual one first."""
    for cases in product(*zip("Bearer", "bEARER", strict=True)):
        yield "".join(cases)


def _claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims
