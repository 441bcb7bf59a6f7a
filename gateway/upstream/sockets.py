"""What the kernel knows of a transport's socket, and asyncio doesn't tell."""

from __future__ import annotations

import asyncio
import os
import select
import socket
from collections.abc import Iterator


def is_silent(transport: asyncio.Transport) -> bool:
    """Tell whether neither an end nor any bytes have come that the event loop hasn't told us of yet."""
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
    return not poll.poll(0)


def received_before_reset(transport: asyncio.Transport) -> Iterator[bytes]:
    """What the kernel still holds for a transport that is lost: asyncio doesn't look for it once a write has failed.

    Nothing where it would be encrypted.
    """
    if transport.get_extra_info("ssl_object") is not None:
        return
    try:
        with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as twin:
            while data := twin.recv(65536, socket.MSG_DONTWAIT):
                yield data
    except OSError:
        return  # there is no more
