"""A real `python -m gateway` with a table of the test's own, in front of scripted upstreams; spoken to in bytes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil
import redis

from tests.support.edge_server import Client, Response
from tests.support.ports import free_port
from tests.support.scripted_upstream import Peer, Received, Script, Upstream
from tests.support.signing import Signing
from tests.support.wait import until

REPOSITORY = Path(__file__).resolve().parent.parent.parent
METRICS_TOKEN = "scraper"
T = TypeVar("T")


class Upstreams:
    """Scripted upstreams on an event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._started: list[Upstream] = []

    def start(
        self, scripts: dict[bytes, Script] | None = None, *, port: int = 0, tls: ssl.SSLContext | None = None
    ) -> Upstream:
        upstream = Upstream(scripts or {})
        self.run(upstream.start(port, tls))
        self._started.append(upstream)
        return upstream

    def stop(self, upstream: Upstream) -> None:
        self._started.remove(upstream)
        self.run(upstream.stop())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def call(self, work: Callable[[], object]) -> None:
        """Do something that must be done on the upstreams' loop."""
        self._loop.call_soon_threadsafe(work)

    def close(self) -> None:
        for upstream in self._started:
            self.run(upstream.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


def answer(body: bytes = b"", status: bytes = b"200 OK", *lines: bytes) -> bytes:
    """A whole answer with its length."""
    return b"\r\n".join((b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *lines, b"", body))


def serves_keys(signing: Signing) -> Script:
    """auth_service's key set."""

    async def script(peer: Peer, _request: Received) -> bool:
        await peer.say(answer(json.dumps(signing.jwks).encode(), b"200 OK", b"Content-Type: application/json"))
        return True

    return script


def upstream_block(name: str, *upstreams: Upstream | str, **options: float) -> str:
    """An upstream that anyone may use, at /NAME."""
    urls = [each if isinstance(each, str) else each.url for each in upstreams]
    settings = "".join(f"{key} = {value}\n" for key, value in options.items())
    return (
        f"[upstreams.{name}]\nurls = {json.dumps(urls)}\nopenapi = false\n{settings}"
        f'[[routes]]\nprefix = "/{name}"\nupstream = "{name}"\naccess = "all"\n'
        'methods = { GET = "", HEAD = "", POST = "", PUT = "", DELETE = "" }\n'
    )


def bearer_route(prefix: str, upstream: str, scope: str = "students:read") -> str:
    return (
        f'[[routes]]\nprefix = "{prefix}"\nupstream = "{upstream}"\naccess = "bearer"\n'
        f'methods = {{ GET = "{scope}", POST = "{scope}" }}\n'
    )


@dataclass
class GatewayProcess:
    """A running gateway."""

    process: subprocess.Popen[bytes]
    port: int
    routes_file: Path
    output: Path

    def connect(self, timeout: float = 10, port: int | None = None) -> Client:
        return Client(socket.create_connection(("127.0.0.1", port or self.port), timeout=timeout))

    def ask(self, path: str, *lines: str, method: str = "GET", body: bytes = b"", timeout: float = 10) -> Response:
        """One request on a connection of its own."""
        with self.connect(timeout) as client:
            length = [f"Content-Length: {len(body)}"] if body or method in ("POST", "PUT") else []
            client.send(head(path, *lines, *length, method=method) + body)
            return client.response(to_head=method == "HEAD")

    def is_up(self, path: str = "/healthz") -> bool:
        try:
            return self.ask(path, timeout=2).status == 200
        except (OSError, EOFError):
            return False

    def lines(self) -> list[dict[str, Any]]:
        """The log so far, a line that is just being written left out."""
        return [json.loads(line) for line in self.output.read_bytes().split(b"\n")[:-1] if line.startswith(b"{")]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line["event"] == name]

    def metric(self, series: str) -> float:
        """The value of one series as /metrics shows it; 0 where there is none."""
        text = self.ask("/metrics", f"Authorization: Bearer {METRICS_TOKEN}").body.decode()
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(series + " "))

    def memory(self) -> int:
        """Resident bytes."""
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self, timeout: float = 30) -> int:
        """SIGTERM, and the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(timeout)


def head(path: str, *lines: str, method: str = "GET", version: str = "1.1") -> bytes:
    return "\r\n".join((f"{method} {path} HTTP/{version}", "Host: gateway.test", *lines, "", "")).encode("latin-1")


StartGateway = Callable[..., GatewayProcess]


@contextlib.contextmanager
def gateways(folder: Path, redis_url: str, keys_url: str) -> Iterator[StartGateway]:
    """Gives a function that starts gateways; ends them all."""
    running: list[GatewayProcess] = []

    def start(routes: str, *, stdout: Any = None, wait: bool = True, **environment: str) -> GatewayProcess:
        place = folder / f"gateway-{len(running)}"
        place.mkdir(parents=True)
        routes_file, output = place / "routes.toml", place / "log.jsonl"
        routes_file.write_text(routes)
        output.touch()
        port = int(environment.pop("PORT", 0)) or free_port()
        passed_on = {"COMPILED", "HOME", "LANG", "PATH", "TMPDIR"}
        inherited = {name: value for name, value in os.environ.items() if name in passed_on}
        variables = {
            "VAR_DIR": str(place / "var"),
            "PORT": str(port),
            "REDIS_URL": redis_url,
            "AUTH_SERVICE_URL": keys_url,
            "ROUTES_FILE": str(routes_file),
            "METRICS_TOKEN": METRICS_TOKEN,
            "LOG_FORMAT": "json",
            "RATE_LIMIT_ANONYMOUS": "1000000/minute",
            "RATE_LIMIT_USER": "1000000/minute",
            "DRAIN_SECONDS": "0",
        }
        with output.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "gateway"],
                cwd=REPOSITORY,
                env={**inherited, **variables, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log if stdout is None else stdout,
                stderr=log,
                start_new_session=True,
            )
        gateway = GatewayProcess(process, port, routes_file, output)
        running.append(gateway)
        if wait:
            until(lambda: process.poll() is not None or gateway.is_up(), timeout=40)
            assert process.poll() is None, output.read_text()
        return gateway

    try:
        yield start
    finally:
        for gateway in running:
            end(gateway.process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and its workers, whatever state the test has left them in."""
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            pass
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # it leads a group of its own
    process.wait()


def make_denylist_whole(redis_url: str) -> None:
    """What auth_service does when it has written the whole denylist."""
    with redis.Redis.from_url(redis_url) as client:
        client.set("denylist:whole", client.info("server")["run_id"])
