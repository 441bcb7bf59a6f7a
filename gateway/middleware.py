"""The gateway's data path: one ordered pipeline, pure ASGI, in front of FastAPI's own routing.

    facts (request id, trace, client address)
      → normal form of the path → route → size and shape
      → identify (verify the token, once) → admit (denylist and rate limit, one Redis round trip) → authorize (scopes)
      → forward (pool, balance, deadlines, retry, breaker) → relay (streaming, back-pressure both ways)
      → one log line and the metrics

Paths without a route are the gateway's own: FastAPI answers them (index, health, docs, metrics).
"""

from __future__ import annotations

import asyncio
import time
from typing import NoReturn
from urllib.parse import unquote_to_bytes

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.access_log import AccessLog
from gateway.admit import Admission, Question
from gateway.busy_poll import BusyPoll
from gateway.edge.exchange import EXTENSION, Exchange
from gateway.forward import Forwarder, relay
from gateway.gateway_metrics import REFUSED, observe, settle
from gateway.identify import Caller, Identifier, authorization_of
from gateway.paths import BadPath, check_query, normalise_path
from gateway.rate_policy import Quota, RatePolicy
from gateway.record import Record
from gateway.route import Route
from gateway.settings import Settings
from gateway.tunnel import relay_both_ways
from gateway.upstream import UpstreamError
from servicekit.addresses import client_key
from servicekit.logs import get_logger
from servicekit.middleware import QUIET_PATHS, route_template
from servicekit.problems import (
    BadRequest,
    Forbidden,
    InternalError,
    MethodNotAllowed,
    NotImplementedMethod,
    ServiceUnavailable,
    Unauthorized,
    render,
)
from servicekit.request_context import Networks, current_request, decide_facts

log = get_logger()
ALL_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Gateway:
    """The ASGI application: ``own`` serves what no route claims."""

    def __init__(
        self,
        own: ASGIApp,
        settings: Settings,
        *,
        identifier: Identifier,
        admission: Admission,
        forwarder: Forwarder,
        access_log: AccessLog,
        proxy_token: str | None,
    ) -> None:
        self.own = own
        self.forwarder = forwarder
        self._identifier = identifier
        self._admission = admission
        self._access_log = access_log
        self._proxy_token = proxy_token
        self._trusted: Networks = settings.trusted_proxies
        microseconds = settings.busy_poll_microseconds
        self._busy_poll = BusyPoll(microseconds / 1e6) if microseconds else None
        policies = settings.rate_policies()
        self._anonymous, self._user = policies["anonymous"], policies["user"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.own(scope, receive, send)
            return
        client = scope["client"]
        headers = scope["headers"]
        edge: Exchange | None = scope["extensions"].get(EXTENSION) if "extensions" in scope else None
        fields = dict(headers) if edge is None else edge.fields
        facts = decide_facts(headers, fields, client[0] if client else "", self._trusted, self._proxy_token)
        record = Record(facts, scope["method"], fields)
        if edge is not None:
            edge.request_id = facts.request_id  # for an answer that the edge has to give in our place
        try:
            await self._serve(scope, receive, send, record, edge)
        except HTTPException as problem:
            await self._answer_problem(problem, scope, send, record)
        except UpstreamError as error:
            await self._answer_problem(self.forwarder.problem_of(error, record), scope, send, record)
        except asyncio.CancelledError:
            # The client left, the edge refused what it sent, or the server stops; the upstream is let go of.
            refusal = None if edge is None else edge.refusal
            has_left = edge is None or edge.client_left
            if record.started:
                if record.tunnel is None:
                    record.failure = record.failure or ("ClientLeft" if has_left else "Stopped")
            elif refusal is not None:
                record.status = refusal.status
            elif not has_left:
                stopping = ServiceUnavailable("The gateway stops, and couldn't wait any longer.", retry_after=1)
                await self._answer_problem(stopping, scope, send, record)
            raise
        except Exception as error:
            if record.started:
                raise
            log.exception("unhandled_error", exc_info=error)
            unexpected = InternalError("Something went wrong here. Quote the request id when you report it.")
            await self._answer_problem(unexpected, scope, send, record)
        finally:
            self._finish(scope, record)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, record: Record, edge: Exchange | None) -> None:
        path = self._normal_path(scope)
        forwarding = self.forwarder.current  # one table from here to the end, whatever is reloaded meanwhile
        route = forwarding.table.match(path)
        websocket = edge is not None and edge.wants_websocket
        if websocket and (route is None or not route.websocket):
            raise NotImplementedMethod("WebSocket isn't offered here.")
        if route is None:
            await self._serve_own(scope, receive, send, record)
            return
        record.route = route.prefix
        needed = route.scopes.get(record.method)
        if needed is None:
            self._refuse_method(record.method, route)
        body = self.forwarder.body_of(record.fields, receive)
        caller = None
        if route.needs_token:
            caller = self._remembered(scope, record) or await self._identify(scope, record)
            record.facts.user = caller.username
        question = self._ask(caller, route, record)
        if self._busy_poll is not None:
            self._busy_poll.extend()  # Redis answers soon
        # Prepared while Redis thinks, though it may say no: that takes 0.03 ms off what is added to a lonely request.
        request = self.forwarder.prepare(path, scope, body, record, websocket=websocket)
        record.note_quota(question.policy, await self._admission.answer(question))
        if caller is not None and not needed <= caller.scopes:
            raise Forbidden(f"Your role lacks the scope {' '.join(sorted(needed - caller.scopes))}.")
        if edge is not None:
            edge.when_client_leaves(edge.cancel)
        if self._busy_poll is not None:
            self._busy_poll.extend()  # so may the upstream, which is asked in this turn
        response = await self.forwarder.forward(forwarding, route, request, record)
        if response.switched is None or edge is None:
            await relay(response, send, record, edge)
            return
        await relay_both_ways(
            response,
            edge,
            record,
            forwarding.table.upstreams[route.upstream].tunnel_idle_seconds,
            expires=None if caller is None else caller.expires,
            may_stay=lambda: self._lives(caller),
        )

    @staticmethod
    def _normal_path(scope: Scope) -> bytes:
        raw: bytes = scope["raw_path"]
        try:
            path = normalise_path(raw)
            if scope["query_string"]:
                check_query(scope["query_string"])
        except BadPath as error:
            if raw == b"*" and scope["method"] == "OPTIONS":
                return raw
            raise BadRequest(f"The request's target is malformed: {error.reason.replace('_', ' ')}.") from None
        if path is not raw:
            scope["raw_path"], scope["path"] = path, unquote_to_bytes(path).decode("utf-8")
        return path

    @staticmethod
    def _refuse_method(method: str, route: Route) -> NoReturn:
        if method not in ALL_METHODS:
            raise NotImplementedMethod("This method isn't supported here.")
        raise MethodNotAllowed(f"{route.prefix} doesn't take {method}.", headers={"Allow": route.allow})

    def _remembered(self, scope: Scope, record: Record) -> Caller | None:
        """The caller, if the one token is known to be valid: nearly always, and 0.3 µs sooner than ``_identify``."""
        fields = record.fields
        authorization = fields.get(b"authorization") if len(fields) == len(scope["headers"]) else None
        return None if authorization is None else self._identifier.remembered(authorization)

    async def _identify(self, scope: Scope, record: Record) -> Caller:
        """The caller; a request without a valid token counts as its client's, never as the user's it names."""
        try:
            authorization = authorization_of(scope["headers"], record.fields)
            if authorization is None:
                raise Unauthorized
            return self._identifier.remembered(authorization) or await self._identifier.identify(authorization)
        except (Unauthorized, BadRequest):
            await self._admit_anonymous(self._anonymous, record)
            raise

    def _ask(self, caller: Caller | None, route: Route, record: Record) -> Question:
        """Whether the caller, or a client that needs no token here, may go on."""
        limit = route.limit
        policy = limit.policy if limit else self._anonymous if caller is None else self._user
        if caller is not None and (limit is None or limit.per_subject):
            key = caller.subject
        else:
            key = client_key(record.facts.client_ip)
        return self._admission.ask(b"" if caller is None else caller.denylist_key, policy, key)

    async def _lives(self, caller: Caller | None) -> bool:
        """Whether the caller's session hasn't been revoked, as far as can be told."""
        try:
            await self._admission.admit(b"" if caller is None else caller.denylist_key, None, "")
        except (Unauthorized, ServiceUnavailable):
            return False
        return True

    async def _admit_anonymous(self, policy: RatePolicy, record: Record) -> None:
        quota: Quota | None = await self._admission.admit(b"", policy, client_key(record.facts.client_ip))
        record.note_quota(policy, quota)

    async def _serve_own(self, scope: Scope, receive: Receive, send: Send, record: Record) -> None:
        facts = record.facts
        settle()  # /metrics is one of these, and tells of every request before it
        scope.setdefault("state", {})["facts"] = facts
        reset = current_request.set(facts)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status, record.started = message["status"], True
                headers = [*message.get("headers", ()), (b"x-request-id", facts.request_id.encode())]
                if not any(name == b"ratelimit" for name, _ in headers):
                    limits = scope["state"].get("rate_limit_headers", {})
                    headers += [(name.lower().encode(), value.encode()) for name, value in limits.items()]
                message = {**message, "headers": headers}
            await send(message)

        own = self.own if scope["raw_path"] != b"*" else _answer_asterisk
        try:
            await own(scope, receive, send_with_id)
        finally:
            current_request.reset(reset)
            record.route = route_template(scope)

    async def _answer_problem(self, problem: HTTPException, scope: Scope, send: Send, record: Record) -> None:
        if record.started:
            raise problem
        status, headers, body = render(problem, instance=scope["path"], request_id=record.facts.request_id)
        headers += [(b"x-request-id", record.facts.request_id.encode()), (b"cache-control", b"no-store")]
        if not any(name == b"ratelimit" for name, _ in headers):
            headers += record.limit_headers
        record.status, record.started = status, True
        if record.upstream is None:
            REFUSED.labels(str(status), type(problem).__name__).inc()
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    def _finish(self, scope: Scope, record: Record) -> None:
        seconds = time.perf_counter() - record.facts.started
        record.status = record.status or 499
        # A tunnel's answer is its 101: that people talked for an hour is no latency.
        latency = seconds if record.tunnel is None else record.upstream_seconds
        observe(record.method, record.route, record.status, latency, record.upstream, record.upstream_seconds)
        if self._busy_poll is not None:
            self._busy_poll.extend()  # a client that asks one thing after another asks the next one soon
        path = scope["path"]
        self._access_log.write(record, path, seconds, quiet=path in QUIET_PATHS)


async def _answer_asterisk(_scope: Scope, _receive: Receive, send: Send) -> None:
    """`OPTIONS *` asks about the server as a whole (RFC 9110 §9.3.7)."""
    allow = ", ".join(sorted(ALL_METHODS)).encode()
    await send({"type": "http.response.start", "status": 204, "headers": [(b"allow", allow)]})
    await send({"type": "http.response.body", "body": b""})
