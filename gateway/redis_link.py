"""The data path's own connection to Redis: while it is busy, commands of one event-loop turn leave together.

redis-py costs 20–50 µs of CPU a call on this path, this costs about 3 (hiredis parses, a future waits). It does one
thing: send a rendered command, hand back its reply. Replies come in the order of the commands, and each
command's place in that order is kept even when nobody waits for it any more, so a cancelled request's reply is thrown
away and never reaches another.

Redis gone: ``RedisUnavailable`` at once. Redis hung: after ``ANSWER_SECONDS``, for all that wait, and at once for
those who come after, until a new connection has been made and has answered. It tries again every RECONNECT_SECONDS.
A server that has become a read-only replica is left, and taken again by its name: that may be another one by now.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import hiredis
from redis.asyncio.connection import parse_url

from servicekit.logs import get_logger

log = get_logger()
ANSWER_SECONDS = 0.5
CONNECT_SECONDS = 0.5
RECONNECT_SECONDS = 0.25
MOST_TOGETHER = 16  # commands in one write: Redis begins while the rest of the turn is read (4 % more requests)
REFUSALS_LOGGED_SECONDS = 5.0  # one in so long


_OF_A_REPLICA = frozenset({"READONLY", "MASTERDOWN"})


class RedisUnavailable(Exception):
    """Redis can't be asked now."""


def render_command(*arguments: bytes) -> bytes:
    """A command in RESP: an array of bulk strings."""
    return b"*%d\r\n%b" % (len(arguments), render_strings(*arguments))


def render_strings(*arguments: bytes) -> bytes:
    """A part of a command: its next bulk strings."""
    return b"".join([b"$%d\r\n%b\r\n" % (len(argument), argument) for argument in arguments])


def tls_context(options: Mapping[str, Any]) -> ssl.SSLContext | None:
    """How to speak TLS with the server of a ``rediss://`` URL that redis-py has parsed; None for ``redis://``.

    ``ssl_ca_certs``, ``ssl_certfile``, ``ssl_keyfile``, ``ssl_cert_reqs=none`` and ``ssl_check_hostname`` in the URL's
    query mean what they mean to redis-py, with which the other services connect to the same server.
    """
    if "SSL" not in str(options.get("connection_class", "")):  # redis-py names its TLS class there
        return None
    context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"))
    if options.get("ssl_certfile"):
        context.load_cert_chain(options["ssl_certfile"], options.get("ssl_keyfile"))
    if options.get("ssl_cert_reqs") == "none" or options.get("ssl_check_hostname") is False:
        context.check_hostname = False
    if options.get("ssl_cert_reqs") == "none":
        context.verify_mode = ssl.CERT_NONE
    return context


class _Connection(asyncio.Protocol):
    """One socket: replies are matched to waiting futures in order."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._reader = hiredis.Reader()
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._outbox: list[bytes] = []
        self._is_quiet = True  # the last command was alone
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._oldest_since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # create_connection makes a Transport

    def call(self, command: bytes) -> asyncio.Future[Any]:
        future = self._loop.create_future()
        waiting = self._waiting
        if not waiting:
            self._oldest_since = self._loop.time()
        if self._is_quiet and not waiting and self._transport is not None:
            # Commands come one by one: there are no others to wait for in this turn (0.02 ms).
            self._transport.write(command)
        else:
            self._is_quiet = False
            if not self._outbox:
                self._loop.call_soon(self._flush)
            self._outbox.append(command)
        waiting.append(future)
        if len(self._outbox) >= MOST_TOGETHER:
            self._flush()
        if self._timer is None:
            self._timer = self._loop.call_later(ANSWER_SECONDS, self._check_deadline)
        return future

    def _flush(self) -> None:
        if not self._outbox:  # it was full in mid-turn
            return
        if self._transport is not None and not self.closed:
            self._transport.write(b"".join(self._outbox))
        self._is_quiet = len(self._waiting) == 1
        self._outbox.clear()

    def data_received(self, data: bytes) -> None:
        reader, waiting = self._reader, self._waiting
        reader.feed(data)
        try:
            while (reply := reader.gets()) is not False:
                future = waiting.popleft()
                if not future.done():  # its request may have been cancelled
                    future.set_result(reply)
        except (hiredis.ProtocolError, IndexError):
            self.close("protocol error")
            return
        if waiting:
            # Redis answers in order, so the oldest has waited no longer than since the last answer.
            self._oldest_since = self._loop.time()

    def _check_deadline(self) -> None:
        self._timer = None
        if not self._waiting:
            return
        left = self._oldest_since + ANSWER_SECONDS - self._loop.time()
        if left <= 0:
            self.close("no answer in time")
        else:
            self._timer = self._loop.call_later(left + 0.005, self._check_deadline)

    def connection_lost(self, error: Exception | None) -> None:
        self.close("connection lost")

    def close(self, reason: str) -> None:
        if self.closed:
            return
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()
        for future in self._waiting:
            if not future.done():
                future.set_exception(RedisUnavailable(reason))
        self._waiting.clear()
        self._link.lost(self, reason)


class RedisLink:
    """A connection that is made again whenever it breaks.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://`` with user, password and database number, as redis-py reads it.
        scripts: Lua sources to load on every new connection, called by their place in this sequence.
    """

    def __init__(self, url: str, scripts: Sequence[bytes]) -> None:
        self._options = parse_url(url.replace("valkeys://", "rediss://").replace("valkey://", "redis://"))
        self._scripts = scripts
        self._connection: _Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._broken = asyncio.Event()
        self._up = asyncio.Event()
        self._refusal_logged_at = float("-inf")
        self.run_id = b""
        self.shas: list[bytes] = []

    @property
    def is_up(self) -> bool:
        return self._connection is not None

    async def start(self, wait_seconds: float = 1.0) -> None:
        """Connect, and keep connected; returns when connected or after ``wait_seconds``."""
        self._task = asyncio.create_task(self._stay_connected(), name="redis-link")
        try:
            await asyncio.wait_for(self._up.wait(), wait_seconds)
        except TimeoutError:
            log.warning("redis_unreachable_at_start")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._connection is not None:
            self._connection.close("stopping")

    def call(self, command: bytes) -> asyncio.Future[Any]:
        """Send a rendered command with this turn's others.

        The future's result is the reply, which may be a ``hiredis.ReplyError`` value, or it raises RedisUnavailable.

        Raises:
            RedisUnavailable: There is no connection now.
        """
        connection = self._connection
        if connection is None:
            raise RedisUnavailable("not connected")
        return connection.call(command)

    def note_refusal(self, error: str) -> None:
        """Log that a command was answered with an error (full memory, a missing right), not more often than needed."""
        code = error.partition(" ")[0]
        now = asyncio.get_running_loop().time()
        if now - self._refusal_logged_at >= REFUSALS_LOGGED_SECONDS:
            self._refusal_logged_at = now
            log.error("redis_refused", error=code)
        if code in _OF_A_REPLICA and self._connection is not None:
            self._connection.close("a replica")

    def lost(self, connection: _Connection, reason: str) -> None:
        if self._connection is connection:
            self._connection = None
            self._up.clear()
            self._broken.set()
            if reason != "stopping":
                log.warning("redis_lost", reason=reason)

    async def _stay_connected(self) -> None:
        failing = False
        while True:
            try:
                async with asyncio.timeout(CONNECT_SECONDS + ANSWER_SECONDS):
                    await self._connect()
            except (OSError, TimeoutError, RedisUnavailable, hiredis.ReplyError) as error:
                if not failing:
                    log.warning("redis_unreachable", error=type(error).__name__)
                failing = True
                await asyncio.sleep(RECONNECT_SECONDS)
                continue
            failing = False
            log.info("redis_connected")
            await self._broken.wait()

    async def _connect(self) -> None:
        options = self._options
        loop = asyncio.get_running_loop()
        if "path" in options:
            _, connection = await loop.create_unix_connection(lambda: _Connection(self), options["path"])
        else:
            host, port = options.get("host", "127.0.0.1"), options.get("port", 6379)
            tls = tls_context(options)
            _, connection = await loop.create_connection(lambda: _Connection(self), host, port, ssl=tls)
        try:
            await self._greet(connection)
        except BaseException:
            connection.close("greeting failed")
            raise
        if connection.closed:  # its end came with the last reply, and nobody was told: it was nobody's yet
            raise RedisUnavailable("closed after the greeting")
        self._broken.clear()
        self._connection = connection
        self._up.set()

    async def _greet(self, connection: _Connection) -> None:
        async def ask(*arguments: bytes) -> Any:
            if connection.closed:
                raise RedisUnavailable("closed in the greeting")
            reply = await connection.call(render_command(*arguments))
            if isinstance(reply, hiredis.ReplyError):
                raise reply
            return reply

        options = self._options
        if options.get("password"):
            user = [options["username"].encode()] if options.get("username") else []
            await ask(b"AUTH", *user, options["password"].encode())
        if int(options.get("db") or 0):
            await ask(b"SELECT", str(options["db"]).encode())
        info: bytes = await ask(b"INFO", b"server")
        self.run_id = next((line[7:].strip() for line in info.split(b"\n") if line.startswith(b"run_id:")), b"")
        if not self.run_id:
            raise RedisUnavailable("the server doesn't tell its run_id")
        if b"slave_read_only:1" in await ask(b"INFO", b"replication"):
            raise RedisUnavailable("a read-only replica")
        self.shas = [await ask(b"SCRIPT", b"LOAD", script) for script in self._scripts]
