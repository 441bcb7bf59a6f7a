"""One named upstream: send a request to one of its replicas, and again where that can't do harm."""

from __future__ import annotations

import asyncio
import math
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Final

from gateway.upstream.balancer import Balancer, ReplicaSnapshot
from gateway.upstream.budget import RetryBudget
from gateway.upstream.connection import StaleConnection
from gateway.upstream.errors import ConnectError, Overloaded, UpstreamClosed, UpstreamError, UpstreamTimeout
from gateway.upstream.policy import UpstreamPolicy
from gateway.upstream.replica import Replica
from gateway.upstream.request import SAFE_METHODS, BodySource, Headers, framing_of, render_head
from gateway.upstream.response import UpstreamResponse
from gateway.upstream.upload import pump, read_whole

SMALL_BODY_BYTES: Final = 64 * 1024  # up to this length a body is read before a connection is taken, and sent at once
UPLOADS_SHARE: Final = 2  # larger ones hold a connection for as long as their senders like: not more than one in two


class UpstreamService:
    """One upstream with its replicas. Belongs to one event loop; opens nothing before the first `send`.

    Raises ValueError for URLs that aren't plain http(s)://HOST[:PORT]. `clock` and `tls` are seams for tests;
    `on_change` is called with a replica's name when it is ejected (True) and when it is back (False).
    """

    def __init__(
        self,
        name: str,
        urls: Sequence[str],
        policy: UpstreamPolicy | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        tls: ssl.SSLContext | None = None,
        on_change: Callable[[str, bool], None] | None = None,
    ) -> None:
        self.name = name
        self.policy = policy or UpstreamPolicy()
        self._clock = clock
        self._balancer = Balancer(name, urls, self.policy, clock, tls, on_change)
        self._budget = RetryBudget(self.policy.retry_budget_ratio)
        self._uploads = 0  # under way, or about to be
        self._most_uploads = max(1, self.policy.max_connections * len(urls) // UPLOADS_SHARE)

    async def send(self, request: Outgoing) -> UpstreamResponse:
        """Return the upstream's answer, whatever its status. A request is sent once. Being cancelled ends it at once.

        Raises UpstreamError, RequestBodyError, and what the body source raises.
        """
        source = request.source
        if source is not None:
            length = source.known_length
            if length is not None and length <= SMALL_BODY_BYTES:
                request.body = await read_whole(source, length)
                request.source = None
        now = self._clock()  # until now the client alone was slow or fast
        request.total_at = now + self.policy.deadlines.total_seconds
        self._budget.note_request()
        is_upload = request.source is not None
        if is_upload:
            self._begin_upload()
        try:
            while True:
                try:
                    return await self._attempt(request, now)
                except UpstreamError as error:
                    now = self._clock()
                    if not self._may_retry(request, error, now):
                        raise
        finally:
            if is_upload and not request.is_spent:  # else it counts until it ends, which may be after its answer
                self._uploads -= 1

    async def _attempt(self, request: Outgoing, now: float) -> UpstreamResponse:
        replica = self._balancer.take_now(now, request.avoid)
        if replica is None:
            replica = await self._balancer.take(self._connect_until(request, now))
            now = self._clock()
        request.replica = replica
        can_repeat = request.is_safe and request.source is None
        connection = None if request.wants_fresh else replica.pop_idle(now, is_safe=can_repeat)
        if connection is None:
            self._balancer.watch()
            try:
                connection = await replica.connect(self._connect_until(request, now))
            except BaseException:
                replica.give_back()
                raise
            now = self._clock()
        data = request.head + (replica.host_line if request.lacks_host else b"\r\n") + request.body
        answer = connection.begin(
            data,
            is_head_request=request.is_head_request,
            started=now,
            total_at=request.total_at,
            may_switch=request.may_switch,
        )
        if request.source is not None:
            request.is_spent = True
            upload = asyncio.get_running_loop().create_task(pump(request.source, connection))
            upload.add_done_callback(self._upload_ended)
            connection.upload(upload)
        try:
            return await answer
        except asyncio.CancelledError:
            connection.withdraw(answer)
            raise

    def _begin_upload(self) -> None:
        if self._uploads >= self._most_uploads:
            raise Overloaded(self.name, 1.0)
        self._uploads += 1

    def _upload_ended(self, _upload: asyncio.Task[None]) -> None:
        self._uploads -= 1

    def _connect_until(self, request: Outgoing, now: float) -> float:
        return min(now + self.policy.deadlines.connect_seconds, request.total_at)

    def _may_retry(self, request: Outgoing, error: UpstreamError, now: float) -> bool:
        """Decide whether to try again, and how: never what may be done twice, and within the budget."""
        replica = request.replica
        if request.is_spent or now >= request.total_at or replica is None or self._balancer.is_closed:
            return False
        if isinstance(error, StaleConnection):
            # No failure of the replica: it had closed an idle connection.
            replica.drop_idle()
            request.wants_fresh = True
            return request.is_safe and self._budget.spend(on_credit=True)
        is_timeout = isinstance(error, UpstreamTimeout)
        if isinstance(error, ConnectError) or (isinstance(error, UpstreamTimeout) and error.phase == "connect"):
            pass  # nothing was sent
        elif not request.is_safe or not (is_timeout or isinstance(error, UpstreamClosed)):
            return False
        if is_timeout and not self._balancer.has_other(replica, now):
            return False  # it would only take as long again
        if request.retries >= self.policy.retries or not self._budget.spend():
            return False
        request.retries += 1
        request.avoid = replica
        return True

    @property
    def waiting(self) -> int:
        """How many requests wait for a connection."""
        return self._balancer.waiting

    def snapshot(self) -> tuple[ReplicaSnapshot, ...]:
        """Describe each replica as it is now, in the order of the URLs."""
        return self._balancer.snapshot()

    async def aclose(self) -> None:
        """End everything at once, exchanges under way too: wait for those before, if they are to finish."""
        await self._balancer.aclose()


class Outgoing:
    """One request that is ready to be sent, and what its attempts have come to."""

    __slots__ = (
        "avoid",
        "body",
        "head",
        "is_head_request",
        "is_safe",
        "is_spent",
        "lacks_host",
        "may_switch",
        "replica",
        "retries",
        "source",
        "total_at",
        "wants_fresh",
    )

    def __init__(
        self,
        head: bytes,
        body: bytes,
        source: BodySource | None,
        *,
        is_head_request: bool,
        is_safe: bool,
        lacks_host: bool,
        may_switch: bool,
    ) -> None:
        self.head = head
        self.body = body
        self.source = source
        self.is_head_request = is_head_request
        self.is_safe = is_safe
        self.lacks_host = lacks_host
        self.may_switch = may_switch
        self.total_at = math.inf
        self.replica: Replica | None = None  # of the last attempt
        self.avoid: Replica | None = None
        self.wants_fresh = False
        self.is_spent = False  # the body source has been read from
        self.retries = 0


def prepare(
    method: bytes,
    target: bytes,
    headers: Headers,
    body: BodySource | bytes | None = None,
    *,
    rendered: bytes = b"",
    safe_to_retry: bool | None = None,
    may_switch: bool = False,
) -> Outgoing:
    """Make a request for any of an upstream's replicas.

    `headers` are end-to-end fields with lower-case names; Host is added unless given, framing always.
    `rendered` are more of them, as lines that end in CRLF, unchecked: for what the caller has made itself.
    `safe_to_retry` defaults to whether the method is safe.
    `may_switch`: a WebSocket is asked for, and an answer of 101 has its `switched`.
    Raises ValueError for fields that break lines.
    """
    fields = dict(headers)
    return Outgoing(
        render_head(method, target, headers, fields, framing_of(method, body), rendered),
        body if isinstance(body, bytes) else b"",
        None if isinstance(body, bytes) else body,
        is_head_request=method == b"HEAD",
        is_safe=method in SAFE_METHODS if safe_to_retry is None else safe_to_retry,
        lacks_host=b"host" not in fields,
        may_switch=may_switch,
    )
