"""Waiting awake: for a moment after each step of a request, the event loop asks for news instead of sleeping.

A thread that sleeps has to be woken, and a core with nothing else to do has to be woken first. On a virtual machine
that takes some 50 µs, three times a request: when it arrives, when Redis answers, when the upstream does. Under load
the loop never sleeps and nothing is gained; of a lonely request's latency it is a third. HAProxy's ``busy-polling``
and Linux's ``net.core.busy_poll`` are the same trade of processor time for latency.

Only worth it where each worker has a core of its own: a loop that is awake takes the core from whoever else is on it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class BusyPoll:
    """Keeps the running event loop awake until ``seconds`` after the last ``extend``.

    Args:
        seconds: The longest time that is spent awake for nothing, each time.
        clock: In seconds.
    """

    __slots__ = ("_clock", "_is_awake", "_loop", "_seconds", "_until")

    def __init__(self, seconds: float, clock: Callable[[], float] = time.perf_counter) -> None:
        self._seconds = seconds
        self._clock = clock
        self._until = 0.0
        self._is_awake = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def extend(self) -> None:
        """Something is to come soon: an answer just asked for, or the client's next request."""
        self._until = self._clock() + self._seconds
        if not self._is_awake:
            self._is_awake = True
            self._loop = asyncio.get_running_loop()
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        # A loop with a callback that is due polls its sockets without waiting, once a turn: some 3 µs.
        if self._loop is not None and self._clock() < self._until:
            self._loop.call_soon(self._turn)
        else:
            self._is_awake = False
