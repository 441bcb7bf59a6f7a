"""Every process of a system with two of each is restarted in turn, under load, and no request fails."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from servicekit.valkey_process import ValkeyProcess
from tests.support.edge_server import Client, Response
from tests.support.gateway_process import Upstreams, end, head
from tests.support.ports import free_port
from tests.support.tcp_balancer import TcpBalancer
from tests.support.wait import until
from tests.support.whole_system import UNLIMITED, Program

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

REPOSITORY = Path(__file__).resolve().parent.parent.parent
VARIABLES = {
    "auth_service": "AUTH_SERVICE_URL",
    "student_service": "STUDENT_SERVICE_URL",
    "admin_ui": "ADMIN_UI_URL",
}


@dataclass
class Fleet:
    """Two of each service, on one Valkey and one database each."""

    folder: Path
    redis_url: str
    ports: dict[str, list[int]] = field(default_factory=dict)
    programs: dict[tuple[str, int], Program] = field(default_factory=dict)
    balancer_port: int = 0

    def __post_init__(self) -> None:
        self.ports = {name: [free_port(), free_port()] for name in (*VARIABLES, "gateway")}

    def start(self, name: str, place: int) -> Program:
        port = self.ports[name][place]
        output, errors = (self.folder / f"{name}-{place}.{kind}" for kind in ("jsonl", "stderr"))
        inherited = {key: value for key, value in os.environ.items() if key in {"HOME", "LANG", "PATH", "TMPDIR"}}
        urls = {
            variable: ",".join(f"http://127.0.0.1:{each}" for each in self.ports[service])
            for service, variable in VARIABLES.items()
        }
        variables = {
            "VAR_DIR": str(self.folder / "var"),
            "PORT": str(port),
            "REDIS_URL": self.redis_url,
            "GATEWAY_URL": f"http://127.0.0.1:{self.balancer_port}",
            "WORKERS": "2" if (name, place) == ("gateway", 1) else "1",
        }
        with output.open("ab") as out, errors.open("ab") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", name],
                cwd=REPOSITORY,
                env={**inherited, **urls, **variables, **UNLIMITED},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        program = Program(name, port, process, output, errors, "/readyz?core=true")
        self.programs[name, place] = program
        program.until_ready()
        return program

    def start_all(self) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: self.start(*key), itertools.product(self.ports, (0, 1))))

    def restart(self, name: str, place: int) -> None:
        process = self.programs[name, place].process
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0
        self.start(name, place)

    def close(self) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(end, [program.process for program in self.programs.values()]))


@pytest.fixture
def fleet(tmp_path: Path, own_valkey: ValkeyProcess, upstreams: Upstreams) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path, own_valkey.url)
    balancer = TcpBalancer(fleet.ports["gateway"])
    upstreams.run(balancer.start())
    fleet.balancer_port = balancer.port
    try:
        fleet.start_all()
        until(lambda: len(balancer.ready) == 2, timeout=60)
        yield fleet
    finally:
        fleet.close()
        upstreams.run(balancer.stop())


class Caller:
    """A client that keeps its connection as long as it is told that it may."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._client: Client | None = None

    def ask(self, method: str, path: str, *lines: str, body: bytes = b"") -> Response:
        if self._client is None:
            self._client = Client(socket.create_connection(("127.0.0.1", self._port), timeout=30))
        length = [f"Content-Length: {len(body)}", "Content-Type: application/json"] if body else []
        self._client.send(head(path, *lines, *length, method=method) + body)
        answered = self._client.response()
        if answered.headers.get("connection") == "close":
            self.close()
        return answered

    def close(self) -> None:
        if self._client is not None:
            self._client.socket.close()
            self._client = None


def test_a_rolling_restart_of_every_process_fails_no_request(fleet: Fleet) -> None:
    first = Caller(fleet.balancer_port)
    sign_in = json.dumps({"username": "admin", "password": "admin"}).encode()
    until(lambda: first.ask("POST", "/auth/login", body=sign_in).status == 200, timeout=30)
    token = "Authorization: Bearer " + first.ask("POST", "/auth/login", body=sign_in).json()["access_token"]
    until(lambda: first.ask("GET", "/students/?limit=1", token).status == 200, timeout=30)
    first.close()

    outcomes: Counter[tuple[str, int | str]] = Counter()
    stop = threading.Event()

    def keep_asking(number: int) -> None:
        caller = Caller(fleet.balancer_port)
        for turn in itertools.count():
            if stop.is_set():
                break
            student = {"first_name": "Ada", "last_name": "Byron", "email": f"s{number}-{turn}@school.example"}
            for method, path, body in (
                ("GET", "/students/?limit=2", b""),
                ("POST", "/students/", json.dumps(student).encode()),
                ("GET", "/auth/me", b""),
                ("GET", "/admin/login", b""),
            ):
                if path.startswith("/admin") and turn % 4:
                    continue  # pages have a limit
                try:
                    outcome: int | str = caller.ask(method, path, token, body=body).status
                except (OSError, EOFError) as error:
                    outcome = type(error).__name__
                    caller.close()
                outcomes[f"{method} {path}", outcome] += 1
            time.sleep(0.02)  # a load that leaves the machine room to start processes
        caller.close()

    threads = [threading.Thread(target=keep_asking, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        for place in (0, 1):
            with ThreadPoolExecutor(3) as pool:
                list(pool.map(lambda name, place=place: fleet.restart(name, place), VARIABLES))
        for place in (0, 1):
            fleet.restart("gateway", place)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    statuses = {what: {outcome for each, outcome in outcomes if each == what} for what, _ in outcomes}
    assert statuses == {
        "GET /students/?limit=2": {200},
        "POST /students/": {201},
        "GET /auth/me": {200},
        "GET /admin/login": {200},
    }, outcomes
    assert min(outcomes.values()) > 20
