"""The gateway's HTTP/1.1 client for its upstreams: small, strict, fast. stdlib asyncio and httptools only.

One UpstreamService for each upstream and event loop, closed when the process stops:

    students = UpstreamService("students", ["http://127.0.0.1:8001"], UpstreamPolicy())
    request = prepare(b"GET", b"/students/?limit=5", [(b"accept", b"application/json")])
    response = await students.send(request)
    if response.body is None:               # still arriving
        while chunk := await response.read_chunk():
            ...                             # and response.abort() if the client leaves
    await students.aclose()
"""

from gateway.upstream.balancer import ReplicaSnapshot
from gateway.upstream.errors import (
    BadUpstreamResponse,
    ConnectError,
    NoHealthyReplica,
    Overloaded,
    RequestBodyError,
    RequestBodyTooSlow,
    UpstreamClosed,
    UpstreamError,
    UpstreamTimeout,
)
from gateway.upstream.policy import BreakerPolicy, Deadlines, UpstreamPolicy
from gateway.upstream.request import BodySource, Headers
from gateway.upstream.response import UpstreamResponse
from gateway.upstream.service import Outgoing, UpstreamService, prepare

__all__ = [
    "BadUpstreamResponse",
    "BodySource",
    "BreakerPolicy",
    "ConnectError",
    "Deadlines",
    "Headers",
    "NoHealthyReplica",
    "Outgoing",
    "Overloaded",
    "ReplicaSnapshot",
    "RequestBodyError",
    "RequestBodyTooSlow",
    "UpstreamClosed",
    "UpstreamError",
    "UpstreamPolicy",
    "UpstreamResponse",
    "UpstreamService",
    "UpstreamTimeout",
    "prepare",
]
