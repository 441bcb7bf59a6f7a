"""The one line about each request, written as bytes: about 3 µs, where the general logger's chain takes 25."""

from __future__ import annotations

from typing import Any

from servicekit.log_line import encode_line, milliseconds, shortened, timestamp
from servicekit.log_sink import service_name, stdout_sink
from servicekit.logs import get_logger
from servicekit.request_context import RequestFacts


class RequestLines:
    """Writes request lines: straight to the sink as JSON, through the general logger on a console.

    Args:
        level: Lines below this level are left out.
        as_json: Whether this process logs JSON.
    """

    def __init__(self, *, level: str, as_json: bool) -> None:
        self._has_debug = level == "debug"
        self._has_info = level in ("debug", "info")
        self._as_json = as_json
        self._log = get_logger()

    def write(
        self, facts: RequestFacts, method: str, path: str, route: str, status: int, seconds: float, *, quiet: bool
    ) -> None:
        """Write the line of one request.

        Args:
            facts: Of the request.
            method, path: As they were asked for.
            route: The template that matched.
            status: Of the answer.
            seconds: From the request's head to the end of the answer.
            quiet: Only worth a debug line: a health check or a scrape that went well.
        """
        level = "error" if status >= 500 else "debug" if quiet else "info"
        if (level == "info" and not self._has_info) or (level == "debug" and not self._has_debug):
            return
        fields: dict[str, Any] = {
            "method": method,
            "path": shortened(path),
            "route": route,
            "status": status,
            "duration_ms": milliseconds(seconds),
            "client_ip": facts.client_ip,
        }
        if facts.user is not None:
            fields["user"] = facts.user
        if not self._as_json:
            getattr(self._log, level)("request", **fields)
            return
        head = {"timestamp": timestamp(), "level": level, "event": "request", "service": service_name()}
        ids = {"request_id": facts.request_id, "trace_id": facts.trace_id}
        stdout_sink.write(encode_line({**head, **ids, **fields}))
