"""What the gateway counts, beyond the requests that every service counts.

A request leaves one tuple behind; a batch of them is counted at once. Incrementing a counter and two histograms for
each request, a lock and a loop over bucket bounds every time, cost 2.1 µs of it, this 0.7; with several workers, whose
values live in shared files, it saves more.
"""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from collections import defaultdict

from prometheus_client import Counter, Gauge

from servicekit.http_metrics import BUCKETS, DURATION, KNOWN_METHODS, REQUESTS, BatchHistogram

UPSTREAM_DURATION = BatchHistogram(
    "gateway_upstream_duration_seconds", "Time that an upstream took.", ["upstream"], buckets=BUCKETS
)
REFUSED = Counter("gateway_refused_total", "Requests refused before they were forwarded.", ["status", "reason"])
UPSTREAM_ERRORS = Counter("gateway_upstream_errors_total", "Requests that an upstream failed.", ["upstream", "error"])

REPLICA_EJECTED = Gauge(
    "gateway_replica_ejected",
    "1 while a replica gets no requests because it failed several in a row; of several workers, what one saw last.",
    ["upstream", "replica"],
    multiprocess_mode="mostrecent",
)

MAX_BATCH = 512  # counted in 0.3 ms, during which nothing else is served
SETTLE_SECONDS = 0.25  # at the latest; a worker that answers /metrics settles its own first

_seen: list[tuple[str, str, int, float, str | None, float]] = []
_timers: list[asyncio.TimerHandle] = []  # the one that is armed


def observe(
    method: str, route: str, status: int, seconds: float, upstream: str | None, upstream_seconds: float
) -> None:
    """Count one request. ``route`` comes from the table, so that the number of series is bounded."""
    _seen.append((method, route, status, seconds, upstream, upstream_seconds))
    if not _timers:
        _timers.append(asyncio.get_running_loop().call_later(SETTLE_SECONDS, settle))
    elif len(_seen) >= MAX_BATCH:
        settle()


def settle() -> None:
    """Add what was observed to the metrics."""
    while _timers:
        _timers.pop().cancel()
    if not _seen:
        return
    requests: Tally[tuple[str, str, int]] = Tally()
    durations: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    upstreams: defaultdict[str, list[float]] = defaultdict(list)
    for method, route, status, seconds, upstream, upstream_seconds in _seen:
        known = method if method in KNOWN_METHODS else "OTHER"
        requests[known, route, status] += 1
        durations[known, route].append(seconds)
        if upstream is not None:
            upstreams[upstream].append(upstream_seconds)
    _seen.clear()
    for (method, route, status), count in requests.items():
        REQUESTS.labels("gateway", method, route, str(status)).inc(count)
    for (method, route), values in durations.items():
        DURATION.labels("gateway", method, route).observe_batch(values)
    for name, values in upstreams.items():
        UPSTREAM_DURATION.labels(name).observe_batch(values)
