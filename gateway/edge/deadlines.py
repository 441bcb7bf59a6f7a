"""Limits on what a client may cost, and one coarse timer a server that enforces those of time.

A timer per request (as uvicorn arms for keep-alive) costs each request a call_later and a cancel; here a request
leaves one time stamp behind, and a sweep over all connections, twice a second, does the rest.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Protocol

_logger = logging.getLogger("uvicorn.error")


@dataclass(frozen=True, slots=True)
class EdgeLimits:
    """What a client may send, and how slowly. Times are exact to about one tick."""

    head_bytes: int = 65536  # 431 above it
    headers: int = 100  # 431
    target_bytes: int = 8192  # 414
    pipelined_bytes: int = 65536  # kept of the requests that follow; reading stops above it
    head_seconds: float = 10.0  # a whole head from its first byte, or from the connection's opening: 408
    body_grace_seconds: float = 10.0  # before the rate below counts
    body_bytes_per_second: float = 1024.0  # average; time in which we don't read doesn't count: 408
    write_idle_seconds: float = 60.0  # a client that takes nothing of what was written for so long is dropped
    linger_seconds: float = 2.0  # how long a client that got its last answer may send on in vain
    half_close_seconds: float = 0.5  # a client that has closed its side is given up when nothing is sent for so long
    drain_seconds: float = 1.0  # at shutdown an idle connection may carry one last request within this time
    tick_seconds: float = 0.5


class Timed(Protocol):
    """A connection with deadlines."""

    def sweep(self, now: float, elapsed: float) -> None: ...


class Sweeper:
    """Calls `sweep` on every open connection, once a tick; it rests while there is none."""

    def __init__(self, loop: asyncio.AbstractEventLoop, tick_seconds: float) -> None:
        self._loop = loop
        self._tick_seconds = tick_seconds
        self._connections: set[Timed] = set()
        self._running = False
        self._last = 0.0

    def add(self, connection: Timed) -> None:
        self._connections.add(connection)
        if not self._running:
            self._running = True
            self._last = self._loop.time()
            self._loop.call_later(self._tick_seconds, self._sweep)

    def discard(self, connection: Timed) -> None:
        self._connections.discard(connection)

    def _sweep(self) -> None:
        now = self._loop.time()
        elapsed, self._last = now - self._last, now
        self._running = bool(self._connections)
        if self._running:
            self._loop.call_later(self._tick_seconds, self._sweep)
        for connection in tuple(self._connections):
            try:
                connection.sweep(now, elapsed)
            except Exception:  # one connection's fault must not leave the others without deadlines
                _logger.exception("edge_sweep_failed")
