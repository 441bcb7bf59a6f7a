"""What can go wrong between the gateway and an upstream, each with the status that a client gets for it.

    UpstreamError
    ├── NoHealthyReplica      503  every replica is ejected; nothing was tried
    ├── Overloaded            503  the waiting room is full, or no connection came free in time; nothing was sent
    ├── ConnectError          502  no connection could be made; nothing was sent
    ├── UpstreamTimeout       504  a deadline passed; `phase` says which
    ├── BadUpstreamResponse   502  the answer breaks HTTP/1.1; `reason` is a constant word
    └── UpstreamClosed        502  the connection ended before the answer did (from `send`: before its head did)
    RequestBodyError               the request's body source gave more or less than it had promised
    └── RequestBodyTooSlow   408  it hadn't given all when the total deadline passed, though the upstream took it

Whatever a body source raises itself passes through `send` unchanged.
"""

from __future__ import annotations

from typing import ClassVar, Literal

Phase = Literal["connect", "send", "first_byte", "idle", "total"]


class UpstreamError(Exception):
    """No usable answer from the upstream. `replica` names the one that was tried last, if any ("host:port")."""

    status: ClassVar[int] = 502

    def __init__(self, message: str, *, replica: str | None = None) -> None:
        super().__init__(message)
        self.replica = replica


class NoHealthyReplica(UpstreamError):
    """Every replica is ejected. `retry_after` is the number of seconds until the first may be tried again."""

    status = 503

    def __init__(self, name: str, retry_after: float) -> None:
        super().__init__(f"No replica of {name} is healthy.")
        self.retry_after = retry_after


class Overloaded(UpstreamError):
    """Every connection is in use, and too many requests wait already, or this one has waited too long."""

    status = 503

    def __init__(self, name: str, retry_after: float) -> None:
        super().__init__(f"Too many requests wait for {name}.")
        self.retry_after = retry_after


class ConnectError(UpstreamError):
    """No connection: refused, unreachable, unknown name, or a failed TLS handshake."""


class UpstreamTimeout(UpstreamError):
    """A deadline passed in `phase`: connect, send (upload stalled), first_byte (the head), idle (body), or total."""

    status = 504

    def __init__(self, phase: Phase, *, replica: str | None = None) -> None:
        super().__init__(f"The upstream's {phase} deadline has passed.", replica=replica)
        self.phase: Phase = phase


class BadUpstreamResponse(UpstreamError):
    """The answer is not right HTTP/1.1, or one that could be read in two ways. `reason` fits a metric's label."""

    def __init__(self, reason: str, *, replica: str | None = None) -> None:
        super().__init__(f"The upstream's answer is malformed: {reason}.", replica=replica)
        self.reason = reason


class UpstreamClosed(UpstreamError):
    """The connection ended before the answer was complete."""


class RequestBodyError(Exception):
    """The body source ended before, or went on after, the length that it had promised."""


class RequestBodyTooSlow(RequestBodyError):
    """The body source hadn't come to its end when the total deadline passed, and the upstream waited for it."""
