"""Where the system bends: `python -m loadtests.knees --workers 2 --database postgresql`, two minutes each.

For the gateway alone, list, detail, create and sign-in: wrk with 1, 2, 4 … connections; the knee is the fewest that
reach 95 % of the highest rate. Beside it the processes that used most CPU there, which tell what the limit is. All of
it, wrk too, shares this machine's cores, as the report says. It needs wrk, nginx for the gateway alone, and a
PostgreSQL's programs for `--database postgresql`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from loadtests.about_machine import describe_machine
from loadtests.compare.bed import render, student_page
from loadtests.compare.installing import Missing, find_program
from loadtests.compare.processes import Children, DidNotStart, free_port
from loadtests.fill import NotFilled, fill, sign_in
from loadtests.own_postgres import FOLDER_PREFIX, own_postgres, settle
from loadtests.plain_client import ask

REPOSITORY = Path(__file__).resolve().parent.parent
SCRIPT = Path(__file__).with_suffix(".lua")
STATE = REPOSITORY / "var" / "knees"
CONNECTIONS = (1, 2, 4, 8, 16, 32)
NEAR_THE_TOP = 0.95
STUDENTS = 10_000
ALL_CORES = f"0-{(psutil.cpu_count() or 1) - 1}"
HUGE_RATE = "100000000/minute"
SHOWN_PROCESSES = 3


class Refused(Exception):
    """The system answered with something other than success."""


@dataclass(frozen=True)
class Step:
    """One number of connections."""

    connections: int
    rate: float
    p50_ms: float
    p99_ms: float
    cpu: dict[str, float]
    """Process → percent of one core, the workers of a service together."""


@dataclass(frozen=True)
class Target:
    """What is asked."""

    name: str
    url: str
    words: tuple[str, ...]
    """For the script."""
    token: str | None


@dataclass(frozen=True)
class System:
    """Ports of what runs."""

    gateway: int
    gateway_alone: int
    auth: int
    databases: dict[str, str]
    """PostgreSQL's URLs; none with SQLite."""


@contextmanager
def running(workers: int, database: str) -> Iterator[System]:
    """auth_service, student_service and the gateway, and a gateway whose upstream is nginx with one 6 KB answer."""
    shutil.rmtree(STATE, ignore_errors=True)
    (STATE / "documents").mkdir(parents=True)
    (STATE / "documents" / "students.json").write_bytes(student_page())
    auth, students, gateway, upstream, alone = (free_port() for _ in range(5))
    shared = {
        "VAR_DIR": str(STATE),
        "AUTH_SERVICE_URL": f"http://127.0.0.1:{auth}",
        "STUDENT_SERVICE_URL": f"http://127.0.0.1:{students}",
        "LOG_FORMAT": "json",
        "WORKERS": str(workers),
        **dict.fromkeys(("RATE_LIMIT_LOGIN", "RATE_LIMIT_USER", "RATE_LIMIT_ANONYMOUS"), HUGE_RATE),
    }
    with own_postgres(wanted=database == "postgresql") as urls, Children(STATE) as children:
        plan: tuple[tuple[str, int, dict[str, str]], ...] = (
            ("auth_service", auth, {"AUTH_DATABASE_URL": urls["auth"]} if urls else {}),
            ("student_service", students, {"STUDENT_DATABASE_URL": urls["students"]} if urls else {}),
            ("gateway", gateway, {}),
        )
        for name, port, own in plan:
            environment = {**shared, **own, "PORT": str(port)}
            command = [sys.executable, "-m", name]
            children.start(name, command, cores=ALL_CORES, port=port, environment=environment, directory=REPOSITORY)
        render("upstream.conf", STATE / "upstream.conf", folder=STATE, port=upstream)
        nginx = [find_program("nginx"), "-e", STATE / "upstream-error.log", "-c", STATE / "upstream.conf"]
        children.start("nginx", nginx, cores=ALL_CORES, port=upstream)
        children.start(
            "gateway-alone",
            [sys.executable, "-m", "gateway"],
            cores=ALL_CORES,
            port=alone,
            environment={**shared, "PORT": str(alone), "STUDENT_SERVICE_URL": f"http://127.0.0.1:{upstream}"},
            directory=REPOSITORY,
        )
        yield System(gateway, alone, auth, urls)


def targets(system: System, run: str) -> list[Target]:
    """What is measured, in order."""
    base = f"http://127.0.0.1:{system.gateway}"
    token = sign_in(base, "admin", "admin")
    fill(base, token, STUDENTS)
    settle(system.databases)
    student = ask("GET", f"{base}/students/?limit=1", token=token).json()["items"][0]["id"]
    return [
        Target("gateway alone", f"http://127.0.0.1:{system.gateway_alone}/students/", ("get",), token),
        Target("list", f"{base}/students/?limit=20", ("get",), token),
        Target("detail", f"{base}/students/{student}", ("get",), token),
        Target("create", f"{base}/students/", ("create", run), token),
        Target("sign-in", f"{base}/auth/login", ("login", "admin", "admin"), None),
    ]


def measure(target: Target, connections: int, seconds: int) -> Step:
    """One step.

    Raises:
        Refused: Some answers weren't successes. RuntimeError: wrk fails.
    """
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(SCRIPT)]
    if target.token:
        command += ["-H", f"Authorization: Bearer {target.token}"]
    before = cpu_seconds()
    began = time.monotonic()
    done = subprocess.run(  # noqa: S603 - our own command
        [*command, target.url, "--", *target.words], capture_output=True, text=True, timeout=seconds + 30, check=False
    )
    took = time.monotonic() - began
    after = cpu_seconds()
    line = next((line for line in done.stdout.splitlines() if line.startswith("{")), None)
    if line is None:
        raise RuntimeError(f"wrk failed on {target.name}: {(done.stderr or done.stdout).strip()[-300:]}")
    found = json.loads(line)
    if found["failed"]:
        raise Refused(f"{found['failed']} of {found['requests']} requests to {target.name} failed")
    cpu = {name: (after[name] - before.get(name, 0.0)) / took * 100 for name in after}
    busy = dict(sorted(cpu.items(), key=lambda item: -item[1])[:SHOWN_PROCESSES])
    rate = found["requests"] / (found["microseconds"] / 1e6)
    return Step(connections, round(rate, 1), found["p50"] / 1000, found["p99"] / 1000, busy)


def cpu_seconds() -> dict[str, float]:
    """CPU time so far by kind of process, of everything that this run has started."""
    found: dict[str, float] = {}
    for process in psutil.process_iter():
        try:
            kind = _kind(process)
            if kind:
                times = process.cpu_times()
                found[kind] = found.get(kind, 0.0) + times.user + times.system
        except psutil.Error:
            continue
    # wrk is gone when its time is asked for; the children that were waited for are counted in ours.
    own = psutil.Process().cpu_times()
    found["wrk"] = own.children_user + own.children_system
    return found


def _kind(process: psutil.Process) -> str | None:
    words = process.cmdline()
    line = " ".join(words)
    if process.name().startswith(("valkey", "redis")) and str(STATE) in line:
        return "valkey"
    if "postgres" in process.name():  # those of this run: its server was started with a folder of ours
        parent = process.parent()
        lines = (line, " ".join(parent.cmdline()) if parent is not None else "")
        return "postgres" if any(FOLDER_PREFIX in each for each in lines) else None
    if process.environ().get("VAR_DIR") != str(STATE):
        return None
    for name in ("auth_service", "student_service", "gateway"):
        if name in words:
            return name
    parent = process.parent()
    return _kind(parent) if parent is not None else None


def climb(target: Target, seconds: int) -> list[Step]:
    """Step by step, until the system sends people away: what it does then is no capacity."""
    steps = []
    for connections in CONNECTIONS:
        try:
            steps.append(measure(target, connections, seconds))
        except Refused as refused:
            print(f"  {refused} at {connections} connections", flush=True)
            break
    return steps


def knee(steps: list[Step]) -> Step:
    """The fewest connections that come near the highest rate."""
    highest = max(step.rate for step in steps)
    return next(step for step in steps if step.rate >= NEAR_THE_TOP * highest)


def knees_of(workers: int, database: str, seconds: int) -> dict[str, Any]:
    """Every target's knee and steps by its name, printed as they are found."""
    results: dict[str, Any] = {}
    with running(workers, database) as system:
        for target in targets(system, f"{database}{workers}"):
            measure(target, 1, 1)
            steps = climb(target, seconds)
            best = knee(steps)
            busy = ", ".join(f"{name} {percent:.0f} %" for name, percent in best.cpu.items())
            print(
                f"{target.name:<14} knee at {best.connections:>2} connections: {best.rate:>8,.0f}/s "
                f"p50 {best.p50_ms:.1f} ms p99 {best.p99_ms:.1f} ms  ({busy})",
                flush=True,
            )
            results[target.name] = {"knee": asdict(best), "steps": [asdict(step) for step in steps]}
    return results


def main() -> int:
    """Measure one configuration; print, and write var/knees-DATABASE-WORKERS.json."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.knees", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=1, help="of each service (default: 1)")
    parser.add_argument(
        "--database",
        choices=("sqlite", "postgresql"),
        default="sqlite",
        help="sqlite (default), or a PostgreSQL of its own, started for this and removed again",
    )
    parser.add_argument(
        "--seconds",
        type=int,
        default=3,
        help=f"for each of {', '.join(map(str, CONNECTIONS))} connections to each of five targets (default: 3)",
    )
    arguments = parser.parse_args()
    try:
        find_program("wrk")
        results = knees_of(arguments.workers, arguments.database, arguments.seconds)
    except (Missing, FileNotFoundError, DidNotStart, NotFilled) as error:
        print(error, file=sys.stderr)
        return 2
    report = {
        "machine": describe_machine(),
        "workers": arguments.workers,
        "database": arguments.database,
        "results": results,
    }
    path = REPOSITORY / "var" / f"knees-{arguments.database}-{arguments.workers}.json"
    path.write_text(json.dumps(report, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
