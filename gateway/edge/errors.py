"""How a request or a response ends early.

Refused           the client's message can't be served: it is answered and the connection closed
ResponseAborted   the response can't be finished: the connection is broken off
"""

from __future__ import annotations


class Refused(Exception):
    """The message breaks a rule of HTTP or a limit of ours; `reason` is a constant word fit for a metric's label."""

    def __init__(self, status: int, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail


class ResponseAborted(Exception):
    """Raised by the application in the middle of a response that can't be finished: the connection is broken off."""
