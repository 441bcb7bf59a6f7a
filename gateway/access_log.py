"""The one line about each request, written as bytes: about 3 µs, where a general logger's chain takes 25."""

from __future__ import annotations

from gateway.record import Record
from servicekit.log_line import encode_line, milliseconds, shortened, timestamp
from servicekit.log_sink import service_name, stdout_sink
from servicekit.logs import get_logger

_SET_BY_LOGGER = frozenset({"timestamp", "level", "service", "request_id", "trace_id"})


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

    def write(self, record: Record, path: str, seconds: float, *, quiet: bool = False) -> None:
        """Write the line of one request.

        Args:
            seconds: From the request's head to the end of the answer.
            quiet: Only worth a line when it failed or at level debug: health checks and scrapes.
        """
        status = record.status
        level = "error" if status >= 500 else "info"
        if level == "info" and (not self._log_info or (quiet and status < 400 and not self._log_debug)):
            return
        facts = record.facts
        line = {
            "timestamp": timestamp(),
            "level": level,
            "event": "request",
            "service": service_name(),
            "request_id": facts.request_id,
            "trace_id": facts.trace_id,
            "method": record.method,
            "path": shortened(path),
            "route": record.route,
            "status": status,
            "duration_ms": milliseconds(seconds),
            "client_ip": facts.client_ip,
        }
        if facts.user is not None:
            line["user"] = facts.user
        if record.upstream is not None:
            line["upstream"] = record.upstream
            line["replica"] = record.replica
            line["upstream_ms"] = milliseconds(record.upstream_seconds)
        if record.tunnel is not None:
            line.update(record.tunnel)
        if record.failure is not None:
            line["failure"] = record.failure
        if self._as_json:
            stdout_sink.write(encode_line(line))
        else:
            getattr(self._log, level)(**{key: value for key, value in line.items() if key not in _SET_BY_LOGGER})
