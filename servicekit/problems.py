"""Errors as named conditions with a status, rendered as ``application/problem+json`` (RFC 9457).

    Problem
    ├── 4xx  BadRequest 400 · Unauthorized 401 · Forbidden 403 · NotFound 404 · MethodNotAllowed 405 · NotAcceptable 406
    │        RequestTimeout 408 · Conflict 409 · Gone 410 · PreconditionFailed 412 · PayloadTooLarge 413
    │        UriTooLong 414 · UnsupportedMediaType 415 · ExpectationFailed 417 · Unprocessable 422
    │        PreconditionRequired 428 · TooManyRequests 429 · HeadersTooLarge 431
    └── 5xx  InternalError 500 · NotImplementedMethod 501 · BadGateway 502 · ServiceUnavailable 503 · GatewayTimeout 504

Raise them where you know; ``render`` makes the one kind of body.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar

import orjson
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"

# Of our own, since the standard library's phrases change: four of these were others until Python 3.13, and what a
# problem is called must not depend on the Python that runs. The names are those of RFC 9110, 6585, 7725 and 8470.
TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    411: "Length Required",
    412: "Precondition Failed",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    416: "Range Not Satisfiable",
    417: "Expectation Failed",
    421: "Misdirected Request",
    422: "Unprocessable Content",
    425: "Too Early",
    426: "Upgrade Required",
    428: "Precondition Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    451: "Unavailable For Legal Reasons",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
    511: "Network Authentication Required",
}


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field of a request; ``field`` is a dotted path such as ``guardians.0.name``."""

    field: str
    message: str


class Problem(HTTPException):
    """A condition with a status that the client is told of.

    Args:
        detail: One sentence for this occurrence; never a secret or somebody's personal data.
        headers: Extra response headers.
        members: Extension members of the problem body.
    """

    status: ClassVar[int] = 500
    slug: ClassVar[str] = ""

    def __init__(self, detail: str | None = None, *, headers: Mapping[str, str] | None = None, **members: Any) -> None:
        super().__init__(self.status, detail or HTTPStatus(self.status).description, dict(headers or {}))
        self.members = members


class BadRequest(Problem):
    status = 400


class Unauthorized(Problem):
    """RFC 6750 §3: says how to authenticate, and why not, in ``WWW-Authenticate``."""

    status = 401

    def __init__(self, detail: str | None = None, *, error: str | None = None, **members: Any) -> None:
        challenge = "Bearer" + (f' error="{error}", error_description="{detail}"' if error else "")
        super().__init__(
            detail or "Sign in and send the access token.", headers={"WWW-Authenticate": challenge}, **members
        )


class Forbidden(Problem):
    status = 403


class NotFound(Problem):
    status = 404


class MethodNotAllowed(Problem):
    status = 405


class NotAcceptable(Problem):
    status = 406


class RequestTimeout(Problem):
    status = 408


class Conflict(Problem):
    status = 409


class Gone(Problem):
    status = 410


class PreconditionFailed(Problem):
    status = 412


class PayloadTooLarge(Problem):
    status = 413


class UriTooLong(Problem):
    status = 414


class UnsupportedMediaType(Problem):
    status = 415


class ExpectationFailed(Problem):
    status = 417


class Unprocessable(Problem):
    """Validation failed; ``errors`` names each field."""

    status = 422
    slug = "validation-error"

    def __init__(self, detail: str | None = None, *, errors: Sequence[FieldError] = (), **members: Any) -> None:
        listed = [{"field": e.field, "message": e.message} for e in errors]
        super().__init__(detail or "The request has values that can't be accepted.", errors=listed, **members)


class PreconditionRequired(Problem):
    status = 428


class _Waiting(Problem):
    """Has a ``Retry-After`` in whole seconds, at least 1."""

    def __init__(
        self,
        detail: str | None = None,
        *,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        extra = dict(headers or {})
        if retry_after is not None:
            extra["Retry-After"] = str(max(1, math.ceil(retry_after)))
        super().__init__(detail, headers=extra, **members)


class TooManyRequests(_Waiting):
    status = 429


class HeadersTooLarge(Problem):
    status = 431


class InternalError(Problem):
    status = 500


class NotImplementedMethod(Problem):
    status = 501


class BadGateway(Problem):
    status = 502


class ServiceUnavailable(_Waiting):
    status = 503


class GatewayTimeout(Problem):
    status = 504


def title_of(status: int) -> str:
    """What a problem with this status is called, and the reason phrase of an answer that the edge makes."""
    return TITLES.get(status, "Error")


def phrase_of(status: int) -> str:
    """What this Python calls the status: the words that Starlette puts into an error that has none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def problem_type(status: int, slug: str = "") -> str:
    """A stable URN that names the kind of problem; it identifies and isn't meant to be fetched (RFC 9457 §3.1.1)."""
    return "urn:matricula:problem:" + (slug or title_of(status).lower().replace(" ", "-"))


def problem_body(
    status: int,
    detail: str,
    *,
    instance: str,
    request_id: str,
    slug: str = "",
    members: Mapping[str, Any] | None = None,
) -> bytes:
    """The JSON body of a problem."""
    body = {
        "type": problem_type(status, slug),
        "title": title_of(status),
        "status": status,
        "detail": detail,
        "instance": instance,
        "request_id": request_id,
    }
    return orjson.dumps({**body, **(members or {})}, default=str)


def render(error: HTTPException, *, instance: str, request_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body of an error as the client gets it."""
    members = error.members if isinstance(error, Problem) else None
    slug = error.slug if isinstance(error, Problem) else ""
    body = problem_body(
        error.status_code, str(error.detail), instance=instance, request_id=request_id, slug=slug, members=members
    )
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    headers += [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in (error.headers or {}).items()
    ]
    if error.status_code == 401 and not any(name == b"www-authenticate" for name, _ in headers):
        headers.append((b"www-authenticate", b"Bearer"))
    return error.status_code, headers, body
