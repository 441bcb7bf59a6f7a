"""``python -m gateway``: the tuned server, with the strict edge."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import ClassVar

from gateway.edge import EdgeProtocol, Refusal
from gateway.gateway_metrics import REFUSED
from gateway.settings import Settings
from servicekit.logs import get_logger
from servicekit.server import run
from servicekit.settings import load_settings

log = get_logger()


def log_refusal(refusal: Refusal) -> None:
    """Write the request line of what the edge refused before it became a request."""
    REFUSED.labels(str(refusal.status), refusal.reason).inc()
    if refusal.reached_application:
        return  # the pipeline writes that line, with all it knows
    log.info(
        "request",
        request_id=refusal.request_id,
        trace_id=os.urandom(16).hex(),
        method=refusal.method or "-",
        path=refusal.path or "-",
        route="edge",
        status=refusal.status,
        duration_ms=0.0,
        client_ip=refusal.client,
        failure=refusal.reason,
    )


class GatewayProtocol(EdgeProtocol):
    """The edge, with its refusals logged and counted."""

    on_refused: ClassVar[Callable[[Refusal], None]] = log_refusal


if __name__ == "__main__":
    run("gateway.main:app", load_settings(Settings), service="gateway", http=GatewayProtocol)
