"""Where the gateway's processor time goes: py-spy looks at it under load, a hundred times a second.

Samples count for the function of ours, or of Python, that was running or had called what was running: the event loop's
share holds most of what the kernel does (sockets), a function's its calls into C. Compiled functions are known by their
symbols; those of coroutines say whose they are, not which.
"""

from __future__ import annotations

import re
import subprocess
import sys
import venv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loadtests.compare.bed import Bed
from loadtests.compare.contenders import start_ours
from loadtests.compare.installing import Missing, run_installer
from loadtests.compare.processes import OTHER_CORE
from loadtests.compare.sessions import Sessions
from loadtests.compare.wrk import Load, measure

PY_SPY_VERSION = "0.4.3"
SAMPLES_A_SECOND = 100
SECONDS = 30
FUNCTIONS_SHOWN = 15
_PYTHON_FRAME = re.compile(r"([\w.<>]+) \(([\w./<>-]+\.py)(?::\d+)?\)")
_COMPILED_FRAME = re.compile(r"([\w.]+) \(((?:gateway|servicekit)[\w.]*)\.(?:cpython-\d+)[\w-]*\.so\)")
_COROUTINE = re.compile(r"__pyx_gb_\w*?\d+([A-Za-z_]+)_\d+generator\d*")  # of a class, or of a module

# The first part whose mark is in a function's file gets its time.
PARTS = (
    ("edge: read requests, write responses", ("gateway/edge/", "gateway/fields.py")),
    ("pipeline: order, errors, the record", ("gateway/middleware.py", "gateway/record.py")),
    ("path, route, token", ("gateway/paths.py", "gateway/route.py", "gateway/identify.py")),
    ("denylist and limit in Redis", ("gateway/admit.py", "gateway/redis_link.py", "gateway/rate_policy.py")),
    ("header fields, forwarding, relaying", ("gateway/headers.py", "gateway/forward.py")),
    ("upstream: choose, send, read the answer", ("gateway/upstream/",)),
    ("ids, trace, client address", ("servicekit/request_context.py", "servicekit/addresses.py")),
    ("log line", ("gateway/access_log.py", "servicekit/log_line.py", "servicekit/log_sink.py")),
    ("metrics", ("gateway/gateway_metrics.py", "servicekit/http_metrics.py", "prometheus_client/")),
    ("event loop, sockets, the kernel", ("asyncio/", "uvloop", "uvicorn")),
)


def take_profile(bed: Bed, sessions: Sessions) -> dict[str, Any]:
    """Load the gateway and look at it.

    Raises:
        Missing: py-spy can't be had, or isn't allowed to look.
    """
    program = _install(bed.work)
    gateway = start_ours(bed, sessions)
    assert gateway.child is not None  # noqa: S101 - ours is a process
    load = Load(token=gateway.token)
    measure(gateway.port, load, 2)
    used = gateway.child.cpu_seconds()
    undisturbed = measure(gateway.port, load, 5)
    microseconds = (gateway.child.cpu_seconds() - used) / undisturbed.requests * 1e6
    output = bed.work / "profile.txt"
    command = [
        *("taskset", "-c", OTHER_CORE, str(program), "record", "--pid", str(gateway.child.process.pid)),
        *("--rate", str(SAMPLES_A_SECOND), "--duration", str(SECONDS), "--format", "raw", "--output", str(output)),
        "--native",  # compiled functions, too; the process is stopped for a moment at each look
    ]
    spy = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)  # noqa: S603 - above
    measure(gateway.port, load, SECONDS + 3)
    _, complaint = spy.communicate(timeout=60)
    bed.children.stop(gateway.child)
    if spy.returncode != 0:
        raise Missing(f"py-spy failed: {complaint.strip()[-300:]}")
    return summarise(output.read_text(encoding="utf-8", errors="replace"), microseconds)


def summarise(stacks: str, microseconds: float) -> dict[str, Any]:
    """Shares of the request's ``microseconds``, by part and by function, from py-spy's lines of "stack count"."""
    parts: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for frames, count in _lines(stacks):
        function, file = _innermost(frames)
        part = next((name for name, marks in PARTS if any(mark in file for mark in marks)), "everything else")
        parts[part] += count
        functions[f"{function} ({_short(file)})"] += count
    total = sum(parts.values())
    return {
        "microseconds": microseconds,
        "samples": total,
        "parts": [[name, count / total * microseconds] for name, count in parts.most_common()],
        "functions": [[name, count / total * microseconds] for name, count in functions.most_common(FUNCTIONS_SHOWN)],
    }


def profile_table(profile: dict[str, Any], what: str) -> list[list[str]]:
    """A row for each part, or function, under a row of headings."""
    total = profile["microseconds"]
    rows = [[name, f"{value:.1f}", f"{value / total:.0%}"] for name, value in profile[what]]
    return [[what[:-1], "µs", "share"], *rows]


def _lines(stacks: str) -> Iterator[tuple[list[str], int]]:
    for line in stacks.splitlines():
        stack, _, count = line.rpartition(" ")
        if "threading.py" in stack and "_drain" not in stack:
            continue  # the log's thread, waiting
        if count.isdigit():
            yield stack.split(";"), int(count)


def _innermost(frames: list[str]) -> tuple[str, str]:
    """The function, and the file of its source, that a sample counts for."""
    file = ""
    for frame in reversed(frames):
        if match := _PYTHON_FRAME.fullmatch(frame):
            return (match[1], match[2]) if not file else (f"what Cython adds to {file}", file)
        if match := _COMPILED_FRAME.fullmatch(frame):
            file = file or match[2].replace(".", "/") + ".py"
            symbol = match[1].partition(".")[0]
            if coroutine := _COROUTINE.fullmatch(symbol):
                return f"a coroutine of {coroutine[1]}", file
            if not symbol.startswith("__"):
                return symbol, file
    return "?", file


def _short(file: str) -> str:
    return file.rpartition("site-packages/")[2]


def _install(folder: Path) -> Path:
    environment = folder / "py-spy-venv"
    program = environment / "bin" / "py-spy"
    if not program.exists():
        print("  installing py-spy (PyPI) ...", flush=True)
        venv.create(environment, with_pip=False)
        pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", environment / "bin" / "python"]
        run_installer([*pip, "install", "-q", f"py-spy=={PY_SPY_VERSION}"])
    return program
