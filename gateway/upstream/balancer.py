"""Which replica serves a request, who waits for one, and the one timer that looks after every deadline."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.upstream.breaker import State
from gateway.upstream.errors import NoHealthyReplica, Overloaded, UpstreamError
from gateway.upstream.policy import UpstreamPolicy
from gateway.upstream.probe import probe
from gateway.upstream.replica import Replica

TICK_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class ReplicaSnapshot:
    """One replica as it is now, for readiness and metrics."""

    name: str
    state: State
    outstanding: int  # requests under way
    idle: int  # connections kept open
    failures: int  # in a row


class Balancer:
    """The replicas of one upstream, and those who wait for a slot of any of them, first come, first served."""

    def __init__(
        self,
        name: str,
        urls: Sequence[str],
        policy: UpstreamPolicy,
        clock: Callable[[], float],
        tls: ssl.SSLContext | None,
        on_change: Callable[[str, bool], None] | None = None,
    ) -> None:
        if not urls:
            raise ValueError(f"upstream {name} has no URL")
        self._name = name
        self._policy = policy
        self._clock = clock
        self._replicas = [Replica(url, policy, clock, self._serve_waiting, tls, on_change) for url in urls]
        self._waiting: deque[tuple[float, asyncio.Future[Replica]]] = deque()  # until when, and who; oldest first
        self._ticker: asyncio.TimerHandle | None = None
        self.is_closed = False

    # Choosing

    def take_now(self, now: float, avoid: Replica | None) -> Replica | None:
        """Return a replica with a slot taken; None if none is free, or others wait for one already."""
        if self._waiting or self.is_closed:
            return None
        replica = self._choose(now, avoid)
        if replica is not None:
            replica.take()
        return replica

    async def take(self, until: float) -> Replica:
        """Wait in line for a slot until the time `until`. Raises NoHealthyReplica, or Overloaded."""
        now = self._clock()
        if self.is_closed or not self._is_any_accepting(now):
            raise self._no_replica(now)
        if len(self._waiting) >= self._policy.max_waiting:
            raise Overloaded(self._name, 1.0)
        self.watch()
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

    def has_other(self, replica: Replica, now: float) -> bool:
        return any(each is not replica and each.accepts(now) for each in self._replicas)

    def _choose(self, now: float, avoid: Replica | None = None) -> Replica | None:
        """Return the less busy of two replicas taken at random; None if none has room."""
        replicas = self._replicas
        count = len(replicas)
        if count == 1:
            return replicas[0] if replicas[0].has_room(now) else None
        if avoid is None:
            first = int(random.random() * count)  # noqa: S311  # spreads load, guards nothing
            second = (first + 1 + int(random.random() * (count - 1))) % count  # noqa: S311  # as above
            one, other = replicas[first], replicas[second]
            if one.has_room(now) and other.has_room(now):
                return one if one.outstanding <= other.outstanding else other
        usable = [each for each in replicas if each.has_room(now)]
        usable = [each for each in usable if each is not avoid] or usable
        if len(usable) > 2:
            usable = random.sample(usable, 2)
        return min(usable, key=_outstanding, default=None)

    # Waiting

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
            self._turn_away(now)

    def _turn_away(self, now: float) -> None:
        while self._waiting:
            _, turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(self._no_replica(now))

    def _is_any_accepting(self, now: float) -> bool:
        return any(each.accepts(now) for each in self._replicas)

    def _no_replica(self, now: float) -> UpstreamError:
        due = min(each.breaker.retry_at for each in self._replicas)
        return NoHealthyReplica(self._name, max(0.0, due - now) + self._policy.probe_seconds)

    # The clock's work

    def watch(self) -> None:
        """Have deadlines enforced, from now on and for as long as there are any."""
        if self._ticker is None and not self.is_closed:
            self._ticker = asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        self._ticker = None
        now = self._clock()
        is_needed = False
        for replica in self._replicas:
            is_needed |= replica.sweep(now)
            path = self._policy.probe_path
            if path is not None and replica.probe is None and replica.breaker.may_try(now):
                replica.breaker.begin_trial()
                replica.probe = asyncio.get_running_loop().create_task(self._probe(replica, path))
        waiting = self._waiting
        while waiting and waiting[0][0] <= now:
            _, turn = waiting.popleft()
            if not turn.done():
                turn.set_exception(Overloaded(self._name, 1.0))
        self._serve_waiting()
        if is_needed or waiting:
            self.watch()

    async def _probe(self, replica: Replica, path: bytes) -> None:
        is_well = False
        try:
            is_well = await probe(replica, path, self._policy.probe_seconds, self._clock)
        finally:  # however it ended: a trial that never ends would keep the replica out
            replica.probe = None
            if is_well:
                replica.breaker.record_success()
            else:
                replica.breaker.fail_trial(self._clock())
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
        self.is_closed = True
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None
        self._turn_away(self._clock())
        probes = [each.probe for each in self._replicas if each.probe is not None]
        for replica in self._replicas:
            replica.close()
        await asyncio.gather(*probes, return_exceptions=True)
        await asyncio.sleep(0)  # lets the transports tell that they are closed


def _outstanding(replica: Replica) -> int:
    return replica.outstanding
