"""Who calls: the verdict on a bearer token, remembered until the token expires.

The memory is bounded, and keyed by the header's SHA-256: 0.4 µs more than by the header itself, but a hundred thousand
callers take 60 MB less, which the processor's caches notice. What the pipeline needs of a caller is prepared there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from gateway.admit import Admission
from servicekit.problems import BadRequest, Unauthorized
from servicekit.tokens import Claims, InvalidToken, TokenVerifier

MAX_REMEMBERED = 131_072  # of half a kilobyte each


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller with a valid token."""

    subject: str
    username: str
    scopes: frozenset[str]
    expires: float  # seconds since the epoch
    denylist_key: bytes


class Identifier:
    """Turns Authorization headers into callers."""

    def __init__(self, verifier: TokenVerifier, *, max_remembered: int = MAX_REMEMBERED) -> None:
        self._verifier = verifier
        self._callers: dict[bytes, Caller] = {}
        self._scopes: dict[frozenset[str], frozenset[str]] = {}  # few sets, each kept once for all who have it
        self._max = max_remembered

    def remembered(self, authorization: bytes) -> Caller | None:
        """The caller whose Authorization header was checked before and is still valid."""
        key = sha256(authorization).digest()
        caller = self._callers.get(key)
        if caller is not None and caller.expires <= time.time():
            del self._callers[key]
            return None
        return caller

    def forget(self) -> None:
        """Check every token anew: a key was taken back."""
        self._callers.clear()
        self._scopes.clear()

    async def identify(self, authorization: bytes) -> Caller:
        """Check an Authorization header.

        Raises:
            Unauthorized: It isn't a bearer token, or not a valid one.
            ServiceUnavailable: No keys are known to check it with.
        """
        scheme, _, token = authorization.partition(b" ")
        token = token.strip()
        if scheme.lower() != b"bearer" or not token:
            raise Unauthorized
        try:
            claims = await self._verifier.verify_fresh(token.decode("ascii"))
        except UnicodeDecodeError:
            raise Unauthorized("The access token is malformed.", error="invalid_token") from None
        except InvalidToken as error:
            raise Unauthorized(str(error), error="invalid_token") from None
        scopes = self._scopes.setdefault(claims.scopes, claims.scopes)
        caller = Caller(claims.sub, claims.username, scopes, claims.exp, denylist_key(claims.sid))
        if len(self._callers) >= self._max:
            # First in, first out, a batch at a time: cheaper than keeping an order of use on every request.
            for oldest in list(self._callers)[: max(1, self._max // 16)]:
                del self._callers[oldest]
        self._callers[sha256(authorization).digest()] = caller
        return caller


class LiveTokens:
    """The verifier of what the gateway itself serves (``/metrics``): there too, a revoked token is refused."""

    def __init__(self, verifier: TokenVerifier, admission: Admission) -> None:
        self._verifier = verifier
        self._admission = admission

    async def verify_fresh(self, token: str) -> Claims:
        """The claims of a valid token whose session lives.

        Raises:
            InvalidToken: It isn't valid. Unauthorized: it is revoked. ServiceUnavailable: that can't be told.
        """
        claims = await self._verifier.verify_fresh(token)
        await self._admission.admit(denylist_key(claims.sid), None, "")
        return claims


def denylist_key(session_id: str) -> bytes:
    """Where Redis has an entry when this session is revoked."""
    return b"denylist:sid:" + session_id.encode()


def authorization_of(headers: list[tuple[bytes, bytes]], fields: Mapping[bytes, bytes]) -> bytes | None:
    """The Authorization header, or None. ``fields`` is ``dict(headers)``.

    Raises:
        BadRequest: There are two: which one counts would be anybody's guess (RFC 9110 §5.3).
    """
    if len(fields) != len(headers) and sum(name == b"authorization" for name, _ in headers) > 1:
        raise BadRequest("The request has more than one Authorization header.")
    return fields.get(b"authorization")
