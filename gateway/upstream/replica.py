"""One replica of an upstream: where it is, its connections, and whether it is to be trusted with requests."""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import Callable
from functools import partial

from gateway.sockets import is_silent
from gateway.upstream.base_url import parse_base_url
from gateway.upstream.breaker import Breaker
from gateway.upstream.connection import Connection, Owner, StaleConnection
from gateway.upstream.errors import ConnectError, UpstreamError, UpstreamTimeout
from gateway.upstream.policy import UpstreamPolicy


class Replica:
    """The connections' owner. A request holds one of `max_connections` slots from `take` until its exchange ends.

    `on_free` is called after each time a slot has become free or the breaker has changed; `on_change` with this
    replica's name when it is ejected (True) and when it is back (False).

    Where there is no probe, the request that takes a slot when a trial is due is the trial. It is told from the older
    ones that are still under way by a ticket, until it has a connection, and by that connection from then on.
    """

    __slots__ = (
        "_clock",
        "_connections",
        "_host",
        "_idle",
        "_on_free",
        "_policy",
        "_port",
        "_ticket",
        "_tls",
        "_trial",
        "_trial_until",
        "breaker",
        "host_line",
        "name",
        "outstanding",
        "probe",
    )

    def __init__(
        self,
        url: str,
        policy: UpstreamPolicy,
        clock: Callable[[], float],
        on_free: Callable[[], None],
        tls: ssl.SSLContext | None = None,
        on_change: Callable[[str, bool], None] | None = None,
    ) -> None:
        scheme, host, port = parse_base_url(url)
        bracketed = f"[{host}]" if ":" in host else host
        is_default_port = port == (443 if scheme == "https" else 80)
        authority = bracketed if is_default_port else f"{bracketed}:{port}"
        self.name = f"{bracketed}:{port}"
        self.host_line = b"host: %b\r\n\r\n" % authority.encode("ascii")  # and the end of the head
        self.breaker = Breaker(policy.breaker, None if on_change is None else partial(on_change, self.name))
        self.outstanding = 0
        self.probe: asyncio.Task[None] | None = None
        self._host = host
        self._port = port
        self._tls = (tls or ssl.create_default_context()) if scheme == "https" else None
        self._policy = policy
        self._clock = clock
        self._on_free = on_free
        self._connections: set[Connection] = set()
        self._idle: list[Connection] = []  # the last one used is the next one used: the others grow old and go
        self._trial: object = None  # the request that is one: its ticket, then its connection
        self._trial_until = math.inf
        self._ticket: object = None  # until the trial has asked for a connection

    # Slots

    def has_room(self, now: float) -> bool:
        return self.outstanding < self._policy.max_connections and self.accepts(now)

    def accepts(self, now: float) -> bool:
        """Tell whether requests may go here: it is healthy, or a trial is due and a request must serve as one."""
        breaker = self.breaker
        return breaker.state == "closed" or (self._policy.probe_path is None and breaker.may_try(now))

    def take(self) -> None:
        self.outstanding += 1
        if self.breaker.state == "open":
            self.breaker.begin_trial()
            self._trial = self._ticket = object()
            # As long as a probe gets: a body can take much longer, and a tunnel lasts for hours.
            self._trial_until = self._clock() + self._policy.probe_seconds
            self.drop_idle()  # the trial must ask `connect`, which takes its ticket

    def give_back(self) -> None:
        """Return a slot that was taken, but not used for an exchange."""
        if self._ticket is not None:
            self._end_trial(has_failed=False)
        self.outstanding -= 1
        self._on_free()

    def _end_trial(self, *, has_failed: bool) -> None:
        self._forget_trial()
        if has_failed:
            self.breaker.fail_trial(self._clock())
        else:
            self.breaker.abandon_trial(self._clock())

    def _forget_trial(self) -> None:
        self._trial = self._ticket = None
        self._trial_until = math.inf

    # Connections

    def pop_idle(self, now: float, *, is_safe: bool) -> Connection | None:
        """Return a kept-alive connection. What must not be sent twice gets only one that the kernel calls alive."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            transport = connection.transport
            if connection.deadline > now and not transport.is_closing() and (is_safe or is_silent(transport)):
                return connection
            self._connections.discard(connection)
            transport.abort()
        return None

    def drop_idle(self) -> None:
        """Close them all: one of them was found dead."""
        while self._idle:
            connection = self._idle.pop()
            self._connections.discard(connection)
            connection.transport.abort()

    async def connect(self, until: float) -> Connection:
        """Open a connection. Raises ConnectError, or UpstreamTimeout if it takes until the time `until`."""
        if len(self._connections) >= self._policy.max_connections and self._idle:
            oldest = self._idle.pop(0)
            self._connections.discard(oldest)
            oldest.transport.abort()
        ticket, self._ticket = self._ticket, None
        try:
            connection = await self.open(self, until)
        except BaseException as error:
            self._note_failure(ticket, error)
            raise
        if ticket is not None and ticket is self._trial:
            self._trial = connection
        return connection

    async def open(self, owner: Owner, until: float) -> Connection:
        """Open a connection for `owner`, outside this replica's pool; raises as `connect`."""
        loop = asyncio.get_running_loop()
        started = self._clock()
        try:
            async with asyncio.timeout(until - started):
                _, connection = await loop.create_connection(
                    lambda: Connection(owner, loop, self._policy.deadlines, self._clock),
                    self._host,
                    self._port,
                    ssl=self._tls,
                )
        except TimeoutError as error:
            raise UpstreamTimeout("connect", replica=self.name) from error
        except OSError as error:
            raise ConnectError(f"{self.name} can't be reached: {error}", replica=self.name) from error
        connection.connect_seconds = self._clock() - started
        return connection

    def sweep(self, now: float) -> bool:
        """End what has passed its deadline; tell whether there is anything left to watch."""
        for connection in [each for each in self._connections if each.deadline <= now]:
            connection.expire(now)
        if self._trial_until <= now:
            self._end_trial(has_failed=True)
        return bool(self._connections) or self.breaker.state != "closed"

    def close(self) -> None:
        """End everything now, exchanges under way too."""
        if self.probe is not None:
            self.probe.cancel()
        for connection in list(self._connections):
            connection.close()

    @property
    def idle_count(self) -> int:
        return len(self._idle)

    # What the connections tell

    def opened(self, connection: Connection) -> None:
        self._connections.add(connection)

    def lost(self, connection: Connection) -> None:
        """A connection without an exchange has ended."""
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def done(self, connection: Connection, *, reusable: bool) -> None:
        if self.breaker.failures:
            self._forget_trial()  # whichever it was: there is no need of one any more
            self.breaker.record_success()
        if reusable:
            connection.deadline = self._clock() + self._policy.keepalive_seconds
            self._idle.append(connection)
        else:
            self._connections.discard(connection)
        self.outstanding -= 1
        self._on_free()

    def failed(self, connection: Connection, error: BaseException) -> None:
        self._connections.discard(connection)
        self._note_failure(connection, error)
        self.outstanding -= 1
        self._on_free()

    def abandoned(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if connection is self._trial:
            self._end_trial(has_failed=False)
        self.outstanding -= 1
        self._on_free()

    def _note_failure(self, request: object, error: BaseException) -> None:
        """Tell the breaker how a request ended that had this connection, or this ticket (None: it was no trial)."""
        has_failed = _is_replicas_fault(error)
        if request is not None and request is self._trial:
            self._end_trial(has_failed=has_failed)
        elif has_failed:
            self.breaker.record_failure(self._clock())


def _is_replicas_fault(error: BaseException) -> bool:
    return isinstance(error, UpstreamError) and not isinstance(error, StaleConnection) and not _is_readers_fault(error)


def _is_readers_fault(error: UpstreamError) -> bool:
    """Tell whether the total deadline passed in mid-body: its reader is as likely to be slow as the replica."""
    return isinstance(error, UpstreamTimeout) and error.phase == "total"
