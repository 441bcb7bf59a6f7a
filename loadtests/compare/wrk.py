"""One measurement: wrk against one address for some seconds."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loadtests.compare.processes import OTHER_CORE

FOLDER = Path(__file__).parent / "servers"
SPARE_SECONDS = 30.0


class MeasurementFailed(RuntimeError):
    """wrk could not measure, or something other than success was answered."""


@dataclass(frozen=True)
class Load:
    """What is asked of a gateway, and how hard.

    ``tokens_file`` has one Authorization header a line, taken in turn; it costs wrk some microseconds a request, so a
    single token goes into a fixed header. ``at_random`` has so many requests made of the file's headers, and sent at
    random: their number, not the headers', is what they cost wrk. ``body_bytes`` makes it a POST with so many bytes.
    """

    path: str = "/students/"
    token: str | None = None
    connections: int = 64
    tokens_file: Path | None = None
    at_random: int = 0
    body_bytes: int = 0


@dataclass(frozen=True)
class Result:
    """Requests per second, and latencies in milliseconds."""

    requests_per_second: float
    p50: float
    p90: float
    p99: float
    p999: float
    requests: int
    megabytes_per_second: float

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


def measure(port: int, load: Load, seconds: float, *, cores: str = OTHER_CORE) -> Result:
    """Load an address for ``seconds`` from one thread.

    Raises:
        MeasurementFailed: A request failed, or was not answered with success.
    """
    command = ["taskset", "-c", cores, "wrk", "-t1", f"-c{load.connections}", f"-d{max(1, round(seconds))}s"]
    command += ["--timeout", "10s", "-s", str(FOLDER / "wrk.lua")]
    if load.token is not None:
        command += ["-H", f"Authorization: Bearer {load.token}"]
    command += [f"http://127.0.0.1:{port}{load.path}", "--", str(load.tokens_file or ""), str(load.body_bytes)]
    command += [str(load.at_random)]
    run = subprocess.run(  # noqa: S603 - the command is ours
        command, capture_output=True, text=True, timeout=seconds + SPARE_SECONDS, check=False
    )
    line = next((line for line in run.stdout.splitlines() if line.startswith("{")), None)
    if run.returncode or line is None:
        raise MeasurementFailed(f"wrk failed: {(run.stderr or run.stdout).strip()[-300:]}")
    found: dict[str, Any] = json.loads(line)
    if found["failed"] or not found["requests"]:
        raise MeasurementFailed(f"{found['failed']} of {found['requests']} requests failed ({found['errors']})")
    taken = found["microseconds"] / 1e6
    return Result(
        requests_per_second=round(found["requests"] / taken, 1),
        p50=found["p50"] / 1000,
        p90=found["p90"] / 1000,
        p99=found["p99"] / 1000,
        p999=found["p999"] / 1000,
        requests=found["requests"],
        megabytes_per_second=round(found["bytes"] / taken / 1e6, 1),
    )
