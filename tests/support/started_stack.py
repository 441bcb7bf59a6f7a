"""A stack started as a person starts it, seen from outside: its output, its processes, its end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

from loadtests.free_ports import free_offset
from tests.support.wait import until

REPOSITORY = Path(__file__).resolve().parent.parent.parent
HIGHEST_OFFSET = 24_000  # below the ports that the kernel gives out by itself
HANG_UP_COUNTS = (
    sys.executable,
    "-c",
    "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_DFL); os.execvp(sys.argv[1], sys.argv[1:])",
)
"""Runs the command behind it. A stack that inherits a SIGHUP that is ignored, as from `nohup make test`, ignores it."""


class StartedStack:
    """A running command in a process group of its own, with its output collected."""

    def __init__(
        self, command: list[str], state_dir: Path, environment: dict[str, str], *, directory: Path = REPOSITORY
    ) -> None:
        inherited = {name: value for name, value in os.environ.items() if name in {"HOME", "LANG", "PATH", "TMPDIR"}}
        self.process = subprocess.Popen(
            [*(HANG_UP_COUNTS if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else ()), *command],
            cwd=directory,
            env={**inherited, "VAR_DIR": str(state_dir), "COMPILED": "off", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.state_dir = state_dir
        self._lines: list[str] = []
        self._seen: dict[int, psutil.Process] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        return "".join(self._lines)

    def until_running(self, timeout: float = 60) -> None:
        until(lambda: "is running" in self.output or self.process.poll() is not None, timeout=timeout)
        assert "is running" in self.output, self.output
        self.family()

    def family(self) -> list[psutil.Process]:
        """Every process that the stack has started so far and that still lives, Valkey's included."""
        mark = str(self.state_dir)
        for process in psutil.process_iter(["pid"]):
            try:
                related = process.environ().get("VAR_DIR") == mark or any(mark in word for word in process.cmdline())
            except psutil.Error:
                continue
            if related and process.pid != self.process.pid:
                self._seen[process.pid] = process
        return [process for process in self._seen.values() if lives(process)]

    def left_behind(self) -> list[psutil.Process]:
        """What still lives a moment after the end: an exiting process may need one to be gone."""
        deadline = time.monotonic() + 2
        while (left := self.family()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return left

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def interrupt_all(self) -> None:
        """What Ctrl-C does: the signal goes to the whole group of the terminal, not to the first process alone."""
        os.killpg(self.process.pid, signal.SIGINT)

    def exit_code(self, timeout: float = 30) -> int:
        """Waits for the end and for all output."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout} s, with {self.family()}:\n{self.output}") from None
        self._reader.join(5)
        return code

    def close(self) -> None:
        """Leaves nothing behind, whatever the test found."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(25)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for process in self.family():
            process.kill()
        self._reader.join(5)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.append(line)


def lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def free_port_offset() -> int:
    """An offset at which the four ports are free just now; every xdist worker has its own range."""
    worker = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or 0)
    start = 3_000 + worker * 500 + (os.getpid() % 40) * 10
    return free_offset(range(start, HIGHEST_OFFSET, 7))
