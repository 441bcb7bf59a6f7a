"""How a process stops on SIGTERM without failing a request: first not ready, then no new connections, then gone.

    SIGTERM → /readyz answers 503, everything else goes on for DRAIN_SECONDS: a balancer notices and turns elsewhere
            → the listener closes; what had been accepted by then is served
            → idle connections may carry one last request for a moment, since one may be on its way
            → what is under way is finished, up to the server's limit; exit code 0
SIGINT, or a second SIGTERM, leaves out the first step.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from types import FrameType

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from servicekit.logs import get_logger

IDLE_SECONDS = 1.0
log = get_logger()


class Draining:
    """Whether this process has been asked to stop."""

    def __init__(self) -> None:
        self.begun = False


draining = Draining()
"""Of this process: signals are the process's, too."""


class GracefulServer(uvicorn.Server):
    """uvicorn's server with the first step, and with a listener that drops nobody when it closes."""

    def __init__(self, config: uvicorn.Config, drain_seconds: float) -> None:
        super().__init__(config)
        self._drain_seconds = drain_seconds
        self._stops_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Hear of SIGINT or SIGTERM.

        SIGTERM isn't handed to uvicorn, which would raise it again in the end: dying of it loses the last log lines.
        """
        was_begun, draining.begun = draining.begun, True
        if sig != signal.SIGTERM:
            super().handle_exit(sig, frame)
        elif was_begun:
            self.should_exit = True
        else:
            self._stops_at = time.monotonic() + self._drain_seconds

    async def on_tick(self, counter: int) -> bool:
        if self._stops_at is not None and time.monotonic() >= self._stops_at:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the listener with an empty queue: the kernel resets connections that nobody has accepted yet."""
        late: list[socket.socket] = []
        for listener in sockets or []:
            with contextlib.suppress(OSError):  # BlockingIOError: the queue is empty
                while True:
                    late.append(listener.accept()[0])
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in late:
            connection.setblocking(False)
            with contextlib.suppress(OSError):  # gone already
                await asyncio.get_running_loop().connect_accepted_socket(self._make_protocol, connection)
        await super().shutdown(sockets)

    def _make_protocol(self) -> asyncio.Protocol:
        protocol_class: type[HttpToolsProtocol] = self.config.http_protocol_class  # type: ignore[assignment]  # ours
        return protocol_class(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which at shutdown doesn't close an idle connection on a request that is on its way."""

    _is_leaving = False

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self._is_leaving or draining.begun:
            self.cycle.keep_alive = False  # the answer says so: its client uses another connection from then on

    def shutdown(self) -> None:
        """Called by the server when it has closed its listener."""
        if self._is_idle():
            self._is_leaving = True
            self.loop.call_later(IDLE_SECONDS, self._close_if_idle)
        else:
            super().shutdown()

    def _is_idle(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _close_if_idle(self) -> None:
        if self._is_idle():
            self.transport.close()
