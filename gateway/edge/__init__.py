"""The gateway's open edge: an HTTP/1.1 server protocol for uvicorn that is strict in what it accepts."""

from gateway.edge.deadlines import EdgeLimits
from gateway.edge.errors import ResponseAborted
from gateway.edge.exchange import EXTENSION, Exchange
from gateway.edge.protocol import EdgeProtocol
from gateway.edge.refusal import Refusal, refusals

__all__ = ["EXTENSION", "EdgeLimits", "EdgeProtocol", "Exchange", "Refusal", "ResponseAborted", "refusals"]
