"""Forwarding a request to its upstream, and relaying the answer."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from gateway.edge.errors import ResponseAborted
from gateway.edge.exchange import Exchange
from gateway.gateway_metrics import REPLICA_EJECTED, UPSTREAM_ERRORS
from gateway.headers import forwarded_headers, returned_headers
from gateway.record import Record
from gateway.route import Route, RouteTable
from gateway.upstream import (
    Deadlines,
    NoHealthyReplica,
    Outgoing,
    Overloaded,
    RequestBodyTooSlow,
    UpstreamError,
    UpstreamPolicy,
    UpstreamTimeout,
    prepare,
)
from gateway.upstream.response import UpstreamResponse
from gateway.upstream.service import UpstreamService
from servicekit.logs import get_logger
from servicekit.problems import (
    BadGateway,
    BadRequest,
    GatewayTimeout,
    PayloadTooLarge,
    RequestTimeout,
    ServiceUnavailable,
)

log = get_logger()
RETIRE_CHECK_SECONDS = 0.5


class ClientLeft(Exception):
    """The client closed its connection while its body was awaited."""


class RequestBody:
    """A request's body as it comes in, held to the size limit."""

    __slots__ = ("_done", "_limit", "_receive", "_received", "known_length")

    def __init__(self, receive: Receive, known_length: int | None, limit: int) -> None:
        self.known_length = known_length  # bytes; None: it ends when it ends
        self._receive = receive
        self._limit = limit
        self._received = 0
        self._done = False

    async def read(self) -> bytes:
        """The next bytes, b"" at the end.

        Raises:
            PayloadTooLarge: More came than a body may have. ClientLeft: No more will come.
        """
        while not self._done:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientLeft
            self._done = not message.get("more_body", False)
            data: bytes = message.get("body", b"")
            self._received += len(data)
            if self._received > self._limit:
                raise too_large(self._limit)
            if data:
                return data
        return b""


def too_large(limit: int) -> PayloadTooLarge:
    """413, after which the connection is closed: the rest of the body is of no use."""
    return PayloadTooLarge(f"A body may have at most {limit} bytes.", headers={"Connection": "close"})


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Forwarding:
    """A route table and the upstreams it names: swapped as one when the table is read again."""

    table: RouteTable
    services: Mapping[str, UpstreamService]


def connect_upstreams(table: RouteTable, previous: Forwarding | None = None) -> Forwarding:
    """A client for each upstream; one that is configured as before keeps its connections and its health."""
    services = {}
    for name, block in table.upstreams.items():
        if (
            previous is not None
            and previous.table.upstreams.get(name) == block
            and previous.table.urls[name] == table.urls[name]
        ):
            services[name] = previous.services[name]
            continue
        deadlines = Deadlines(block.connect_seconds, block.first_byte_seconds, block.idle_seconds, block.total_seconds)
        policy = UpstreamPolicy(
            deadlines=deadlines,
            max_connections=block.max_connections,
            max_waiting=block.max_waiting,
            retries=block.retries,
        )
        service = UpstreamService(name, table.urls[name], policy, on_change=partial(_note_ejection, name))
        for replica in service.snapshot():
            REPLICA_EJECTED.labels(name, replica.name).set(0)
        services[name] = service
    return Forwarding(table, services)


def _note_ejection(upstream: str, replica: str, is_ejected: bool) -> None:
    REPLICA_EJECTED.labels(upstream, replica).set(is_ejected)
    if is_ejected:
        log.warning("replica_ejected", upstream=upstream, replica=replica)
    else:
        log.info("replica_back", upstream=upstream, replica=replica)


class Forwarder:
    """Sends requests on by the current table."""

    def __init__(self, forwarding: Forwarding, *, max_body_bytes: int, proxy_token: str | None) -> None:
        self.current = forwarding
        self._max_body_bytes = max_body_bytes
        self._proxy_token = proxy_token or None
        self._retiring: set[asyncio.Task[None]] = set()
        self._past: list[weakref.ref[Forwarding]] = []  # replaced tables; alive while a request holds them

    def replace(self, table: RouteTable) -> None:
        """Use another table from the next request on; an upstream no longer named ends with its last request."""
        old, self.current = self.current, connect_upstreams(table, self.current)
        self._past = [each for each in self._past if each() is not None]
        self._past.append(weakref.ref(old))
        kept = set(map(id, self.current.services.values()))
        for service in old.services.values():
            if id(service) not in kept:
                task = asyncio.create_task(self._retire(service))
                self._retiring.add(task)
                task.add_done_callback(self._retiring.discard)

    async def _retire(self, service: UpstreamService) -> None:
        """Close a client that is no longer in the table when the last request, or tunnel, that may use it has ended."""
        while self._may_be_in_use(service):  # noqa: ASYNC110 - that a table is let go of is no event to wait for
            await asyncio.sleep(RETIRE_CHECK_SECONDS)
        await service.aclose()
        successor = self.current.services.get(service.name)
        present = {replica.name for replica in successor.snapshot()} if successor is not None else set()
        for replica in service.snapshot():
            if replica.name not in present:
                REPLICA_EJECTED.labels(service.name, replica.name).set(0)  # nobody waits for it any more

    def _may_be_in_use(self, service: UpstreamService) -> bool:
        """Whether a table that names it is still held by a request."""
        return any(past is not None and service in past.services.values() for past in (each() for each in self._past))

    async def close(self) -> None:
        for task in self._retiring:
            task.cancel()
        for service in self.current.services.values():
            await service.aclose()

    def body_of(self, fields: Mapping[bytes, bytes], receive: Receive) -> RequestBody | None:
        """The request's body, or None where none is announced (RFC 9112 §6).

        Args:
            fields: Its headers by name.

        Raises:
            PayloadTooLarge: It is announced as larger than a body may be. BadRequest: Its length is no number.
        """
        if b"transfer-encoding" in fields:
            return RequestBody(receive, None, self._max_body_bytes)
        announced = fields.get(b"content-length")
        if announced is None:
            return None
        if not announced.isdigit():
            raise BadRequest("Content-Length is not a number.")
        length = int(announced)
        if length > self._max_body_bytes:
            raise too_large(self._max_body_bytes)
        return RequestBody(receive, length, self._max_body_bytes) if length else None

    def prepare(
        self, path: bytes, scope: Scope, body: RequestBody | None, record: Record, *, websocket: bool = False
    ) -> Outgoing:
        """The request as an upstream gets it.

        Args:
            path: In its normal form.
            websocket: The connection is to switch to one, if the upstream agrees.
        """
        query = scope["query_string"]
        headers, own = forwarded_headers(
            scope["headers"], record.fields, record.facts, scheme=scope["scheme"], proxy_token=self._proxy_token
        )
        if websocket:
            own += b"connection: Upgrade\r\nupgrade: websocket\r\n"
        target = b"%b?%b" % (path, query) if query else path
        return prepare(record.method.encode(), target, headers, body, rendered=own, may_switch=websocket)

    async def forward(
        self, forwarding: Forwarding, route: Route, request: Outgoing, record: Record
    ) -> UpstreamResponse:
        """Send a request; the answer's head is there when this returns.

        Raises:
            UpstreamError: No usable answer came. PayloadTooLarge, ClientLeft: As RequestBody says.
        """
        record.upstream = route.upstream
        began = time.perf_counter()
        try:
            response = await forwarding.services[route.upstream].send(request)
        except ClientLeft:
            raise asyncio.CancelledError from None
        except RequestBodyTooSlow:
            raise RequestTimeout("The request's body didn't come in time.", headers={"Connection": "close"}) from None
        finally:
            record.upstream_seconds = time.perf_counter() - began
        record.replica = response.replica
        return response

    @staticmethod
    def problem_of(error: UpstreamError, record: Record) -> HTTPException:
        """What the client is told of a failed upstream: which one, never where it is."""
        name = record.upstream or "upstream"
        kind = type(error).__name__
        record.replica = error.replica
        record.failure = f"{kind}: {getattr(error, 'reason', None) or getattr(error, 'phase', None) or ''}".rstrip(": ")
        UPSTREAM_ERRORS.labels(name, kind).inc()
        if isinstance(error, NoHealthyReplica | Overloaded):
            return ServiceUnavailable(f"{name} can't take requests right now.", retry_after=error.retry_after)
        if isinstance(error, UpstreamTimeout):
            return GatewayTimeout(f"{name} didn't answer in time.")
        return BadGateway(f"{name} gave no usable answer.")


async def relay(response: UpstreamResponse, send: Send, record: Record, edge: Exchange | None) -> None:
    """Pass an answer on as it comes in; the client's slowness slows the upstream, not the gateway's memory.

    Raises:
        ResponseAborted: The upstream broke off; the client gets a broken message, never one that looks complete.
    """
    fields = response.fields
    headers = returned_headers(
        response.headers, fields, request_id=record.facts.request_id.encode(), limits=record.limit_headers
    )
    body = response.body
    record.status = response.status
    if body is not None:
        if body and b"content-length" not in fields:
            headers.append((b"content-length", b"%d" % len(body)))
        record.started = True
        if edge is not None:
            if edge.write_paused:
                await edge.room_to_write()
            edge.respond(response.status, headers, body)
            return
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return
    record.started = True
    try:
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        while chunk := await response.read_chunk():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    except UpstreamError as error:
        Forwarder.problem_of(error, record)
        raise ResponseAborted from error
    except (HTTPException, ClientLeft, RequestBodyTooSlow) as error:  # the request's body, still on its way, went wrong
        record.failure = type(error).__name__
        raise ResponseAborted from error
    finally:
        response.abort()  # does nothing once the answer has been read to its end
