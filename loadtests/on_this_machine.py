"""`make load`: the whole system on this machine under the mix for a minute, from nothing to a verdict.

`python -m loadtests.on_this_machine` starts `python -m stack` on ports of its own, with limits raised and a state
folder of its own, puts 10,000 students in, runs Locust, and stops everything. The exit code is Locust's: 0 when every
SLO is met. Further arguments go to Locust: `make load ARGS="--users 200 --open-model Browsing"`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from loadtests.fill import NotFilled, fill, sign_in
from loadtests.free_ports import NoFreePorts, free_offset
from loadtests.load_run import NOT_MEASURED
from loadtests.run_options import help_text

REPOSITORY = Path(__file__).resolve().parent.parent
STATE = REPOSITORY / "var" / "load"
STUDENTS = 10_000
LIMITS = {
    "RATE_LIMIT_USER": "10000000/minute",
    "RATE_LIMIT_ANONYMOUS": "10000000/minute",
    "RATE_LIMIT_LOGIN": "1000000/minute",
}
DEFAULTS = {"--users": "50", "--spawn-rate": "25", "--run-time": "65s", "--warm-up": "5"}
OFFSETS = range(11_000, 20_000, 10)
START_SECONDS = 120.0
STOP_SECONDS = 30.0
WRONG_ARGUMENT = 2
END_WHEN_LEFT = "import os, signal, sys; sys.stdin.read(); os.kill(int(sys.argv[1]), signal.SIGTERM)"


class DidNotStart(Exception):
    """The system isn't there; the message ends with what it said."""


@contextmanager
def running_system(state: Path, environment: Mapping[str, str]) -> Iterator[int]:
    """A system with this environment and nothing in it; gives the port offset, and stops it at the end.

    Raises:
        DidNotStart: It ended, or wasn't ready in time. NoFreePorts: There is nowhere to start it.
    """
    shutil.rmtree(state, ignore_errors=True)
    offset = free_offset(OFFSETS)
    command = [sys.executable, "-m", "stack", "--port-offset", str(offset)]
    process = subprocess.Popen(  # noqa: S603 - our own command
        command,
        cwd=REPOSITORY,
        env={**os.environ, "VAR_DIR": str(state), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # Ctrl-C is ours; then we stop it
    )
    # The pipe closes when this process ends, in whatever way; then the system ends, too.
    watcher = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-c", END_WHEN_LEFT, str(process.pid)], stdin=subprocess.PIPE, start_new_session=True
    )
    said: list[str] = []
    is_running = threading.Event()
    reader = threading.Thread(target=_read, args=(process, said, is_running), daemon=True)
    reader.start()
    try:
        deadline = time.monotonic() + START_SECONDS
        while not is_running.wait(0.2):
            if process.poll() is not None or time.monotonic() > deadline:
                raise DidNotStart("The system didn't start. It said:\n" + "".join(said[-20:]))
        yield offset
    finally:
        watcher.kill()
        watcher.wait()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()  # its guardian ends the rest
                process.wait()
        reader.join(5)


def _read(process: subprocess.Popen[str], said: list[str], is_running: threading.Event) -> None:
    for line in process.stdout or ():
        said.append(line)
        del said[:-200]
        if "is running" in line:
            is_running.set()


def locust_command(offset: int, note: str, arguments: list[str]) -> list[str]:
    """Locust against the system at this offset; given arguments go before our defaults."""
    short = {"-u": "--users", "-r": "--spawn-rate", "-t": "--run-time"}
    given = {short.get(word, word).partition("=")[0] for word in arguments}
    defaults = [word for name, value in DEFAULTS.items() if name not in given for word in (name, value)]
    fixed = ["--headless", "--loglevel", "WARNING", "--note", note]
    where = ["--host", f"http://127.0.0.1:{8000 + offset}", "--direct-url", f"http://127.0.0.1:{8001 + offset}"]
    return [sys.executable, "-m", "locust", "-f", "loadtests", *fixed, *where, *defaults, *arguments]


def mistakes_in(command: list[str]) -> str:
    """What Locust doesn't understand of a command, found out before anything is started; empty when all is well."""
    done = subprocess.run(  # noqa: S603 - our own command
        [*command, "--show-task-ratio"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stderr.strip() or f"Locust ended with exit code {done.returncode}"


def main() -> int:
    """Start, fill, load, stop; returns Locust's exit code, 4 when it didn't come to that, 2 for a wrong argument."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__, "\n", help_text(), "\nand all of Locust's own: `locust --help`.", sep="")
        return 0
    if mistakes := mistakes_in(locust_command(0, "", sys.argv[1:])):
        print(mistakes, file=sys.stderr)
        return WRONG_ARGUMENT
    username = os.environ.get("BOOTSTRAP_ADMIN_USERNAME") or "admin"
    password = os.environ.get("BOOTSTRAP_ADMIN_PASSWORD") or "admin"
    os.environ.update({"LOCUST_ADMIN_USERNAME": username, "LOCUST_ADMIN_PASSWORD": password})
    is_postgres = os.environ.get("STUDENT_DATABASE_URL", "").startswith("postgres")
    facts = {
        "other services": "1 worker each",
        "database": "PostgreSQL" if is_postgres else "SQLite",
        "where": "same machine as the load generator",
    }
    note = ";".join(f"{name}={value}" for name, value in facts.items())
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, _leave)
    print("Starting the system with its limits raised ...", flush=True)
    try:
        with running_system(STATE, LIMITS) as offset:
            host = f"http://127.0.0.1:{8000 + offset}"
            seconds = fill(host, sign_in(host, username, password), STUDENTS)
            print(f"{STUDENTS:,} students imported in {seconds:.1f} s. Loading ...", flush=True)
            command = locust_command(offset, note, sys.argv[1:])
            code = subprocess.run(command, cwd=REPOSITORY, check=False).returncode  # noqa: S603 - our own command
            print("Stopping the system ...", flush=True)
    except (DidNotStart, NoFreePorts, NotFilled) as error:
        print(error, file=sys.stderr)
        return NOT_MEASURED
    except KeyboardInterrupt:
        return 130
    return code


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    """Stop everything on the way out, as after Ctrl-C."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
