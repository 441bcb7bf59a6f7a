"""Every error answer that a test sees is held against the contract, whatever the test is about."""

from __future__ import annotations

import re
from typing import Any

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def check_answer(response: Any) -> None:
    """An httpx2 response hook: X-Request-ID always; problem+json with the same id on every error."""
    request_id = response.headers.get("x-request-id", "")
    assert REQUEST_ID.fullmatch(request_id), f"no X-Request-ID on {response.status_code} {response.request.url}"
    if response.status_code < 400:
        return
    if response.request.method == "HEAD":
        return
    response.read()
    check_problem(response.status_code, response.headers, response.content)


def check_problem(status: int, headers: Any, content: bytes) -> None:
    """The rules of RFC 9457 and of the contract for one error body."""
    import orjson

    assert headers.get("content-type", "").startswith("application/problem+json"), (
        status,
        dict(headers),
        content[:300],
    )
    body = orjson.loads(content)
    assert {"type", "title", "status", "detail", "instance", "request_id"} <= body.keys(), body
    assert body["status"] == status
    assert body["request_id"] == headers["x-request-id"]
    assert all(isinstance(body[name], str) for name in ("type", "title", "detail", "instance"))
    if status == 401:
        assert headers["www-authenticate"].startswith("Bearer")
    if status in (429, 503) and "retry-after" in headers:
        assert int(headers["retry-after"]) >= 1
    if status == 429:
        assert "retry-after" in headers
    for error in body.get("errors", ()):
        assert {"field", "message"} <= error.keys()
