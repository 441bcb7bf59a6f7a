"""Sessions in Redis: found by the hash of the cookie, sealed, and gone for good when they are deleted.

When Redis is away every call raises ``StoreAway``: nobody is signed in or out by an outage.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from admin_ui.sealing import Sealer, Unsealable
from servicekit.problems import ServiceUnavailable

ID_BYTES = 32
LOCK_MILLISECONDS = 30_000
LOCK_POLL_SECONDS = 0.03
RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"

T = TypeVar("T")


class StoreAway(ServiceUnavailable):
    """Redis can't be reached, so nobody knows who is signed in."""

    def __init__(self) -> None:
        super().__init__("Sign-in is not available at the moment. Nothing is lost: try again shortly.", retry_after=5)


@dataclass(frozen=True)
class Tokens:
    """A pair of tokens and when the access token ends (Unix time)."""

    access: str
    refresh: str
    access_ends_at: float


@dataclass(frozen=True)
class Session:
    """Somebody who is signed in, in one browser."""

    place: str
    csrf: str
    tokens: Tokens
    user_id: str
    username: str
    role: str
    scopes: tuple[str, ...]
    ends_at: float
    notices: tuple[dict[str, Any], ...] = ()

    def may(self, scope: str) -> bool:
        """Whether this person's role includes the scope; the API decides, this only chooses what is offered."""
        return scope in self.scopes


class SessionStore:
    """Creates, finds, changes and ends sessions."""

    def __init__(self, redis: Redis, sealer: Sealer, *, idle_seconds: int, max_seconds: int) -> None:
        self._redis = redis
        self._sealer = sealer
        self._idle_seconds = idle_seconds
        self._max_seconds = max_seconds

    async def create(self, tokens: Tokens, profile: dict[str, Any]) -> tuple[str, Session]:
        """A new session under an id that nobody has seen before; the id goes into the cookie and is not kept."""
        session_id = secrets.token_urlsafe(ID_BYTES)
        session = Session(
            place=place_of(session_id),
            csrf=secrets.token_urlsafe(24),
            tokens=tokens,
            user_id=str(profile["id"]),
            username=str(profile["username"]),
            role=str(profile["role"]),
            scopes=tuple(profile["scopes"]),
            ends_at=time.time() + self._max_seconds,
        )
        await self._guarded(lambda: self._redis.set(session.place, self._seal(session), ex=self._seconds_left(session)))
        return session_id, session

    async def find(self, session_id: str) -> Session | None:
        """The session of a cookie; finding it puts its idle expiry off."""
        return await self.read(place_of(session_id))

    async def read(self, place: str) -> Session | None:
        """The session at a place, as it is now."""
        sealed = await self._guarded(lambda: self._redis.get(place))
        session = self._unseal(place, sealed)
        if session is None:
            return None
        left = self._seconds_left(session)
        if left <= 0:
            await self.delete(place)
            return None
        await self._guarded(lambda: self._redis.expire(place, left))
        return session

    async def save(self, session: Session) -> bool:
        """Write a changed session; False when it has been ended meanwhile: what is gone is never brought back."""
        left = max(1, self._seconds_left(session))
        sealed = self._seal(session)
        return bool(await self._guarded(lambda: self._redis.set(session.place, sealed, ex=left, xx=True)))

    async def delete(self, place: str) -> None:
        """End a session, so that its cookie and any copy of it are worthless."""
        await self._guarded(lambda: self._redis.delete(place))

    async def notify(self, session: Session, notice: dict[str, Any]) -> None:
        """Leave a notice for the next page this person sees."""
        current = await self.read(session.place)
        if current is not None:
            await self.save(replace(current, notices=(*current.notices[-3:], notice)))

    async def take_notices(self, session: Session) -> tuple[dict[str, Any], ...]:
        """The notices that wait, once."""
        if session.notices:
            current = await self.read(session.place)
            if current is not None:
                await self.save(replace(current, notices=()))
        return session.notices

    @asynccontextmanager
    async def only_one(self, place: str, *, patience_seconds: float) -> AsyncIterator[bool]:
        """Whether this caller holds the session's lock, among all requests, workers and replicas.

        Waits up to ``patience_seconds``; yields False when another one holds it all that time.
        """
        key, holder = f"{place}:refreshing", secrets.token_urlsafe(12)
        deadline = time.monotonic() + patience_seconds
        while True:
            held = bool(await self._guarded(lambda: self._redis.set(key, holder, nx=True, px=LOCK_MILLISECONDS)))
            if held or time.monotonic() > deadline:
                break
            await asyncio.sleep(LOCK_POLL_SECONDS)
        try:
            yield held
        finally:
            if held:
                await self._guarded(lambda: self._redis.eval(RELEASE, 1, key, holder))

    async def ping(self) -> None:
        """Raises StoreAway when Redis doesn't answer."""
        await self._guarded(self._redis.ping)

    def _seconds_left(self, session: Session) -> int:
        return min(self._idle_seconds, int(session.ends_at - time.time()))

    def _seal(self, session: Session) -> bytes:
        return self._sealer.seal(orjson.dumps(asdict(session)), session.place)

    def _unseal(self, place: str, sealed: Any) -> Session | None:
        if sealed is None:
            return None
        try:
            kept = orjson.loads(self._sealer.open(sealed, place))
        except Unsealable:
            return None  # of a key that is no longer in use: the person signs in again
        tokens, scopes, notices = Tokens(**kept.pop("tokens")), tuple(kept.pop("scopes")), tuple(kept.pop("notices"))
        return Session(tokens=tokens, scopes=scopes, notices=notices, **kept)

    async def _guarded(self, command: Callable[[], Awaitable[T] | Any]) -> Any:
        try:
            return await command()
        except (RedisError, OSError, TimeoutError):
            raise StoreAway from None


def place_of(session_id: str) -> str:
    """Where a session is kept: Redis learns the hash of the cookie, never the cookie."""
    return "ui:session:" + hashlib.sha256(session_id.encode()).hexdigest()
