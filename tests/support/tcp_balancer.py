"""The least that a balancer does: new connections go to backends that call themselves ready."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Sequence

from tests.support.closing import close_all

CHECK_SECONDS = 0.1
READY = b"GET /readyz?core=true HTTP/1.1\r\nHost: balancer\r\nConnection: close\r\n\r\n"


class TcpBalancer:
    """Forwards bytes; lives on the event loop that calls `start`."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.ready: set[int] = set()
        self.port = 0
        self._ports = ports
        self._turn = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        for port in self._ports:
            self._spawn(asyncio.create_task(self._watch(port)))

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await close_all(self._writers)

    def _spawn(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watch(self, port: int) -> None:
        while True:
            is_ready = False
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(2):
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                    self._writers.add(writer)
                    writer.write(READY)
                    is_ready = (await reader.readline()).startswith(b"HTTP/1.1 200 ")
                    writer.close()
                    self._writers.discard(writer)
            (self.ready.add if is_ready else self.ready.discard)(port)
            await asyncio.sleep(CHECK_SECONDS)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ready = sorted(self.ready)
        self._writers.add(writer)
        try:
            there = await asyncio.open_connection("127.0.0.1", ready[next(self._turn) % len(ready)])
        except (OSError, ZeroDivisionError):
            writer.close()
            return
        self._writers.add(there[1])
        self._spawn(asyncio.create_task(_carry(reader, there[1])))
        self._spawn(asyncio.create_task(_carry(there[0], writer)))


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
