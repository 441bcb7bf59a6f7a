"""Several worker processes on one socket: started, replaced when they die, told of signals, stopped together."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket
import time

import uvicorn
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from servicekit.draining import GracefulServer
from servicekit.logs import get_logger

READY_SECONDS = 30.0
# On a machine that starts many processes at once, a worker's imports alone can take longer than a ping may.
START_SECONDS = 90.0
STARTING_PING_SECONDS = 1.0
log = get_logger()


class Worker(Process):
    """A worker process that stops gracefully, and is given time to start."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], drain_seconds: float) -> None:
        self._drain_seconds = drain_seconds
        self._started_at = time.monotonic()
        self.was_ready = False
        super().__init__(config, sockets)

    @functools.cached_property
    def server(self) -> GracefulServer:
        return GracefulServer(self.config, self._drain_seconds)

    def is_alive(self, timeout: float = 5) -> bool:
        """Whether it runs and answers; until it has been ready once, for START_SECONDS, running is enough."""
        if not self.process.is_alive():
            return False
        answer = self._newest_answer(timeout if self.was_ready else min(timeout, STARTING_PING_SECONDS))
        self.was_ready = self.was_ready or answer is True
        if answer is None and not self.was_ready:
            return time.monotonic() - self._started_at < START_SECONDS
        return answer is not None

    def _newest_answer(self, timeout: float) -> bool | None:
        """Whether it is ready; None without an answer. Late answers to earlier pings come first, and are old news."""
        answer = self._healthcheck(timeout)
        with contextlib.suppress(OSError, EOFError):
            while self.parent_conn.poll(0):
                answer = self.parent_conn.recv()
        return answer


class Workers(Multiprocess):
    """uvicorn's supervisor, except for these.

    SIGHUP is passed on to workers that reload by it, instead of replacing them; others it ends, as it does one process.
    Workers that never come up (a bad route table, say) end the whole, instead of being started again for ever.
    The supervisor's own hold on the socket ends with the workers' work: nobody connects to a socket without them.
    """

    processes: list[Worker]  # type: ignore[assignment]  # all of them are started here

    def __init__(
        self, config: uvicorn.Config, sockets: list[socket.socket], *, drain_seconds: float, reloads_on_hangup: bool
    ) -> None:
        super().__init__(config, sockets)
        self._drain_seconds = drain_seconds
        self._reloads_on_hangup = reloads_on_hangup
        self.were_ready = False
        self.have_failed = False  # without having been ready

    def init_processes(self) -> None:
        self.processes = [self._start_worker() for _ in range(self.processes_num)]

    def keep_subprocess_alive(self) -> None:
        for place, worker in enumerate(self.processes):
            if self.should_exit.is_set():
                return
            if worker.is_alive(timeout=self.config.timeout_worker_healthcheck):
                self.were_ready = self.were_ready or worker.was_ready
                continue
            worker.kill()  # dead, or hung
            worker.join()
            if not self.were_ready and (worker.exitcode or 0) > 0:  # it gave up by itself: so would the next one
                log.error("worker_failed_to_start", pid=worker.pid)
                self.have_failed = True
                self.should_exit.set()
                return
            log.error("worker_died", pid=worker.pid, exit_code=worker.exitcode)
            self.processes[place] = self._start_worker()

    def terminate_all(self) -> None:
        super().terminate_all()
        for listener in self.sockets:
            listener.close()

    def handle_hup(self) -> None:
        """Pass SIGHUP on, to a worker that is just starting once it can take it."""
        if not self._reloads_on_hangup:
            self.should_exit.set()
            return
        for worker in self.processes:
            if worker.wait_until_ready(READY_SECONDS, self.should_exit) and worker.pid is not None:
                os.kill(worker.pid, signal.SIGHUP)

    def handle_ttin(self) -> None:
        """One worker more."""
        self.processes_num += 1
        self.processes.append(self._start_worker())

    def _start_worker(self) -> Worker:
        worker = Worker(self.config, self.sockets, self._drain_seconds)
        worker.start()
        return worker
