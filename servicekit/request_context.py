"""Facts of the request being served: its id, its trace, who asks and from where.

Pure functions decide them; ``servicekit.middleware`` binds them. Context variables carry them into threads.
"""

from __future__ import annotations

import hmac
import os
import random
import re
import time
from collections.abc import Collection, Mapping, MutableMapping
from contextvars import ContextVar
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

Scope = MutableMapping[str, Any]
Networks = tuple[IPv4Network | IPv6Network, ...]

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# W3C Trace Context §3.2: version 00, and later versions read as 00; all-zero ids are invalid. Only later versions may
# have more than the four fields, which are 55 characters.
TRACEPARENT = re.compile(
    rb"(?!ff|00.{54})[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?"
)


class RequestFacts:
    """What every log line and every error of one request may say."""

    __slots__ = ("client_ip", "is_from_proxy", "request_id", "started", "trace_flags", "trace_id", "user")

    def __init__(self, request_id: str, trace_id: str, trace_flags: str, client_ip: str) -> None:
        self.request_id = request_id
        self.trace_id = trace_id
        self.trace_flags = trace_flags
        self.client_ip = client_ip
        self.is_from_proxy = False  # one that is trusted, so that `client_ip` isn't its own
        self.user: str | None = None
        self.started = time.perf_counter()

    def traceparent(self) -> str:
        """A ``traceparent`` for a call made on behalf of this request, with a span id of its own."""
        return f"00-{self.trace_id}-{new_span_id()}-{self.trace_flags}"


current_request: ContextVar[RequestFacts | None] = ContextVar("current_request", default=None)


_ids: list[str] = []  # made in advance, 256 at a time: 0.1 µs each, where one by one costs 0.5


def new_request_id() -> str:
    """A random id of 32 hexadecimal digits; it names a request or a trace and guards nothing."""
    while True:
        try:
            return _ids.pop()  # atomic: no two threads get the same
        except IndexError:
            digits = random.randbytes(4096).hex()  # noqa: S311  # names, not secrets
            _ids.extend(digits[start : start + 32] for start in range(0, len(digits), 32))


def new_span_id() -> str:
    """A random id of 16 hexadecimal digits, never all zeros (W3C Trace Context §3.2.2.4)."""
    span_id = new_request_id()[:16]
    return span_id if span_id != "0" * 16 else "0" * 15 + "1"


os.register_at_fork(after_in_child=_ids.clear)  # or the child would give out the parent's


def facts_of(scope: Scope) -> RequestFacts:
    """The facts bound to this request.

    Raises:
        KeyError: Outside a request that went through the middleware.
    """
    facts: RequestFacts = scope["state"]["facts"]
    return facts


def request_id(scope: Scope) -> str:
    """The id that stands in the answer's X-Request-ID."""
    return facts_of(scope).request_id


def client_ip(scope: Scope) -> str:
    """The address of the person or program that asks, not of the proxy in between."""
    return facts_of(scope).client_ip


def set_user(scope: Scope, username: str) -> None:
    """Say who asks, for the request's log line."""
    facts_of(scope).user = username


def decide_facts(
    headers: Collection[tuple[bytes, bytes]],
    fields: Mapping[bytes, bytes],
    peer: str,
    trusted_proxies: Networks,
    proxy_token: str | None,
) -> RequestFacts:
    """Read id, trace and client address from a request's headers (lower-case names) and its socket peer.

    ``fields`` is ``dict(headers)``, which whoever calls needs too.
    """
    given_id = fields.get(b"x-request-id")
    traceparent = fields.get(b"traceparent")
    identifier = given_id.decode() if given_id and REQUEST_ID.fullmatch(given_id) else new_request_id()
    match = TRACEPARENT.fullmatch(traceparent) if traceparent else None
    trace_id, flags = (match[1].decode(), match[3].decode()) if match else (new_request_id(), "00")
    facts = RequestFacts(identifier, trace_id, flags, peer)
    if b"x-forwarded-for" in fields and is_trusted_peer(
        peer, fields.get(b"x-proxy-token"), trusted_proxies, proxy_token
    ):
        forwarded = [value for name, value in headers if name == b"x-forwarded-for"]
        facts.client_ip = forwarded_client(b",".join(forwarded), peer, trusted_proxies)
        facts.is_from_proxy = True
    return facts


def is_trusted_peer(peer: str, token: bytes | None, trusted: Networks, proxy_token: str | None) -> bool:
    """Whether this peer's X-Forwarded-For is believed: by its address, or by the secret it shows."""
    if token and proxy_token and hmac.compare_digest(token, proxy_token.encode()):
        return True
    return bool(trusted) and is_in(peer, trusted)


def is_in(address: str, networks: Networks) -> bool:
    """Whether an address belongs to one of the networks; text that is no address belongs to none."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in networks)


def forwarded_client(header: bytes, peer: str, trusted: Networks) -> str:
    """The rightmost address in X-Forwarded-For that isn't a trusted proxy's; the peer when there is none.

    Reading from the right is what makes it safe: the left end is whatever the client wrote.
    """
    client = peer
    for part in reversed(header.split(b",")):
        text = part.strip().decode("ascii", "replace").removeprefix("[").removesuffix("]")
        try:
            ip_address(text)
        except ValueError:
            break
        if "%" in text:  # a zone (RFC 4007 §11) means something to its own host only, and is free text
            break
        client = text
        if not is_in(text, trusted):
            break
    return client
