"""The core of the system as real processes: Valkey, auth_service, student_service and a gateway of two workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psutil

from servicekit.valkey_process import ValkeyProcess, start_valkey
from tests.support.gateway_process import end
from tests.support.ports import free_port
from tests.support.wait import until

REPOSITORY = Path(__file__).resolve().parent.parent.parent
METRICS_TOKEN = "scrapers-own-token"
START_SECONDS = 90
UNLIMITED = {
    "RATE_LIMIT_LOGIN": "1000000/minute",
    "RATE_LIMIT_ANONYMOUS": "1000000/minute",
    "RATE_LIMIT_USER": "1000000/minute",
}


@dataclass
class Program:
    """One running service and what it writes."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    output: Path
    errors: Path
    ready_path: str = "/readyz"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def is_ready(self) -> bool:
        try:
            return httpx2.get(self.url + self.ready_path, timeout=5, trust_env=False).status_code == 200
        except httpx2.TransportError:
            return False

    def until_ready(self) -> None:
        until(lambda: self.process.poll() is not None or self.is_ready(), timeout=START_SECONDS)
        assert self.process.poll() is None, self.output.read_text() + self.errors.read_text()

    def lines(self) -> list[bytes]:
        """Its standard output so far; a line that is just being written is left out."""
        return self.output.read_bytes().split(b"\n")[:-1]

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines()]

    def workers(self) -> list[psutil.Process]:
        """The processes that serve: its children that hold connections, or itself."""
        children = psutil.Process(self.process.pid).children()
        return [child for child in children if "spawn_main" in " ".join(child.cmdline())]

    def connections_of_workers(self) -> list[int]:
        """How many clients each worker is connected with."""
        return [
            sum(c.status == psutil.CONN_ESTABLISHED and c.laddr.port == self.port for c in worker.net_connections())
            for worker in self.workers()
        ]


@dataclass
class WholeSystem:
    """The running whole; ``valkey`` may be stopped and started again, which the services live through."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    valkey_arguments: tuple[str, ...] = ()
    programs: list[Program] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.auth_port, self.student_port = free_port(), free_port()
        self.valkey: ValkeyProcess = self.start_valkey()
        try:
            with ThreadPoolExecutor(3) as pool:
                auth = pool.submit(self.start, "auth_service", self.auth_port)
                students = pool.submit(self.start, "student_service", self.student_port)
                gateway = pool.submit(self.start_gateway)
            self.auth, self.students, self.gateway = auth.result(), students.result(), gateway.result()
        except BaseException:
            self.close()
            raise

    def start_valkey(self) -> ValkeyProcess:
        self.valkey = start_valkey(self.folder / "valkey", arguments=self.valkey_arguments)
        return self.valkey

    def start_gateway(self, **environment: str) -> Program:
        """Another gateway on the same services, with settings of its own."""
        number = sum(program.name == "gateway" for program in self.programs)
        return self.start("gateway", free_port(), log_name=f"gateway-{number}", WORKERS="2", **environment)

    def start(self, name: str, port: int, *, log_name: str | None = None, **environment: str) -> Program:
        output, errors = (self.folder / f"{log_name or name}.{kind}" for kind in ("jsonl", "stderr"))
        passed_on = {"COMPILED", "HOME", "LANG", "PATH", "TMPDIR"}
        inherited = {key: value for key, value in os.environ.items() if key in passed_on}
        variables = {
            "VAR_DIR": str(self.folder / "var"),
            "PORT": str(port),
            "REDIS_URL": self.valkey.url,
            "AUTH_SERVICE_URL": f"http://127.0.0.1:{self.auth_port}",
            "STUDENT_SERVICE_URL": f"http://127.0.0.1:{self.student_port}",
            # Nothing listens there: what is tested here does without the pages.
            "ADMIN_UI_URL": "http://127.0.0.1:1",
            "METRICS_TOKEN": METRICS_TOKEN,
            "DRAIN_SECONDS": "0",
        }
        with output.open("ab") as out, errors.open("ab") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", name],
                cwd=REPOSITORY,
                env={**inherited, **variables, **UNLIMITED, **self.environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        ready_path = "/readyz?core=true" if name == "gateway" else "/readyz"
        program = Program(name, port, process, output, errors, ready_path)
        self.programs.append(program)
        program.until_ready()
        return program

    def stop(self, program: Program) -> None:
        self.programs.remove(program)
        end(program.process)

    def is_whole(self) -> bool:
        """Whether the gateway believes its denylist, in every worker that a few questions reach."""
        return all(self.gateway.is_ready() for _ in range(8))

    def close(self) -> None:
        with ThreadPoolExecutor(len(self.programs) or 1) as pool:
            list(pool.map(end, [program.process for program in self.programs]))
        self.valkey.resume()
        self.valkey.stop()


def every_line(programs: Iterable[Program]) -> list[tuple[str, bytes]]:
    """What all of them wrote, each line with the name of who wrote it."""
    return [(program.name, line) for program in programs for line in program.lines()]
