"""What the gateway counts, beyond the requests that every service counts."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from servicekit.http_metrics import BUCKETS, DURATION, KNOWN_METHODS, REQUESTS

UPSTREAM_DURATION = Histogram(
    "gateway_upstream_duration_seconds", "Time that an upstream took.", ["upstream"], buckets=BUCKETS
)
REFUSED = Counter("gateway_refused_total", "Requests refused before they were forwarded.", ["status", "reason"])
UPSTREAM_ERRORS = Counter("gateway_upstream_errors_total", "Requests that an upstream failed.", ["upstream", "error"])

# ``labels()`` takes a lock and builds a key of strings; looking the child up here costs a fifth of that.
_requests: dict[tuple[str, str, int], Counter] = {}
_durations: dict[tuple[str, str], Histogram] = {}
_upstreams: dict[str, Histogram] = {}


def observe(
    method: str, route: str, status: int, seconds: float, upstream: str | None, upstream_seconds: float
) -> None:
    """Count one request. ``route`` comes from the table, so that the number of series is bounded."""
    if method not in KNOWN_METHODS:
        method = "OTHER"
    counter = _requests.get((method, route, status))
    if counter is None:
        counter = _requests[method, route, status] = REQUESTS.labels("gateway", method, route, str(status))
    counter.inc()
    duration = _durations.get((method, route))
    if duration is None:
        duration = _durations[method, route] = DURATION.labels("gateway", method, route)
    duration.observe(seconds)
    if upstream is not None:
        histogram = _upstreams.get(upstream)
        if histogram is None:
            histogram = _upstreams[upstream] = UPSTREAM_DURATION.labels(upstream)
        histogram.observe(upstream_seconds)
