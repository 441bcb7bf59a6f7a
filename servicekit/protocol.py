"""The HTTP/1.1 protocol of the services: uvicorn's, with an answer of our kind to what it can't read as a request.

The gateway has its own, far stricter one (``gateway.edge``); this one stands behind it, or in a trusted network.
"""

from __future__ import annotations

import os

from servicekit.draining import PatientProtocol
from servicekit.logs import get_logger
from servicekit.problems import BadRequest, render
from servicekit.request_context import new_request_id

log = get_logger()


class ServiceProtocol(PatientProtocol):
    """Malformed requests get problem+json with a request id, and a line in the log, like every other refusal."""

    def send_400_response(self, msg: str) -> None:
        request_id = new_request_id()
        problem = BadRequest("This is not a well-formed HTTP/1.1 request.", headers={"Connection": "close"})
        status, headers, body = render(problem, instance="/", request_id=request_id)
        headers.append((b"x-request-id", request_id.encode()))
        head = b"".join(b"%b: %b\r\n" % field for field in headers)
        self.transport.write(b"HTTP/1.1 %d Bad Request\r\n%b\r\n%b" % (status, head, body))
        self.transport.close()
        log.info(
            "request",
            request_id=request_id,
            trace_id=os.urandom(16).hex(),
            method="-",
            path="-",
            route="unmatched",
            status=status,
            duration_ms=0.0,
            client_ip=self.client[0] if self.client else "unknown",
            failure="malformed",
        )
