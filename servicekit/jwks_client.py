"""auth_service's public keys, fetched over HTTP.

When auth_service is away: the keys known so far stay in use; with none known yet, requests with a token get 503.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from servicekit.control_client import control_client
from servicekit.logs import get_logger
from servicekit.problems import ServiceUnavailable
from servicekit.tokens import read_jwks

log = get_logger()
PATH = "/.well-known/jwks.json"
TIMEOUT_SECONDS = 1.0
MAX_BYTES = 64 * 1024


class JwksClient:
    """A key source that asks auth_service's replicas in turn.

    A token with a made-up key id costs at most one fetch per ``cooldown_seconds``, however many such tokens come;
    a key that auth_service has just begun to sign with is known after at most that time.
    """

    def __init__(
        self,
        auth_service_urls: tuple[str, ...],
        *,
        cooldown_seconds: float = 1.0,
        interval_seconds: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._urls = auth_service_urls
        self._cooldown = cooldown_seconds
        self._interval = interval_seconds
        self._clock = clock
        self._keys: dict[str, Ed25519PublicKey] = {}
        self._tried_at = float("-inf")
        self._flight: asyncio.Task[bool] | None = None
        self._loop_task: asyncio.Task[None] | None = None
        self.document: dict[str, Any] | None = None
        self.when_a_key_is_gone: list[Callable[[], None]] = []  # what remembers verdicts must forget them

    def get(self, kid: str) -> Ed25519PublicKey | None:
        return self._keys.get(kid)

    async def start(self) -> None:
        """Begin to keep the keys fresh in the background."""
        self._loop_task = asyncio.create_task(self._keep_fresh(), name="jwks-refresh")

    async def stop(self) -> None:
        for task in (self._loop_task, self._flight):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def check(self) -> None:
        """Readiness: at least one key is known.

        Raises:
            ServiceUnavailable: None is, and none can be fetched.
        """
        if not self._keys:
            await self.refresh()

    async def refresh(self) -> bool:
        """Fetch once, shared by all who ask meanwhile; within the cool-down only when no key is known."""
        if self._flight is None or self._flight.done():
            if self._clock() - self._tried_at < self._cooldown:
                return self._none_known()
            self._flight = asyncio.create_task(self._fetch(), name="jwks-fetch")
        # shield: the one who asked first may leave; the others still wait for the same fetch.
        if await asyncio.shield(self._flight):
            return True
        return self._none_known()

    def _none_known(self) -> bool:
        if not self._keys:
            raise ServiceUnavailable("The keys that tokens are checked with can't be had right now.", retry_after=1)
        return False

    async def _fetch(self) -> bool:
        try:
            async with control_client(TIMEOUT_SECONDS) as client:
                for url in self._urls:
                    try:
                        response = await asyncio.wait_for(client.get(url + PATH), TIMEOUT_SECONDS * 2)
                        if response.status_code == 200 and len(response.content) <= MAX_BYTES:
                            document = response.json()
                            keys = read_jwks(document)
                            if keys:
                                self._take(keys, document)
                                return True
                        log.warning("jwks_refused", upstream=url, status=response.status_code)
                    except (httpx2.HTTPError, TimeoutError, ValueError) as error:
                        log.warning("jwks_unreachable", upstream=url, error=type(error).__name__)
            return False
        finally:
            self._tried_at = self._clock()

    def _take(self, keys: dict[str, Ed25519PublicKey], document: dict[str, Any]) -> None:
        before, self._keys, self.document = self._keys, keys, document
        if any(keys.get(kid) != key for kid, key in before.items()):
            log.info("signing_key_gone", kids=sorted(before.keys() - keys.keys()))
            for forget in self.when_a_key_is_gone:
                forget()

    async def _keep_fresh(self) -> None:
        while True:
            try:
                await self.refresh()
            except ServiceUnavailable:
                pass
            await asyncio.sleep(self._interval if self._keys else self._cooldown)
