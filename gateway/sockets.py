"""What the kernel knows of a transport's socket, and asyncio doesn't tell."""

from __future__ import annotations

import asyncio
import fcntl
import os
import select
import socket
import struct
import termios
from collections.abc import Iterator
from typing import Final

TCP_CLOSE: Final = 7  # tcp(7), <netinet/tcp.h>: reset by the other end, unless it is we who have closed
TCP_CLOSE_WAIT: Final = 8  # the other end has closed its side


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


def tcp_state(transport: asyncio.Transport) -> int | None:
    """TCP's state of a connection, which is known though it isn't read; None where it isn't told: only Linux does."""
    connection: socket.socket | None = transport.get_extra_info("socket")
    if connection is None or not hasattr(socket, "TCP_INFO") or connection.family == socket.AF_UNIX:
        return None
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


def unsent_bytes(transport: asyncio.Transport) -> int:
    """How many bytes wait in the transport, or in the kernel for the other side's confirmation.

    Where the kernel doesn't tell (it isn't Linux, the socket is closed), only what waits in the transport.
    """
    waiting: int = transport.get_write_buffer_size()
    connection = transport.get_extra_info("socket")
    try:
        held: int = struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4)))[0]
    except (OSError, ValueError, AttributeError):
        return waiting
    return waiting + held


class Stall:
    """Looks now and then whether the other side takes what was written to a transport that has asked for a pause.

    The transport itself tells only when nearly all of it is taken.
    """

    def __init__(self, transport: asyncio.Transport, now: float) -> None:
        self._transport = transport
        self._unsent = unsent_bytes(transport)
        self._since = now

    def seconds(self, now: float) -> float:
        """For how long nothing has been taken, as far as the looks before could see."""
        unsent = unsent_bytes(self._transport)
        if unsent < self._unsent:
            self._unsent, self._since = unsent, now
        return now - self._since
