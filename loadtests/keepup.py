"""Does student_service keep up? `python -m loadtests.keepup [--seconds 4] [--rounds 5]`

List and detail of student_service beside the same endpoints in FastAPI, SQLAlchemy's async ORM and response_model
(`loadtests/compare/orm_baseline.py`): 10,000 students in copies of one SQLite file, one worker each on core 0, wrk on
core 1, in turns. The verdict is the median over the rounds of the ratio within a round; the exit code is 1 below the
target. And a sign-in beside its argon2 hash computed alone, in turns: what of it isn't argon2?
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from argon2 import PasswordHasher

from loadtests.about_machine import describe_machine
from loadtests.compare.processes import GATEWAY_CORE, OTHER_CORE, Child, Children, DidNotStart, free_port
from loadtests.compare.wrk import Load, MeasurementFailed, Result, measure
from loadtests.fill import NotFilled, fill, sign_in
from loadtests.plain_client import ask

REPOSITORY = Path(__file__).resolve().parent.parent
STATE = REPOSITORY / "var" / "keepup"
STUDENTS = 10_000
TARGET = 2.0
CONNECTIONS = 32
WARM_UP_SECONDS = 1.0
SIGN_INS = 60


@dataclass(frozen=True)
class Pair:
    """Both services, and a student that both have."""

    ours: int
    baseline: int
    auth: Child
    token: str
    student_id: str


def start(children: Children) -> Pair:
    """auth_service, student_service with students, and the baseline on a copy of its database."""
    auth_port, ours, baseline = free_port(), free_port(), free_port()
    url = f"http://127.0.0.1:{auth_port}"
    shared = {"VAR_DIR": str(STATE), "AUTH_SERVICE_URL": url, "LOG_FORMAT": "json", "RATE_LIMIT_LOGIN": "100000/minute"}
    program = [sys.executable, "-m"]
    auth = children.start(
        "auth_service",
        [*program, "auth_service"],
        cores=OTHER_CORE,
        port=auth_port,
        environment={**shared, "PORT": str(auth_port), "ACCESS_TOKEN_TTL": "7200"},
        directory=REPOSITORY,
    )
    children.start(
        "student_service",
        [*program, "student_service"],
        cores=GATEWAY_CORE,
        port=ours,
        environment={**shared, "PORT": str(ours), "WORKERS": "1"},
        directory=REPOSITORY,
    )
    token = sign_in(url, "admin", "admin")
    fill(f"http://127.0.0.1:{ours}", token, STUDENTS)
    with sqlite3.connect(STATE / "students.db") as source, sqlite3.connect(STATE / "copy.db") as copy:
        source.backup(copy)
        copy.execute("ANALYZE")
    children.start(
        "orm_baseline",
        [*program, "loadtests.compare.orm_baseline"],
        cores=GATEWAY_CORE,
        port=baseline,
        environment={
            "PORT": str(baseline),
            "DATABASE": str(STATE / "copy.db"),
            "JWKS_URL": f"{url}/.well-known/jwks.json",
        },
        directory=REPOSITORY,
    )
    first = ask("GET", f"http://127.0.0.1:{ours}/students/?limit=1", token=token).json()["items"][0]
    return Pair(ours, baseline, auth, token, first["id"])


def same_answers(pair: Pair, path: str) -> None:
    """Both must answer with the same students, or the comparison is worth nothing.

    Raises:
        MeasurementFailed: They don't.
    """
    answers = [
        ask("GET", f"http://127.0.0.1:{port}{path}", token=pair.token).json() for port in (pair.ours, pair.baseline)
    ]
    for answer in answers:
        answer.pop("next_cursor", None)
    if answers[0] != answers[1]:
        raise MeasurementFailed(f"the two services answer {path} differently")


def compare(pair: Pair, name: str, path: str, rounds: int, seconds: float) -> dict[str, object]:
    """Requests a second of both in turns, and the median of the ratios."""
    same_answers(pair, path)
    load = Load(path=path, token=pair.token, connections=CONNECTIONS)
    for port in (pair.ours, pair.baseline):
        measure(port, load, WARM_UP_SECONDS)
    ours: list[Result] = []
    baseline: list[Result] = []
    for number in range(rounds):
        order = [(pair.ours, ours), (pair.baseline, baseline)]
        for port, results in order if number % 2 == 0 else reversed(order):
            results.append(measure(port, load, seconds))
    ratios = [a.requests_per_second / b.requests_per_second for a, b in zip(ours, baseline, strict=True)]
    found = {
        "endpoint": name,
        "ours": statistics.median(each.requests_per_second for each in ours),
        "ours_p99_ms": statistics.median(each.p99 for each in ours),
        "baseline": statistics.median(each.requests_per_second for each in baseline),
        "baseline_p99_ms": statistics.median(each.p99 for each in baseline),
        "ratio": statistics.median(ratios),
        "ratios": ratios,
    }
    print(
        f"{name:<8} ours {found['ours']:>8,.0f}/s (p99 {found['ours_p99_ms']:.1f} ms)   async ORM "
        f"{found['baseline']:>7,.0f}/s (p99 {found['baseline_p99_ms']:.1f} ms)   ratio {found['ratio']:.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f})",
        flush=True,
    )
    return found


def sign_in_share(pair: Pair, rounds: int) -> dict[str, object]:
    """What of a sign-in is its hash: the median times of both, one at a time, and the processor's time, in ms."""
    hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)  # auth_service's parameters
    stored = hasher.hash("admin")
    whole, alone = [], []
    used_by_service, used_by_hash = -pair.auth.cpu_seconds(), 0.0
    for _ in range(rounds):
        began = time.perf_counter()
        sign_in(f"http://127.0.0.1:{pair.auth.port}", "admin", "admin")
        answered, used = time.perf_counter(), time.thread_time()
        hasher.verify(stored, "admin")
        used_by_hash += time.thread_time() - used
        alone.append((time.perf_counter() - answered) * 1000)
        whole.append((answered - began) * 1000)
    used_by_service += pair.auth.cpu_seconds()
    login_ms, argon2_ms, share = statistics.median(whole), statistics.median(alone), used_by_hash / used_by_service
    print(f"sign-in  {login_ms:.1f} ms, argon2 alone {argon2_ms:.1f} ms ({argon2_ms / login_ms:.0%} of it)", flush=True)
    print(f"         argon2 is {share:.0%} of the processor time that auth_service spends on it", flush=True)
    return {"login_ms": login_ms, "argon2_ms": argon2_ms, "argon2_share_of_cpu": share}


def main() -> int:
    """Measure, print, write var/keepup.json."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.keepup")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    shutil.rmtree(STATE, ignore_errors=True)
    STATE.mkdir(parents=True)
    try:
        with Children(STATE) as children:
            pair = start(children)
            results = [
                compare(pair, name, path, arguments.rounds, arguments.seconds)
                for name, path in (("list", "/students/?limit=20"), ("detail", f"/students/{pair.student_id}"))
            ]
            signing_in = sign_in_share(pair, SIGN_INS)
    except (DidNotStart, MeasurementFailed, NotFilled) as error:
        print(error, file=sys.stderr)
        return 2
    report = {"machine": describe_machine(), "target": TARGET, "results": results, "sign_in": signing_in}
    (REPOSITORY / "var" / "keepup.json").write_text(json.dumps(report, indent=1))
    missed = [each["endpoint"] for each in results if float(str(each["ratio"])) < TARGET]
    print(f"Below {TARGET:g} times: {', '.join(map(str, missed))}." if missed else f"At least {TARGET:g} times each.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
