"""Prometheus metrics of a service's requests, shared by all of its worker processes."""

from __future__ import annotations

import os
from bisect import bisect_right
from functools import lru_cache

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class BatchHistogram(Histogram):
    """A histogram that takes many values at once."""

    def observe_batch(self, values: list[float]) -> None:
        """Observe each of the values: one addition for each bucket that any of them falls into."""
        ordered = sorted(values)
        self._sum.inc(sum(ordered))
        below = 0
        for bucket, bound in zip(self._buckets, self._upper_bounds, strict=True):
            up_to = bisect_right(ordered, bound)
            if up_to > below:
                bucket.inc(up_to - below)
                below = up_to


REQUESTS = Counter("http_requests_total", "Requests answered.", ["service", "method", "route", "status"])
DURATION = BatchHistogram(
    "http_request_duration_seconds",
    "Time from the request's head to the end of the answer.",
    ["service", "method", "route"],
    buckets=BUCKETS,
)


def observe_request(service: str, method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request. ``route`` is the template, never the path: paths are without bound."""
    counter, histogram = _counted(service, method if method in KNOWN_METHODS else "OTHER", route, status)
    counter.inc()
    histogram.observe(seconds)


@lru_cache(maxsize=2048)
def _counted(service: str, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    # Kept: finding the two by their labels takes as long as counting.
    return REQUESTS.labels(service, method, route, str(status)), DURATION.labels(service, method, route)


def exposition() -> tuple[bytes, str]:
    """The text of ``/metrics`` and its content type, summed over the workers of this service."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # untyped in prometheus-client
        return generate_latest(registry), CONTENT_TYPE_LATEST
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST
