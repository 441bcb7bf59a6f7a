"""What the pipeline learns about one request on its way, for the answer's headers, the log line and the metrics."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.headers import Headers
from gateway.rate_policy import Quota, RatePolicy
from servicekit.request_context import RequestFacts


class Record:
    """One request's facts, growing from stage to stage."""

    __slots__ = (
        "facts",
        "failure",
        "fields",
        "limit_headers",
        "method",
        "replica",
        "route",
        "started",
        "status",
        "tunnel",
        "upstream",
        "upstream_seconds",
    )

    def __init__(self, facts: RequestFacts, method: str, fields: Mapping[bytes, bytes]) -> None:
        self.facts = facts
        self.method = method
        self.fields = fields  # the request's headers by name, the last of each
        self.route = "unmatched"
        self.status = 0
        self.started = False  # the response has begun: no other can take its place
        self.limit_headers: Headers = []
        self.upstream: str | None = None
        self.replica: str | None = None
        self.upstream_seconds = 0.0  # until the head of its answer
        self.tunnel: dict[str, object] | None = None  # what the log tells of one that has ended
        self.failure: str | None = None  # what went wrong with the upstream

    def note_quota(self, policy: RatePolicy | None, quota: Quota | None) -> None:
        """Remember what the answer has to say of the limit that this request counted against."""
        if policy is not None and quota is not None:
            self.limit_headers = [
                (b"ratelimit-policy", policy.header),
                (b"ratelimit", policy.quota_header(quota.remaining, quota.reset_seconds)),
            ]
