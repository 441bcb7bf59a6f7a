"""The processes' lines in `var/log/NAME.jsonl`.

A process writes its stdout straight into its file, so that logging costs nothing on the way and goes on whatever
happens to us; we read the file's new lines to show some of them. What a process writes to stderr (tracebacks before
its logging is set up, mostly) is no JSON: it goes into the same file wrapped in an object, one for each line.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

ROTATE_AT_BYTES = 20 * 1024 * 1024
SHOWN_PER_LOOK = 10
KEPT_LINES = 12
_LOOK_SECONDS = 0.25
_CHUNK_BYTES = 1024 * 1024
_NOTEWORTHY = re.compile(rb'"level": ?"(?:warning|error|critical)"')


class LogFile:
    """One process's file, open for appending, and the last lines that went into it."""

    def __init__(self, path: Path, service: str, show: Callable[[bytes], None], *, show_all: bool = False) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_size > ROTATE_AT_BYTES:
                path.replace(path.with_name(path.name + ".1"))
        self.path = path
        self.file = path.open("ab")
        self.last_lines: deque[bytes] = deque(maxlen=KEPT_LINES)
        self._service = service
        self._show = show
        self._show_all = show_all
        self._reader = path.open("rb")
        self._reader.seek(0, 2)
        self._unfinished = b""

    def close(self) -> None:
        """Closes our ends; the process has its own."""
        self.file.close()
        self._reader.close()

    async def follow(self) -> None:
        """Shows what is worth a look as it is written, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(_LOOK_SECONDS)

    def look(self) -> None:
        """Reads what was written since the last look, and shows what is worth it."""
        noteworthy: list[bytes] = []
        while chunk := self._reader.read(_CHUNK_BYTES):
            finished, _, self._unfinished = (self._unfinished + chunk).rpartition(b"\n")
            self.last_lines.extend(line for line in finished.rsplit(b"\n", KEPT_LINES)[-KEPT_LINES:] if line)
            if self._show_all:
                noteworthy.extend(finished.split(b"\n"))
            elif _NOTEWORTHY.search(finished):  # one pass over it all: most looks end here
                noteworthy.extend(line for line in finished.split(b"\n") if _NOTEWORTHY.search(line))
        shown = noteworthy if self._show_all else noteworthy[:SHOWN_PER_LOOK]
        for line in shown:
            self._show(line)
        if len(noteworthy) > len(shown):
            self._show(f"... and {len(noteworthy) - len(shown)} more such lines in {self.path}".encode())

    async def take(self, stderr: asyncio.StreamReader) -> None:
        """Wraps a process's stderr into the file until it closes."""
        unfinished = b""
        while chunk := await stderr.read(_CHUNK_BYTES):
            *lines, unfinished = (unfinished + chunk).split(b"\n")
            self._wrap(lines)
        self._wrap([unfinished])

    def _wrap(self, lines: list[bytes]) -> None:
        for line in lines:
            if text := line.decode(errors="replace").rstrip():
                record = {
                    "timestamp": datetime.now(UTC).isoformat(),
                    "level": "error",
                    "event": "stderr",
                    "service": self._service,
                    "line": text,
                }
                self.file.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
                self.file.flush()
