"""The gateway's API as one signed-in person: calls carry their token, which is refreshed when it is due.

A refresh happens once per session however many requests ask at the same time, in whichever worker: a lock in Redis,
and whoever waited reads the session again.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from admin_ui.gateway_client import Answer, Download, GatewayAway, GatewayClient, Origin, Refused, SentFile
from admin_ui.session_store import Session, SessionStore, Tokens
from servicekit.logs import get_logger

log = get_logger()
EARLY_SECONDS = 20.0  # before its end an access token is renewed, so that it doesn't end on the way
PATIENCE_SECONDS = 25.0
T = TypeVar("T")


class SessionEnded(Exception):
    """The gateway knows this session no more; the person signs in again."""


class Api:
    """Calls on behalf of one session; one per request."""

    def __init__(self, client: GatewayClient, store: SessionStore, session: Session, origin: Origin) -> None:
        self._client = client
        self._store = store
        self._origin = origin
        self.session = session

    async def get(self, path: str, **params: str | int) -> Answer:
        return await self.call("GET", path, params=params)

    async def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        sent_file: SentFile | None = None,
    ) -> Answer:
        """One call; a 401 is answered with a refresh and one more try.

        Raises:
            SessionEnded: There is nothing left to refresh. Refused, GatewayAway: as the gateway client says.
        """
        return await self._with_token(
            lambda token: self._client.call(
                self._origin, method, path, token=token, json=json, params=params, headers=headers, sent_file=sent_file
            )
        )

    async def download(self, path: str, **params: str | int) -> Download:
        """A file; fails as ``call`` does."""
        return await self._with_token(
            lambda token: self._client.download(self._origin, path, token=token, params=params)
        )

    async def _with_token(self, ask: Callable[[str], Awaitable[T]]) -> T:
        if self.session.tokens.access_ends_at - EARLY_SECONDS < time.time():
            await self._refresh()
        for attempt in (1, 2):
            try:
                return await ask(self.session.tokens.access)
            except Refused as refused:
                if refused.status != 401:
                    raise
                if attempt == 2:
                    break
            await self._refresh()
        await self.end()
        raise SessionEnded

    async def end(self) -> None:
        """Forget this session here; its cookie is worthless from now on."""
        await self._store.delete(self.session.place)

    async def revoke(self) -> None:
        """Have the tokens of a session that has been ended here refused everywhere.

        Raises:
            SessionEnded: They were worthless already. Refused, GatewayAway: it couldn't be done.
        """
        tokens = self.session.tokens
        if tokens.access_ends_at - EARLY_SECONDS < time.time():
            tokens = await self._fresh_tokens(tokens.refresh)
        await self._client.call(self._origin, "POST", "/auth/logout", token=tokens.access)

    async def _refresh(self) -> None:
        """Make ``self.session`` one with newer tokens than it had."""
        had = self.session.tokens.access
        async with self._store.only_one(self.session.place, patience_seconds=PATIENCE_SECONDS) as ours:
            current = await self._store.read(self.session.place)
            if current is None:
                raise SessionEnded
            self.session = current
            if current.tokens.access != had:
                return
            if not ours:
                raise GatewayAway
            tokens = await self._fresh_tokens(current.tokens.refresh)
            latest = await self._store.read(current.place)  # a notice may have been left meanwhile
            self.session = replace(latest or current, tokens=tokens)
            if not await self._store.save(self.session):
                # Signed out while we asked: the new tokens must not outlive that.
                await self._client.call(self._origin, "POST", "/auth/logout", token=tokens.access)
                raise SessionEnded

    async def _fresh_tokens(self, refresh_token: str) -> Tokens:
        try:
            answer = await self._client.call(
                self._origin, "POST", "/auth/refresh", json={"refresh_token": refresh_token}
            )
        except Refused as refused:
            if refused.status not in (400, 401, 422):
                raise
            await self.end()
            log.info("session_ended_by_refresh")
            raise SessionEnded from None
        return tokens_from(answer.body)


def tokens_from(body: Mapping[str, Any]) -> Tokens:
    """What the gateway's sign-in and refresh answer."""
    return Tokens(
        access=str(body["access_token"]),
        refresh=str(body["refresh_token"]),
        access_ends_at=time.time() + float(body["expires_in"]),
    )
