"""The one line about each request, written as bytes: about 3 µs, where a general logger's chain takes 25."""

from __future__ import annotations

from typing import Any

from servicekit.log_sink import service_name, stdout_sink
from servicekit.logs import encode_line, get_logger, timestamp
from servicekit.request_context import RequestFacts


class AccessLog:
    """Writes request lines; through the general logger on a console, straight to the sink as JSON.

    Args:
        level: Lines below this level are left out (``info`` for answers below 500, ``error`` from there on).
    """

    def __init__(self, *, as_json: bool, level: str) -> None:
        self._as_json = as_json
        self._log_info = level in ("debug", "info")
        self._log_debug = level == "debug"
        self._log = get_logger()

    def write(self, facts: RequestFacts, fields: dict[str, Any], *, quiet: bool = False) -> None:
        """Write the line of one request.

        Args:
            quiet: Only worth a line when it failed or at level debug: health checks and scrapes.
        """
        status = fields["status"]
        level = "error" if status >= 500 else "info"
        if level == "info" and (not self._log_info or (quiet and status < 400 and not self._log_debug)):
            return
        if not self._as_json:
            getattr(self._log, level)("request", **fields)
            return
        line = {
            "timestamp": timestamp(),
            "level": level,
            "event": "request",
            "service": service_name(),
            "request_id": facts.request_id,
            "trace_id": facts.trace_id,
            **fields,
        }
        stdout_sink.write(encode_line(line))
