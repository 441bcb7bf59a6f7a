"""Ports for a whole system of its own: an offset to the usual four at which none of them is taken."""

from __future__ import annotations

import socket
from collections.abc import Iterable

PORTS = (8000, 8001, 8002, 8003)


class NoFreePorts(Exception):
    """At every offset some port is taken."""


def free_offset(offsets: Iterable[int]) -> int:
    """The first of these offsets at which all four ports are free just now.

    Raises:
        NoFreePorts: There is none.
    """
    for offset in offsets:
        if all(is_free(port + offset) for port in PORTS):
            return offset
    raise NoFreePorts("no free ports were found: is another load test or a test suite running?")


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback interface."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
