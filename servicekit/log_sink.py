"""Writes log lines to a file descriptor without ever making a request wait.

A full disk, a stopped pipe or a closed one costs log lines, never answers: lines beyond the queue's bound
are dropped and counted, and the count is logged as soon as the sink takes lines again.
"""

from __future__ import annotations

import atexit
import os
import select
import stat
import threading
import time
from collections import deque

import orjson
from prometheus_client import Counter

QUEUE_LINES = 20_000
BATCH_SECONDS = 0.02
BATCH_LINES = 1000
FLUSH_SECONDS = 1.0
# A write of at most PIPE_BUF bytes to a pipe is atomic (POSIX write()), so the lines of several
# workers on one pipe never mix.
ATOMIC_BYTES = select.PIPE_BUF
LINES_DROPPED = Counter("log_lines_dropped_total", "Log lines lost: the disk full, or the reader too slow or gone.")


class LineSink:
    """A bounded queue of lines and one daemon thread that writes them in batches."""

    def __init__(self, descriptor: int = 1, *, queue_lines: int = QUEUE_LINES) -> None:
        self._descriptor = descriptor
        self._bound = queue_lines
        self._lines: deque[bytes] = deque()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._thread: threading.Thread | None = None
        self._start_lock = threading.Lock()
        self._is_pipe = False
        self.dropped = 0
        self._reported = 0

    def write(self, line: bytes) -> None:
        """Queue one line, newline included; drops and counts it when the queue is full."""
        if len(self._lines) >= self._bound:
            self._drop(1)
            return
        self._lines.append(line)
        if not self._wake.is_set():
            if self._thread is None:
                self._start()
            self._idle.clear()
            self._wake.set()

    def flush(self, timeout_seconds: float = FLUSH_SECONDS) -> bool:
        """Wait until the queue is written; False when that took longer than the deadline."""
        return self._idle.wait(timeout_seconds)

    def _start(self) -> None:
        with self._start_lock:
            if self._thread is None:
                try:
                    self._is_pipe = stat.S_ISFIFO(os.fstat(self._descriptor).st_mode)
                except OSError:
                    self._is_pipe = False
                self._thread = threading.Thread(target=self._run, name="log-sink", daemon=True)
                self._thread.start()
                atexit.register(self._close)

    def _close(self) -> None:
        self._stop.set()
        self.flush()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            # Let a batch gather: one system call for many lines.
            self._stop.wait(BATCH_SECONDS)
            self._wake.clear()
            self._drain()
            if not self._lines:
                self._idle.set()

    def _drain(self) -> None:
        lines = self._lines
        while lines:
            if self._is_pipe:
                batch = self._atomic_batch()
            else:  # nothing to measure: 0.1 µs a line, in which no request is served, instead of 0.5
                batch = [lines.popleft() for _ in range(min(len(lines), BATCH_LINES))]
            if not self._write_all(b"".join(batch)):
                self._drop(len(batch))
            elif self.dropped > self._reported:
                count, self._reported = self.dropped - self._reported, self.dropped
                lines.appendleft(self._drop_report(count))

    def _atomic_batch(self) -> list[bytes]:
        """The next lines that fit into one atomic write, at least one."""
        lines = self._lines
        batch = [lines.popleft()]
        size = len(batch[0])
        while lines and (size := size + len(lines[0])) <= ATOMIC_BYTES:
            batch.append(lines.popleft())
        return batch

    def _drop(self, lines: int) -> None:
        self.dropped += lines
        LINES_DROPPED.inc(lines)

    def _write_all(self, data: bytes) -> bool:
        view = memoryview(data)
        try:
            while view:
                try:
                    view = view[os.write(self._descriptor, view) :]
                except BlockingIOError:
                    select.select([], [self._descriptor], [], 1.0)
        except OSError:
            return False
        return True

    @staticmethod
    def _drop_report(count: int) -> bytes:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + "Z"
        fields = {"timestamp": stamp, "level": "warning", "event": "log_lines_dropped", "count": count}
        return orjson.dumps({**fields, "service": service_name(), "pid": os.getpid()}) + b"\n"


_service = ["unknown"]


def set_service_name(name: str) -> None:
    """Say which service's name stands in the ``service`` field of lines made here."""
    _service[0] = name


def service_name() -> str:
    """The name set last."""
    return _service[0]


stdout_sink = LineSink(1)
