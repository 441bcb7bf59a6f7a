"""What was written to a transport and hasn't reached the other side yet."""

from __future__ import annotations

import asyncio
import fcntl
import struct
import termios


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
