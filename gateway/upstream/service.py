"""One named upstream: choose a replica, wait for a connection, send, and retry where that can't do harm."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.upstream.breaker import State
from gateway.upstream.budget import RetryBudget
from gateway.upstream.connection import StaleConnection
from gateway.upstream.errors import (
    ConnectError,
    NoHealthyReplica,
    Overloaded,
    UpstreamClosed,
    UpstreamError,
    UpstreamTimeout,
)
from gateway.upstream.policy import UpstreamPolicy
from gateway.upstream.probe import probe
from gateway.upstream.replica import Replica
from gateway.upstream.request import SAFE_METHODS, BodySource, Headers, framing_of, lacks_host, render_head
from gateway.upstream.response import UpstreamResponse
from gateway.upstream.upload import pump, read_whole

TICK_SECONDS: Final = 0.05  # one timer looks after every deadline: a timer for each request costs 2 µs, this nothing
SMALL_BODY_BYTES: Final = 64 * 1024  # up to this length a body is read before a connection is taken, and sent at once


@dataclass(frozen=True, slots=True)
class ReplicaSnapshot:
    """One replica as it is now, for readiness and metrics."""

    name: str
    state: State
    outstanding: int  # requests under way
    idle: int  # connections kept open
    failures: int  # in a row


class UpstreamService:
    """One upstream with its replicas. Belongs to one event loop; opens nothing before the first `send`.

    Raises ValueError for URLs that aren't plain http(s)://HOST:PORT.
    """

    def __init__(
        self,
        name: str,
        urls: Sequence[str],
        policy: UpstreamPolicy | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        if not urls:
            raise ValueError(f"upstream {name} has no URL")
        self.name = name
        self.policy = policy or UpstreamPolicy()
        self._clock = clock
        self._replicas = [Replica(url, self.policy, clock, self._serve_waiting, tls) for url in urls]
        self._budget = RetryBudget(self.policy.retry_budget_ratio)
        self._waiting: deque[tuple[float, asyncio.Future[Replica]]] = deque()  # until when, and who; oldest first
        self._ticker: asyncio.TimerHandle | None = None
        self._is_closed = False

    async def send(
        self,
        method: bytes,
        target: bytes,
        headers: Headers,
        body: BodySource | bytes | None = None,
        *,
        safe_to_retry: bool | None = None,
    ) -> UpstreamResponse:
        """Return the upstream's answer, whatever its status.

        `headers` are end-to-end fields with lower-case names; Host is added unless given, framing always.
        `safe_to_retry` defaults to whether the method is safe. Raises UpstreamError, RequestBodyError, what the body
        source raises, ValueError for a request that would break its lines. Being cancelled ends the exchange.
        """
        started = self._clock()
        head = render_head(method, target, headers, framing_of(method, body))
        source = None
        if body is not None and not isinstance(body, bytes):
            if body.known_length is not None and body.known_length <= SMALL_BODY_BYTES:
                body = await read_whole(body, body.known_length)
            else:
                source = body
        request = _Request(
            head,
            body if isinstance(body, bytes) else b"",
            source,
            method == b"HEAD",
            method in SAFE_METHODS if safe_to_retry is None else safe_to_retry,
            started + self.policy.deadlines.total_seconds,
            lacks_host(head),
        )
        self._budget.note_request()
        while True:
            try:
                return await self._attempt(request, started)
            except UpstreamError as error:
                started = self._clock()
                if not self._may_retry(request, error, started):
                    raise

    async def _attempt(self, request: _Request, now: float) -> UpstreamResponse:
        replica = self._choose(now, request.avoid) if not self._waiting else None
        if replica is None:
            replica = await self._wait_for_replica(min(now + self.policy.deadlines.connect_seconds, request.total_at))
            now = self._clock()
        else:
            replica.take()
        request.replica = replica
        connection = None if request.wants_fresh else replica.pop_idle(now, is_safe=request.is_safe)
        if connection is None:
            try:
                connection = await replica.connect(min(now + self.policy.deadlines.connect_seconds, request.total_at))
            except BaseException:
                replica.give_back()
                raise
            finally:
                self._watch()
            now = self._clock()
        data = request.head + (replica.host_line if request.lacks_host else b"\r\n") + request.body
        answer = connection.begin(data, is_head_request=request.is_head_request, started=now, total_at=request.total_at)
        if request.source is not None:
            connection.upload(asyncio.get_running_loop().create_task(pump(request.source, connection)))
            request.is_spent = True
        try:
            return await answer
        except asyncio.CancelledError:
            connection.withdraw(answer)
            raise

    def _may_retry(self, request: _Request, error: UpstreamError, now: float) -> bool:
        """Decide whether to try again, and how: only what can't have been done twice, and within the budget."""
        if request.is_spent or now >= request.total_at or request.replica is None:
            return False
        if isinstance(error, StaleConnection):
            # No failure of the replica and no extra load: it had closed an idle connection. Costs no budget.
            request.replica.drop_idle()
            request.wants_fresh = True
            return request.is_safe
        was_sent = not (
            isinstance(error, ConnectError) or (isinstance(error, UpstreamTimeout) and error.phase == "connect")
        )
        if was_sent and not (request.is_safe and isinstance(error, UpstreamClosed | UpstreamTimeout)):
            return False
        has_other = any(each is not request.replica and each.accepts(now) for each in self._replicas)
        if isinstance(error, UpstreamTimeout) and not has_other:
            return False
        if request.retries >= self.policy.retries or not self._budget.spend():
            return False
        request.retries += 1
        request.avoid = request.replica
        return True

    # Choosing

    def _choose(self, now: float, avoid: Replica | None = None) -> Replica | None:
        """Return the less busy of two replicas taken at random; None if none has room."""
        replicas = self._replicas
        count = len(replicas)
        if count > 1 and avoid is None:
            first = int(random.random() * count)  # noqa: S311  # spreads load, guards nothing
            second = (first + 1 + int(random.random() * (count - 1))) % count  # noqa: S311  # as above
            one, other = replicas[first], replicas[second]
            if one.has_room(now) and other.has_room(now):
                return one if one.outstanding <= other.outstanding else other
        elif replicas[0].has_room(now):
            return replicas[0]
        usable = [each for each in replicas if each.has_room(now)]
        usable = [each for each in usable if each is not avoid] or usable
        if len(usable) > 2:
            usable = random.sample(usable, 2)
        return min(usable, key=_outstanding, default=None)

    async def _wait_for_replica(self, until: float) -> Replica:
        """Wait in line for a slot of any replica. Raises NoHealthyReplica or Overloaded."""
        now = self._clock()
        self._watch()
        if not self._is_any_accepting(now):
            raise NoHealthyReplica(self.name, self._retry_after(now))
        if len(self._waiting) >= self.policy.max_waiting:
            raise Overloaded(self.name, 1.0)
        turn: asyncio.Future[Replica] = asyncio.get_running_loop().create_future()
        entry = (until, turn)
        self._waiting.append(entry)
        try:
            return await turn
        except asyncio.CancelledError:
            if entry in self._waiting:
                self._waiting.remove(entry)
            elif not turn.cancelled() and turn.exception() is None:
                turn.result().give_back()
            raise

    def _serve_waiting(self) -> None:
        """Give free slots to those who have waited longest."""
        waiting = self._waiting
        if not waiting:
            return
        now = self._clock()
        while waiting:
            if waiting[0][1].done():
                waiting.popleft()
                continue
            replica = self._choose(now)
            if replica is None:
                break
            replica.take()
            waiting.popleft()[1].set_result(replica)
        if waiting and not self._is_any_accepting(now):
            self._turn_away(NoHealthyReplica(self.name, self._retry_after(now)))

    def _turn_away(self, error: UpstreamError) -> None:
        while self._waiting:
            _, turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(error)

    def _is_any_accepting(self, now: float) -> bool:
        return any(each.accepts(now) for each in self._replicas)

    def _retry_after(self, now: float) -> float:
        return max(0.0, min(each.breaker.retry_at for each in self._replicas) - now) + self.policy.probe_seconds

    # The clock's work

    def _watch(self) -> None:
        if self._ticker is None and not self._is_closed:
            self._ticker = asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        """Enforce every deadline; ask ejected replicas whether they are back. Stops when there is nothing to watch."""
        self._ticker = None
        now = self._clock()
        is_needed = False
        for replica in self._replicas:
            is_needed |= replica.sweep(now)
            path = self.policy.probe_path
            if path is not None and replica.breaker.may_try(now):
                replica.breaker.begin_trial()
                replica.probe = asyncio.get_running_loop().create_task(self._probe(replica, path))
        waiting = self._waiting
        while waiting and waiting[0][0] <= now:
            _, turn = waiting.popleft()
            if not turn.done():
                turn.set_exception(Overloaded(self.name, 1.0))
        self._serve_waiting()
        if is_needed or waiting:
            self._watch()

    async def _probe(self, replica: Replica, path: bytes) -> None:
        await probe(replica, path, self.policy.probe_seconds, self._clock)
        replica.probe = None
        self._serve_waiting()

    # Looking in, and the end

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def snapshot(self) -> tuple[ReplicaSnapshot, ...]:
        return tuple(
            ReplicaSnapshot(each.name, each.breaker.state, each.outstanding, each.idle_count, each.breaker.failures)
            for each in self._replicas
        )

    async def aclose(self) -> None:
        """End everything at once, exchanges under way too: wait for those before, if they are to finish."""
        self._is_closed = True
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None
        self._turn_away(NoHealthyReplica(self.name, 1.0))
        probes = [each.probe for each in self._replicas if each.probe is not None]
        for replica in self._replicas:
            replica.close()
        await asyncio.gather(*probes, return_exceptions=True)
        await asyncio.sleep(0)  # lets the transports tell that they are closed


@dataclass(slots=True)
class _Request:
    """One `send`: what is sent, and what its attempts have come to."""

    head: bytes
    body: bytes
    source: BodySource | None
    is_head_request: bool
    is_safe: bool
    total_at: float
    lacks_host: bool
    replica: Replica | None = None  # of the last attempt
    avoid: Replica | None = None
    wants_fresh: bool = False
    is_spent: bool = False  # the body source has been read from
    retries: int = 0


def _outstanding(replica: Replica) -> int:
    return replica.outstanding
