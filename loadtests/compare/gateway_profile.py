"""Where the gateway's processor time goes: Linux's perf looks at it under load, several hundred times a second.

A look counts for the kernel if it was running; else for the compiled function, or the event loop, that was running or
had called what was (Python's own C code, the C library, orjson). Of coroutines it is known whose they are, not which.
"""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from loadtests.compare.bed import Bed
from loadtests.compare.contenders import start_ours
from loadtests.compare.installing import Missing, find_program
from loadtests.compare.processes import OTHER_CORE
from loadtests.compare.sessions import Sessions
from loadtests.compare.wrk import Load, measure

LOOKS_A_SECOND = 500
SECONDS = 10
FUNCTIONS_SHOWN = 15
KERNEL = "the kernel: sockets, waiting"
EVENT_LOOP = "the event loop: uvloop, asyncio"
ELSE = "everything else"
_FRAME = re.compile(r"\s+[0-9a-f]+ (.+) \((.+)\)")
_COMPILED = re.compile(r".*/((?:gateway|servicekit)[\w.]*)\.cpython-\d+[\w-]*\.so")
_MANGLED = re.compile(r"__pyx_(?:pw|pf|gb|f)_(.+)")

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
    ("metrics", ("gateway/gateway_metrics.py",)),
)


def take_profile(bed: Bed, sessions: Sessions) -> dict[str, Any]:
    """Load the gateway and look at it.

    Raises:
        Missing: perf can't be had, or isn't allowed to look.
    """
    perf = find_program("perf")
    gateway = start_ours(bed, sessions)
    assert gateway.child is not None  # noqa: S101 - ours is a process
    load = Load(token=gateway.token)
    measure(gateway.port, load, 2)
    used = gateway.child.cpu_seconds()
    undisturbed = measure(gateway.port, load, 5)
    microseconds = (gateway.child.cpu_seconds() - used) / undisturbed.requests * 1e6
    data = bed.work / "perf.data"
    command = [
        *("taskset", "-c", OTHER_CORE, str(perf), "record", "-q", "-p", str(gateway.child.process.pid)),
        # By the clock: virtual machines have no counters of the processor. Stacks are unwound by what each file tells
        # of its functions, for Python and Cython keep no frame pointers.
        *("-e", "cpu-clock", "-F", str(LOOKS_A_SECOND), "--call-graph", "dwarf,16384", "-o", str(data)),
        *("--", "sleep", str(SECONDS)),
    ]
    look = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)  # noqa: S603 - above
    measure(gateway.port, load, SECONDS + 3)
    _, complaint = look.communicate(timeout=60)
    bed.children.stop(gateway.child)
    if look.returncode != 0:
        raise Missing(f"perf failed: {complaint.strip()[-300:]}")
    script = [str(perf), "script", "-i", str(data), "-F", "ip,sym,dso"]
    told = subprocess.run(script, capture_output=True, text=True, errors="replace", timeout=300, check=True)  # noqa: S603 - above
    data.unlink()
    return summarise(told.stdout, microseconds)


def summarise(told: str, microseconds: float) -> dict[str, Any]:
    """Shares of the request's ``microseconds``, by part and by function, from what `perf script` tells."""
    parts: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for frames in _looks(told.splitlines()):
        part, function = _owner(frames)
        parts[part] += 1
        functions[function] += 1
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


def _looks(lines: Iterable[str]) -> Iterator[list[tuple[str, str]]]:
    """Each look's frames, the innermost first: a symbol, and the file that it is in."""
    frames: list[tuple[str, str]] = []
    for line in lines:
        if match := _FRAME.fullmatch(line):
            frames.append((match[1].removesuffix(" (inlined)"), match[2]))
        elif frames:
            yield frames
            frames = []
    if frames:
        yield frames


def _owner(frames: list[tuple[str, str]]) -> tuple[str, str]:
    """The part and the function that a look counts for."""
    if frames[0][1].startswith("[kernel"):
        return KERNEL, KERNEL
    source = ""
    for symbol, file in frames:
        if match := _COMPILED.fullmatch(file):
            source = source or match[1].replace(".", "/") + ".py"
            if function := _readable(symbol):
                return _part(source), f"{function} ({source})"
        elif source:
            break
        elif "/uvloop/" in file or "/_asyncio." in file:
            return EVENT_LOOP, EVENT_LOOP
    return (_part(source), f"what Cython adds ({source})") if source else (ELSE, ELSE)


def _part(source: str) -> str:
    return next((name for name, marks in PARTS if any(mark in source for mark in marks)), ELSE)


def _readable(symbol: str) -> str | None:
    """A compiled function's own name, behind its class's; None for those that Cython adds.

    Cython writes `gateway.fields.read_field` as `7gateway_6fields_3read_field`: each scope behind its length, the
    function behind a number.
    """
    mangled = _MANGLED.match(symbol.partition(".")[0])
    if mangled is None:
        return None
    scopes: list[str] = []
    rest = mangled[1]
    while length := re.match(r"_?(\d+)(?=\D)", rest):
        end = length.end() + int(length[1])
        if rest[end : end + 1] != "_":
            break
        scopes.append(rest[length.end() : end])
        rest = rest[end:]
    name = re.sub(r"^_\d*", "", rest)
    if name.startswith("generator"):
        return f"a coroutine of {scopes[-1]}"
    return f"{scopes[-1]}.{name}" if scopes[-1][:1].isupper() else name
