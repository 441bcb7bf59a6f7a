"""Child processes on chosen cores, waited for until they answer, and all ended at the end."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

GATEWAY_CORE = "0"
OTHER_CORE = "1"
START_SECONDS = 60.0
STOP_SECONDS = 10.0


class DidNotStart(RuntimeError):
    """A process ended, or didn't listen in time; the message ends with what it printed."""


@dataclass
class Child:
    """A running process and the file its output goes to."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    output: Path

    def family(self) -> list[int]:
        """The ids of this process and its children (workers)."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [self.process.pid, *map(int, children.split())]

    def cpu_seconds(self) -> float:
        """The processor time that it and its workers have used so far."""
        ticks = 0
        for process in self.family():
            # proc(5): utime and stime are the 14th and 15th fields; the 2nd is a name that may hold spaces.
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self) -> int:
        """The memory that it and its workers have in RAM, pages that they share counted for each."""
        pages = (Path(f"/proc/{process}/statm").read_text().split()[1] for process in self.family())
        return sum(map(int, pages)) * os.sysconf("SC_PAGE_SIZE")

    def stop(self) -> None:
        """End it, in the hard way if need be; a second call does nothing."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@dataclass
class Children:
    """Starts processes, and ends all of them, the last one first."""

    folder: Path
    _started: list[Child] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in reversed(self._started):
            child.stop()

    def start(
        self,
        name: str,
        command: Sequence[object],
        *,
        cores: str,
        port: int,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> Child:
        """Start ``command`` on ``cores`` (as `taskset -c` writes them); returns when ``port`` is listened on.

        Raises:
            DidNotStart: It never was.
        """
        output = self.folder / f"{name}.log"
        output.unlink(missing_ok=True)
        with output.open("ab") as file:
            process = subprocess.Popen(  # noqa: S603 - the commands are this package's own
                ["taskset", "-c", cores, *map(str, command)],  # noqa: S607 - where taskset is, is the system's matter
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                cwd=directory,
            )
        child = Child(name, process, port, output)
        self._started.append(child)
        deadline = time.monotonic() + START_SECONDS
        while not is_listening(port):
            if process.poll() is not None or time.monotonic() > deadline:
                child.stop()
                last_words = output.read_text(errors="replace")[-800:].strip()
                raise DidNotStart(f"{name} doesn't listen on port {port}: {last_words}")
            time.sleep(0.05)
        return child

    def stop(self, child: Child) -> None:
        """End one of them before the others."""
        child.stop()
        self._started.remove(child)


def is_listening(port: int) -> bool:
    """Whether a connection to this port of the loopback address succeeds."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
