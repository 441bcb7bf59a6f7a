"""What all contenders share, on the second core: a static upstream, Valkey, and auth_service for tokens and keys."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Template
from urllib.parse import quote

import redis

from loadtests.compare.installing import Missing, find_program, find_valkey
from loadtests.compare.interpreter import Interpreter, choose_interpreter, compile_gateway
from loadtests.compare.processes import OTHER_CORE, Children, free_port

SERVERS = Path(__file__).parent / "servers"
REPOSITORY = Path(__file__).resolve().parent.parent.parent
PASSWORD = "nine bright benches"  # noqa: S105 - of a user that lives as long as a benchmark
HUGE_RATE = "100000000/minute"
WHOLE_SECONDS = 20.0
READABLE_LOG_BYTES = 1_000_000
MAX_SOCKET_PATH_BYTES = 100  # Linux takes 107, macOS 103


@dataclass
class Bed:
    """Where things are."""

    children: Children
    work: Path
    interpreter: Interpreter
    upstream_port: int
    auth_port: int

    @property
    def valkey_socket(self) -> Path:
        """Where Valkey is: on a Unix socket, as `make run` has it. Over TCP each question takes some 25 µs more."""
        return self.work / "valkey.sock"

    @property
    def redis_url(self) -> str:
        return f"unix://{quote(str(self.valkey_socket))}?db=0"

    @property
    def valkey(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.valkey_socket), socket_timeout=60)

    def settings(self, port: int) -> dict[str, str]:
        """The environment of one of the project's processes."""
        return {
            "PORT": str(port),
            "HOST": "127.0.0.1",
            "STATE_DIR": str(self.work / "state"),
            "REDIS_URL": self.redis_url,
            "AUTH_SERVICE_URL": f"http://127.0.0.1:{self.auth_port}",
            "STUDENT_SERVICE_URL": f"http://127.0.0.1:{self.upstream_port}",
            "ADMIN_UI_URL": f"http://127.0.0.1:{self.upstream_port}",
            "BOOTSTRAP_ADMIN_PASSWORD": PASSWORD,
            "ACCESS_TOKEN_TTL": "86400",
            "RATE_LIMIT_LOGIN": "100000/minute",
            "RATE_LIMIT_USER": HUGE_RATE,
            "RATE_LIMIT_ANONYMOUS": HUGE_RATE,
            "LOG_FORMAT": "json",
            "LOG_LEVEL": "info",
            "WORKERS": "1",
            "METRICS_TOKEN": "bench",
            "PYTHONUNBUFFERED": "1",
        }


def lay(children: Children, work: Path, python: str | None = None) -> Bed:
    """Start what the contenders share.

    Args:
        python: What runs the contenders in Python; None: see ``choose_interpreter``.

    Raises:
        Missing: There is no nginx, or no such Python. DidNotStart: One of the processes didn't.
    """
    documents = work / "documents"
    documents.mkdir(parents=True, exist_ok=True)
    (documents / "students.json").write_bytes(student_page())
    state = work / "state"
    state.mkdir(exist_ok=True)
    bed = Bed(children, work, choose_interpreter(work, python), free_port(), free_port())
    compile_gateway(bed.interpreter)
    render("upstream.conf", work / "upstream.conf", folder=work, port=bed.upstream_port)
    nginx = [find_program("nginx"), "-e", work / "upstream-error.log", "-c", work / "upstream.conf"]
    children.start("upstream", nginx, cores=OTHER_CORE, port=bed.upstream_port)
    if len(os.fsencode(bed.valkey_socket)) > MAX_SOCKET_PATH_BYTES:
        raise Missing(f"{bed.valkey_socket} is too long for a Unix socket: use a checkout nearer to the root")
    port = free_port()  # unused but by whoever waits for the server to start
    valkey = [find_valkey(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", state]
    children.start("valkey", [*valkey, "--unixsocket", bed.valkey_socket], cores=OTHER_CORE, port=port)
    children.start(
        "auth_service",
        [bed.interpreter.program, "-m", "auth_service"],
        cores=OTHER_CORE,
        port=bed.auth_port,
        environment=bed.settings(bed.auth_port),
        directory=REPOSITORY,
    )
    deadline = time.monotonic() + WHOLE_SECONDS
    while not bed.valkey.exists("denylist:whole"):
        if time.monotonic() > deadline:
            raise RuntimeError("auth_service didn't complete the denylist")
        time.sleep(0.05)
    return bed


def student_page() -> bytes:
    """A list of students as student_service answers it: 6 KB."""
    items = [
        {
            "id": f"0198c3a2-7d4e-7c31-9f00-{number:012d}",
            "student_number": f"S-2026-{number:05d}",
            "first_name": "Ada",
            "last_name": f"Lovelace {number}",
            "email": f"ada.{number}@example.org",
            "program": "Mathematics",
            "year": number % 12 + 1,
            "status": "enrolled",
            "version": 1,
            "updated_at": "2026-11-02T08:00:00Z",
        }
        for number in range(23)
    ]
    return json.dumps({"items": items, "next_cursor": "bmV4dA", "total": 1423}).encode()


def add_document(bed: Bed, size: int) -> str:
    """The path of an answer with so many bytes."""
    (bed.work / "documents" / f"size-{size}").write_bytes(b"x" * size)
    return f"/students/size/{size}"


def fill_denylist(bed: Bed, count: int) -> None:
    """Let the denylist have ``count`` revoked sessions, none of them ours."""
    valkey = bed.valkey
    stale = list(valkey.scan_iter("denylist:sid:bench-*", count=10_000))
    for batch in _batches(len(stale)):
        valkey.delete(*stale[batch.start : batch.stop])
    for batch in _batches(count):
        valkey.mset({f"denylist:sid:bench-{number:012d}": "1" for number in batch})


def _batches(count: int, size: int = 10_000) -> Iterator[range]:
    return (range(start, min(start + size, count)) for start in range(0, count, size))


def render(template: str, target: Path, **values: object) -> Path:
    """Write a configuration from ``servers/`` with its ``$names`` filled in."""
    target.write_text(Template((SERVERS / template).read_text()).substitute(values))
    return target


def clean(work: Path) -> None:
    """Leave nothing of a run but the sessions' state, what is installed, and logs short enough to be read."""
    for name in ("documents", "upstream-bodies", "nginx-bodies", "nginx-proxied", "unused"):
        shutil.rmtree(work / name, ignore_errors=True)
    for log in work.glob("*.log"):
        if log.stat().st_size > READABLE_LOG_BYTES:
            log.unlink()
