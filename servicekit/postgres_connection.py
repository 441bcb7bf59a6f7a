"""A PostgreSQL connection that doesn't wait for ever.

The server ends statements that take too long (statement_timeout), and TCP finds out about lost networks. Neither helps
against a server that is there and does nothing: stopped, swapped out, waiting for its disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

RV = TypeVar("RV")
LOOK_SECONDS = 0.1  # how often a wait looks at the clock


class AnsweringConnection(psycopg.Connection[Any]):
    """Is closed, with an OperationalError, when the server leaves ``answer_seconds`` without an answer; None waits."""

    answer_seconds: float | None = None

    def wait(self, gen: PQGen[RV], interval: float = LOOK_SECONDS, timeout: float | None = None) -> RV:
        if self.answer_seconds is None or timeout is not None:
            return super().wait(gen, interval, timeout)
        return super().wait(_answered(gen, self.answer_seconds, self._give_up), interval)

    def _give_up(self) -> None:
        # What the server may still answer would be taken for the answer to the next question.
        self.pgconn.finish()
        raise psycopg.OperationalError("the server doesn't answer")


def _answered(gen: PQGen[RV], seconds: float, give_up: Callable[[], None]) -> PQGen[RV]:
    """The same exchange with the server; gives up when nothing has come at the deadline."""
    deadline = time.monotonic() + seconds
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > deadline:
                give_up()
            wanted = gen.send(ready)
    except StopIteration as end:
        result: RV = end.value
        return result
