"""What the edge refuses, logged and counted.

A module of its own because worker processes import the protocol class by name, and nothing can be imported from
``__main__``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import ClassVar

from gateway.edge import EdgeProtocol, Refusal
from gateway.gateway_metrics import REFUSED
from servicekit.logs import get_logger

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
    takes_websockets: ClassVar[bool] = True  # where the route says so; the pipeline refuses the others
