"""A Redis that breaks the protocol while it is greeted is one that can't be reached yet: it is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from gateway.redis_link import RedisLink, RedisUnavailable, render_command
from tests.support.wait import until

ANSWERS = {
    b"server": b"$12\r\nrun_id:abc\r\n\r\n",
    b"replication": b"$13\r\nrole:master\r\n\r\n",
    b"LOAD": b"$40\r\n%b\r\n" % (b"a" * 40),
    b"GET": b"$5\r\nhello\r\n",
}
GREETING = (b"server", b"replication", b"LOAD")
LOOPS = (asyncio.new_event_loop, uvloop.new_event_loop)  # what is closed may be written to in the first only


class BrokenRedis:
    """Adds a reply that nobody has asked for to one answer, on all connections while `is_broken`."""

    def __init__(self, breaks_at: bytes) -> None:
        self.breaks_at = breaks_at
        self.is_broken = True
        self.connections = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while command := await reader.read(65536):
                asked = next(name for name in ANSWERS if name in command)
                surplus = b"+OK\r\n" if self.is_broken and asked == self.breaks_at else b""
                writer.write(ANSWERS[asked] + surplus)
        except ConnectionError:
            pass
        finally:
            writer.close()


@pytest.mark.parametrize("new_loop", LOOPS, ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("breaks_at", GREETING)
def test_one_reply_too_many_in_the_greeting_is_a_failed_attempt(
    breaks_at: bytes, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def run() -> None:
        redis = BrokenRedis(breaks_at)
        link = RedisLink(await redis.start(), [b"return 1"])
        try:
            await link.start(wait_seconds=0.1)
            async with asyncio.timeout(10):
                while redis.connections < 3:
                    assert not link.is_up
                    with pytest.raises(RedisUnavailable):
                        await link.call(render_command(b"GET", b"a"))
                    await asyncio.sleep(0.01)
                redis.is_broken = False
                await asyncio.to_thread(until, lambda: link.is_up)
                assert await link.call(render_command(b"GET", b"a")) == b"hello"
        finally:
            await link.stop()
            redis.stop()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(run())
