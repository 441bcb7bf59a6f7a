"""How one upstream is to be treated: the values that `routes.toml` sets."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long each phase may take, in seconds; `math.inf` where there is no limit. Kept to within 50 ms."""

    connect_seconds: float = 2.0  # to get a connection: waiting for a free one, or name, TCP and TLS
    first_byte_seconds: float = 15.0  # from the request's last byte to the end of the response's head
    idle_seconds: float = 30.0  # without a byte, while a body is under way in either direction
    total_seconds: float = 60.0  # from `send` to the last byte of the body, retries included


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a replica is ejected, and for how long."""

    failures: int = 5  # in a row
    # A probe costs next to nothing, and what is back must be in use again before its fellow's turn to restart comes:
    # a stopping service keeps its door open for DRAIN_SECONDS, one by default.
    open_seconds: float = 0.5  # before it is tried again; doubled by every failed trial
    open_seconds_max: float = 0.5


@dataclass(frozen=True, slots=True)
class UpstreamPolicy:
    """Everything that can be said about one upstream but its addresses."""

    deadlines: Deadlines = field(default_factory=Deadlines)
    max_connections: int = 256  # to each replica
    max_waiting: int = 1024  # requests that wait for a connection; beyond that they are shed at once
    keepalive_seconds: float = 4.0  # an unused connection's age; below the servers' own limit (uvicorn closes at 5)
    retries: int = 1  # more attempts for one request, where a retry is safe
    retry_budget_ratio: float = 0.2  # retries for each request in the long run
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    probe_path: bytes | None = b"/healthz"  # asked before an ejected replica returns; None: a request is the trial
    probe_seconds: float = 1.0  # for the probe's whole answer, or for the request that serves as one

    def __post_init__(self) -> None:
        if self.max_connections < 1 or self.max_waiting < 0 or self.retries < 0 or self.breaker.failures < 1:
            raise ValueError("max_connections and breaker.failures are at least 1, max_waiting and retries at least 0")
