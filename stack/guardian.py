"""The process that cleans up when the stack cannot: a killed stack leaves nothing running.

`python -m stack.guardian` reads `+GROUP` and `-GROUP` lines, process groups that began and ended, from a pipe that
only the stack holds open. The pipe closes when the stack ends, however it ends; what is left then is terminated.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

PATIENCE_SECONDS = 5.0


class Guardian:
    """The stack's end of the pipe."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "stack.guardian"],
            cwd=Path(__file__).resolve().parent.parent,
            stdin=subprocess.PIPE,
            start_new_session=True,  # the terminal's Ctrl-C and hang-up are not for it
        )
        assert self._process.stdin is not None  # noqa: S101 - for the type checker: it is a pipe
        self._pipe = self._process.stdin

    def began(self, group: int) -> None:
        """From now on this process group ends with us."""
        self._tell(f"+{group}\n")

    def ended(self, group: int) -> None:
        """The group is gone, and its number may be used again by others."""
        self._tell(f"-{group}\n")

    def dismiss(self) -> None:
        """Lets the guardian end what is left, usually nothing, and waits for it."""
        with contextlib.suppress(BrokenPipeError):
            self._pipe.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._pipe.write(line.encode())
            self._pipe.flush()


def end_groups(groups: Iterable[int], patience_seconds: float) -> None:
    """Terminates process groups, and kills what is still there after `patience_seconds`."""
    left = {group for group in groups if signal_group(group, signal.SIGTERM)}
    deadline = time.monotonic() + patience_seconds
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = {group for group in left if signal_group(group, 0)}
    for group in left:
        signal_group(group, signal.SIGKILL)


def signal_group(group: int, signal_number: int) -> bool:
    """Sends a signal (0: none, just a look) to a process group; False when there is no such group of ours."""
    try:
        os.killpg(group, signal_number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def main() -> None:
    """Waits for the pipe to close, then ends what is left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # `pkill -f stack` and the like mean the stack; then the pipe closes
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    end_groups(groups, PATIENCE_SECONDS)


if __name__ == "__main__":
    main()
