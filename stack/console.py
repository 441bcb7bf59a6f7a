"""What the person in front of the terminal sees: progress, and the services' warnings in a compact form."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import Any

from stack.layout import Layout

MAX_LINE = 300
_TAKEN_ELSEWHERE = {"timestamp", "level", "event", "service", "exception", "stack", "trace_id"}


def say(text: str = "") -> None:
    """Prints; a terminal or pipe that is gone is no reason to stop."""
    with contextlib.suppress(OSError, ValueError):
        print(text, flush=True)


def complain(text: str) -> None:
    """Prints on stderr."""
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)


def readable(service: str, line: bytes) -> str:
    """A log line as a person reads it: one line of time, level, event and fields, harmless to a terminal."""
    text = line.decode(errors="replace").rstrip()
    try:
        record = json.loads(text)
    except ValueError:
        record = None
    if isinstance(record, dict):
        text = _sentence(record)
    printable = "".join(char if char.isprintable() else " " for char in text)
    shortened = printable if len(printable) <= MAX_LINE else printable[: MAX_LINE - 1] + "…"
    return f"{service:<15} {shortened}"


def _sentence(record: dict[str, Any]) -> str:
    if record.get("event") == "stderr":  # wrapped by log_files
        return str(record.get("line", ""))
    fields = " ".join(f"{key}={value}" for key, value in record.items() if key not in _TAKEN_ELSEWHERE)
    time = str(record.get("timestamp", ""))[11:19]
    parts = [time, f"{record.get('level', ''):<8}", str(record.get("event", "")), fields, _last_line(record)]
    return " ".join(part for part in parts if part)


def _last_line(record: dict[str, Any]) -> str:
    """The last line of a traceback, which says what was raised."""
    lines = str(record.get("exception") or "").strip().splitlines()
    return lines[-1] if lines else ""


def banner(layout: Layout) -> str:
    """What a newcomer needs: where it is, how to sign in, where the logs are, how to stop."""
    gateway = layout.url("gateway")
    return f"""
Matricula is running.

  Admin pages   {gateway}/admin/
  API           {gateway}/   described at {gateway}/docs
  Sign in       {layout.sign_in}
  Logs          {layout.state_dir / "log"}   (warnings and errors also appear here)
  Stop          Ctrl-C
"""
