"""The Valkey that development uses when REDIS_URL is not set: one server per state directory, shared by its users.

Any process that calls `ensure_embedded_valkey` holds the server until it ends, however it ends: a hold is a shared
lock that the kernel drops with the process. The first to come starts a supervisor, `python -m
servicekit.embedded_valkey STATE_DIR`, which runs the server, starts it anew when it dies, and stops it some seconds
after the last hold is gone. So the services may be started in any order and in any terminal, and restarted at will.

Files in STATE_DIR/valkey: the append-only data, `url` for people, and three lock files:

    holds        shared by every process that uses the server
    start        exclusive, while somebody starts or stops the supervisor
    supervisor   exclusive, while a supervisor lives
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from servicekit.valkey_process import (
    ValkeyProcess,
    ValkeyUnavailable,
    answers,
    find_binary,
    last_line,
    shut_down_stray,
    socket_path_for,
    socket_url,
    start_valkey,
)

__all__ = ["EmbeddedValkey", "ValkeyProcess", "ValkeyUnavailable", "ensure_embedded_valkey", "start_valkey"]

DEFAULT_GRACE_SECONDS = 5.0  # outlasts a service's restart by `uvicorn --reload`
START_TIMEOUT_SECONDS = 60.0  # loading much data takes a while
_POLL_SECONDS = 0.1

_held: dict[Path, EmbeddedValkey] = {}


def ensure_embedded_valkey(state_dir: Path) -> str:
    """The URL of this state directory's Valkey, which answers now and runs at least until this process ends.

    Raises ValkeyUnavailable.
    """
    state_dir = state_dir.resolve()
    if state_dir in _held and not _held[state_dir].alive():
        _held.pop(state_dir).release()
    if state_dir not in _held:
        _held[state_dir] = EmbeddedValkey.hold(state_dir)
    return _held[state_dir].url


class EmbeddedValkey:
    """A hold on a state directory's Valkey, from `hold` until `release` or the end of the process."""

    def __init__(self, places: _Places, hold: int) -> None:
        self._places = places
        self._hold = hold
        self.url = socket_url(places.socket)

    @classmethod
    def hold(cls, state_dir: Path, *, grace_seconds: float = DEFAULT_GRACE_SECONDS) -> EmbeddedValkey:
        """Joins the server or starts it, and waits until it answers.

        `grace_seconds` is how long a server started by this call outlives its last hold. Raises ValkeyUnavailable.
        """
        find_binary()
        places = _Places.of(state_dir)
        hold = _open(places.directory / "holds")
        try:
            with _locked(places.directory / "start"):
                fcntl.flock(hold, fcntl.LOCK_SH)
                _join_or_start(state_dir, places, grace_seconds)
        except BaseException:
            os.close(hold)
            raise
        return cls(places, hold)

    def alive(self) -> bool:
        """Whether there still is a supervisor to keep the server running."""
        return _is_locked(self._places.directory / "supervisor")

    def release(self, *, wait_seconds: float = 0.0) -> None:
        """Ends the hold and, if that was the last one, waits up to `wait_seconds` for the server to be gone."""
        os.close(self._hold)
        deadline = time.monotonic() + wait_seconds
        others = 0  # seen twice in a row, because the supervisor's own look takes the lock for a moment
        while others < 2 and time.monotonic() < deadline and self.alive():
            others = others + 1 if _is_locked(self._places.directory / "holds") else 0
            time.sleep(_POLL_SECONDS / 5)


def _join_or_start(state_dir: Path, places: _Places, grace_seconds: float) -> None:
    if _is_locked(places.directory / "supervisor"):
        try:
            _wait_until_it_answers(places)
        except ValkeyUnavailable:
            pass  # it was on its way out
        else:
            return
    _spawn_supervisor(state_dir, places, grace_seconds)
    _wait_until_it_answers(places)


@dataclass(frozen=True)
class _Places:
    directory: Path
    socket: Path
    log: Path

    @classmethod
    def of(cls, state_dir: Path) -> _Places:
        directory = state_dir.resolve() / "valkey"
        log = state_dir.resolve() / "log" / "valkey.log"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        return cls(directory, socket_path_for(directory), log)


def _spawn_supervisor(state_dir: Path, places: _Places, grace_seconds: float) -> None:
    """Starts a supervisor as a process of its own: neither our terminal's signals nor our end reach it."""
    command = [sys.executable, "-m", "servicekit.embedded_valkey", str(state_dir.resolve())]
    with places.log.open("ab") as log:
        subprocess.run(  # noqa: S603 - this module itself, which returns as soon as its child is the supervisor
            [*command, "--detach", "--grace", str(grace_seconds)],
            cwd=Path(__file__).resolve().parent.parent,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            check=False,  # _wait_until_it_answers tells what went wrong
        )


def _wait_until_it_answers(places: _Places) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while not answers(places.socket):
        if not _is_locked(places.directory / "supervisor") or time.monotonic() > deadline:
            raise ValkeyUnavailable(
                f"The embedded Valkey did not start; its log {places.log} ends with: {last_line(places.log)!r}."
            )
        time.sleep(0.005)


# The supervisor


def supervise(state_dir: Path, grace_seconds: float, *, detach: bool = False) -> None:
    """Runs the server until nobody has held it for `grace_seconds`, or until a signal ends this process.

    Does nothing when another supervisor does this already. With `detach` it returns once it is the supervisor, and
    the work goes on in a child that belongs to nobody. Raises ValkeyUnavailable.
    """
    places = _Places.of(state_dir)
    if not _lock_for_life(places.directory / "supervisor") or (detach and os.fork()):
        return  # the lock lives on in the child
    shut_down_stray(places.socket)
    _run_server(places, grace_seconds)


def _run_server(places: _Places, grace_seconds: float) -> None:
    server = start_valkey(places.directory, log_file=places.log)
    url_file = places.directory / "url"
    url_file.write_text(server.url + "\n")
    try:
        last_held = time.monotonic()
        while True:
            time.sleep(_POLL_SECONDS)
            if not server.running():
                server = start_valkey(places.directory, log_file=places.log)
            if _is_locked(places.directory / "holds"):
                last_held = time.monotonic()
            elif time.monotonic() - last_held >= grace_seconds and _stop_unless_held(places, server):
                return
    finally:
        server.stop()
        url_file.unlink(missing_ok=True)


def _stop_unless_held(places: _Places, server: ValkeyProcess) -> bool:
    """Stops the server while nobody can join, and keeps it so until we have ended; False when somebody just joined."""
    start = _open(places.directory / "start")
    fcntl.flock(start, fcntl.LOCK_EX)
    if _is_locked(places.directory / "holds"):
        os.close(start)
        return False
    server.stop()
    return True


# Locks: flock on files that stay; the kernel releases a lock with the last descriptor of its holder.


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _lock_for_life(path: Path) -> bool:
    """Takes the lock until this process has ended entirely; False when another has it.

    Whoever looks at a lock takes it for a moment, hence the second's patience.
    """
    descriptor = _open(path)
    deadline = time.monotonic() + 1.0
    while not (ours := _lock_now(descriptor)) and time.monotonic() < deadline:
        time.sleep(0.001)
    return ours


def _lock_now(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_locked(path: Path) -> bool:
    descriptor = _open(path)
    try:
        return not _lock_now(descriptor)
    finally:
        os.close(descriptor)


def main() -> None:
    """The supervisor's command line."""
    parser = argparse.ArgumentParser(prog="python -m servicekit.embedded_valkey", description=__doc__)
    parser.add_argument("state_dir", type=Path)
    parser.add_argument("--grace", type=float, default=DEFAULT_GRACE_SECONDS, metavar="SECONDS")
    parser.add_argument("--detach", action="store_true")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _exit_on_signal)
    try:
        supervise(arguments.state_dir, arguments.grace, detach=arguments.detach)
    except ValkeyUnavailable as error:
        sys.exit(str(error))


def _exit_on_signal(signal_number: int, _frame: object) -> NoReturn:
    sys.exit(128 + signal_number)


if __name__ == "__main__":
    main()
