"""Small jobs that repeat in a thread of their own while the process runs."""

from __future__ import annotations

import threading
from collections.abc import Callable

from servicekit.logs import get_logger

log = get_logger()
STOP_SECONDS = 5.0


class Repeated:
    """Runs ``job`` every ``interval_seconds``. A failure is logged once, not at each turn, and never ends it."""

    def __init__(self, name: str, job: Callable[[], object], interval_seconds: float) -> None:
        self._name = name
        self._job = job
        self._interval = interval_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._failing = False

    def start(self) -> None:
        """Run it for the first time now."""
        self._thread.start()

    def stop(self) -> None:
        """Let the current turn end, and wait for that."""
        self._stopping.set()
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._job()
            except Exception as error:  # its causes (Redis away, database locked) pass; the next turn tries again
                if not self._failing:
                    log.warning("background_job_failing", job=self._name, exc_info=error)
                self._failing = True
            else:
                if self._failing:
                    log.info("background_job_recovered", job=self._name)
                self._failing = False
            self._stopping.wait(self._interval)
