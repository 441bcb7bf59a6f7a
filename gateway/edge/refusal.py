"""A request that the edge answers by itself: the condition, its problem body (RFC 9457) and the record of it.

Nothing of what the client sent is repeated in an answer except its request id and the path, both checked first.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

from gateway.edge.errors import Refused
from servicekit.problems import MEDIA_TYPE, problem_body, title_of
from servicekit.request_context import REQUEST_ID, new_request_id


class Refusal(NamedTuple):
    """What is known of a request that the edge answered itself; `method` and `path` are empty when unreadable."""

    client: str
    status: int
    reason: str
    method: str
    path: str
    request_id: str
    reached_application: bool = False  # which then hears that its client has left


refusals: Final[Counter[tuple[int, str]]] = Counter()
"""How often each (status, reason) was answered in this process since it started."""

# A head that was refused may still name its sender's request id and path: good enough to find it in a log.
_REQUEST_ID = re.compile(rb"\r\nx-request-id:[ \t]*([A-Za-z0-9._-]{1,64})[ \t]*\r\n", re.IGNORECASE)
_METHOD_AND_PATH = re.compile(rb"\A(?:\r\n)?([A-Z]{1,20}) (?:(/[A-Za-z0-9._~!$&'()*+,;=:@%/-]{0,512})(?=[ ?]))?")


def describe(refused: Refused, head: bytes, client: str) -> Refusal:
    """Read what can be trusted in a refused `head` (the bytes so far)."""
    named = _REQUEST_ID.search(head)
    line = _METHOD_AND_PATH.match(head)
    return Refusal(
        client=client,
        status=refused.status,
        reason=refused.reason,
        method=line[1].decode("ascii") if line else "",
        path=line[2].decode("ascii") if line and line[2] else "",
        request_id=named[1].decode("ascii") if named else new_request_id(),
    )


def chosen_request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The caller's own request id if it is a good one, else a new one."""
    for name, value in headers:
        if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
            return value.decode("ascii")
    return new_request_id()


def render(refusal: Refusal, detail: str, default_headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Render a whole answer that also ends the connection; HEAD gets no body (RFC 9110 §9.3.2)."""
    instance = refusal.path or "/"
    content = problem_body(refusal.status, detail, instance=instance, request_id=refusal.request_id)
    lines = [
        b"HTTP/1.1 %d %s" % (refusal.status, title_of(refusal.status).encode("ascii")),
        *(b"%b: %b" % header for header in default_headers),
        b"content-type: " + MEDIA_TYPE.encode("ascii"),
        b"content-length: %d" % len(content),
        b"cache-control: no-store",
        b"x-request-id: " + refusal.request_id.encode("ascii"),
        *([b"retry-after: 1"] if refusal.status == 503 else []),
        b"connection: close",
        b"",
        content if refusal.method != "HEAD" else b"",
    ]
    return b"\r\n".join(lines)
