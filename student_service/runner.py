"""Works on batches beside the requests: a few threads, short transactions, and nothing lost when the process ends.

A batch whose process went away is taken over by another one, or by the next to start: one that was being applied,
taken back or undone goes on where it was; one that was still being read is failed, since the file is gone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import IO

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from servicekit.database import Database, utc_now
from servicekit.ids import uuid7
from servicekit.logs import get_logger
from servicekit.problems import ServiceUnavailable
from student_service import batches
from student_service.batches import Batch, LostHold

THREADS = 2
LOOK_SECONDS = 5.0  # how often abandoned batches and expired rows are looked for
RETRIES = 5
SHORTEST_PAUSE = 0.03  # longer than a writer in another process pauses between two tries for the lock
PAUSE_SHARE = 0.25

log = get_logger()
Step = Callable[[Connection, Batch], bool]
Source = IO[bytes]


class Stopped(Exception):
    """The process ends; the batch waits for the next one."""


@dataclass
class Work:
    """What a piece of work needs of its surroundings."""

    db: Database
    runner: str
    now: Callable[[], datetime]
    zone: tzinfo
    stop: threading.Event = field(default_factory=threading.Event)

    def in_steps(self, batch_id: str, step: Step) -> None:
        """Run ``step`` in a write transaction after the other, with room for others in between, until it is False.

        Raises:
            Stopped: The process ends. LostHold: another one has the batch.
        """
        is_more = True
        while is_more:
            started = time.monotonic()
            is_more = self.once(batch_id, step)
            if is_more:
                self.breathe(time.monotonic() - started)

    def breathe(self, seconds: float) -> None:
        """Let others write after ``seconds`` of work: whoever waited for the lock has it before we ask again.

        Raises:
            Stopped: The process ends.
        """
        if self.stop.wait(max(SHORTEST_PAUSE, PAUSE_SHARE * seconds)):
            raise Stopped

    def once(self, batch_id: str, step: Step) -> bool:
        """Run ``step`` in one write transaction, a few times if the database is busy; what it returned.

        Raises:
            Stopped: The process ends. LostHold: another one has the batch.
        """
        for attempt in range(RETRIES):
            try:
                with self.db.write() as conn:
                    is_more = step(conn, batches.find(conn, batch_id))
                    batches.hold(conn, batch_id, self.runner, self.now())
            except IntegrityError:
                # PostgreSQL only: somebody took a number or an address a moment ago. Now it can be seen.
                if attempt == RETRIES - 1:
                    raise
            except ServiceUnavailable:
                if attempt == RETRIES - 1:
                    raise
                self.breathe(1.0)
            else:
                return is_more
        raise AssertionError("the loop returns or raises")


class Runner:
    """The threads of one process.

    Args:
        zone: Where the school is: it decides which day it is.
        work_on: Does what a batch in some state needs; gets the file while it is being read.
        fail: Says in the batch that something nobody expected went wrong.
    """

    def __init__(
        self,
        db: Database,
        *,
        zone: tzinfo,
        work_on: Callable[[Work, Batch, Source | None], None],
        fail: Callable[[Work, str], bool],
    ) -> None:
        self.work = Work(db, uuid7(), utc_now, zone)
        self._work_on = work_on
        self._fail = fail
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="batch")
        self._looking = threading.Thread(target=self._look_around, name="batch-look", daemon=True)
        self._ours: set[str] = set()  # batches that are worked on here or wait for a thread
        self._interrupted: set[str] = set()  # by a database that was away

    @property
    def id(self) -> str:
        """The name under which this process holds batches."""
        return self.work.runner

    def start(self) -> None:
        """Begin to look for what others left behind."""
        self._looking.start()

    def stop(self) -> None:
        """End after the current step of each batch, and leave the rest to the next process."""
        self.work.stop.set()
        self._looking.join()
        self._pool.shutdown(wait=True, cancel_futures=True)
        try:
            with self.work.db.write() as conn:
                batches.let_go(conn, self.id)
        except (SQLAlchemyError, ServiceUnavailable) as error:
            log.warning("batches_not_let_go", exc_info=error)  # after a while they are taken for abandoned

    def submit(self, batch_id: str, source: Source | None = None, *, wait_seconds: float = 0) -> None:
        """Work on a batch that this runner holds; returns when it is through, or after ``wait_seconds``."""
        self._ours.add(batch_id)
        try:
            future: Future[None] = self._pool.submit(self._run, batch_id, source)
        except RuntimeError:  # this process ends: the next one finds the batch
            if source is not None:
                source.close()
            return
        if wait_seconds:
            wait([future], wait_seconds)

    def _run(self, batch_id: str, source: Source | None) -> None:
        try:
            self._through(batch_id, source)
        finally:
            self._ours.discard(batch_id)
            if source is not None:
                source.close()

    def _through(self, batch_id: str, source: Source | None) -> None:
        started = time.monotonic()
        try:
            with self.work.db.read() as conn:
                batch = batches.find(conn, batch_id)
            self._work_on(self.work, batch, source)
        except (Stopped, LostHold) as why:
            log.info("batch_left", batch_id=batch_id, why=type(why).__name__)
        except ServiceUnavailable as error:
            log.warning("batch_interrupted", batch_id=batch_id, exc_info=error)
            self._interrupted.add(batch_id)
        except Exception as error:
            log.exception("batch_failed", batch_id=batch_id, exc_info=error)
            self._say_failed(batch_id)
        else:
            log.info("batch_worked_on", batch_id=batch_id, duration_ms=round((time.monotonic() - started) * 1000))

    def _say_failed(self, batch_id: str) -> None:
        try:
            if self._fail(self.work, batch_id):
                self._through(batch_id, None)
        except (SQLAlchemyError, ServiceUnavailable, LostHold, Stopped) as error:
            log.warning("batch_failure_not_told", batch_id=batch_id, exc_info=error)

    def _look_around(self) -> None:
        while True:
            try:
                self._take_over()
                self._purge()
            except (SQLAlchemyError, ServiceUnavailable, Stopped) as error:
                log.warning("batches_not_looked_at", exc_info=error)
            if self.work.stop.wait(LOOK_SECONDS):
                return

    def _take_over(self) -> None:
        if self._ours:
            with self.work.db.write() as conn:
                batches.still_here(conn, self.id, self.work.now())
        while self._interrupted:
            self.submit(self._interrupted.pop())
        with self.work.db.read() as conn:
            found = batches.abandoned(conn, self.id, self.work.now())
        for batch in found:
            with self.work.db.write() as conn:
                is_ours = batches.take(conn, batch.id, self.id, self.work.now(), was=batch.runner)
            if is_ours:
                log.info("batch_taken_over", batch_id=batch.id, state=batch.state)
                self.submit(batch.id)

    def _purge(self) -> None:
        with self.work.db.read() as conn:
            is_more = batches.has_expired(conn, self.work.now())
        while is_more:
            with self.work.db.write() as conn:
                is_more = batches.purge(conn, self.work.now())
            self.work.breathe(0)
