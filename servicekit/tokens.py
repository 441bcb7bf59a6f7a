"""Verifies access tokens: JWTs of the RFC 9068 profile, signed EdDSA with Ed25519 (RFC 8037). It can't sign.

The verdict on a token is remembered until the token expires (a signature check costs about 100 µs, a look-up
well under 1 µs), or until a key is taken back; revocation is the denylist's matter.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jwt.algorithms import OKPAlgorithm

MAX_TOKEN_CHARACTERS = 4096
MAX_CACHED = 50_000
CLOCK_SKEW_SECONDS = 60  # how far the signer's clock may be ahead
REQUIRED_CLAIMS = ["iss", "aud", "sub", "exp", "iat", "jti", "sid"]


class InvalidToken(Exception):
    """The token isn't one of ours, or is out of date. The message may be shown to the client."""


class UnknownKey(InvalidToken):
    """The token names a key that isn't known here yet; fetching the keys again may help."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid access token says of its bearer. Times are seconds since the epoch."""

    sub: str
    sid: str
    jti: str
    username: str
    role: str
    scopes: frozenset[str]
    exp: float
    iat: float


class KeySource(Protocol):
    """Where public keys come from."""

    def get(self, kid: str) -> Ed25519PublicKey | None:
        """The key of that id among those known now."""

    async def refresh(self) -> bool:
        """Fetch the keys again if that is allowed now; True when a fetch has just succeeded.

        Raises:
            ServiceUnavailable: No keys are known at all and none can be fetched.
        """


def read_jwks(document: Any) -> dict[str, Ed25519PublicKey]:
    """The Ed25519 signature keys of a JWK set by ``kid``; keys of other kinds are passed over (RFC 7517 §5)."""
    keys: dict[str, Ed25519PublicKey] = {}
    entries = document.get("keys", []) if isinstance(document, dict) else []
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict) or entry.get("kty") != "OKP" or entry.get("crv") != "Ed25519" or "d" in entry:
            continue
        kid = entry.get("kid")
        if not isinstance(kid, str) or entry.get("use", "sig") != "sig":
            continue
        try:
            key = OKPAlgorithm.from_jwk(entry)
        except (jwt.InvalidKeyError, ValueError, KeyError):
            continue
        if isinstance(key, Ed25519PublicKey):
            keys[kid] = key
    return keys


class StaticKeys:
    """Keys that are simply there: for the service that owns them, and for tests."""

    def __init__(self, jwks: dict[str, Any]) -> None:
        self._keys = read_jwks(jwks)

    def replace(self, jwks: dict[str, Any]) -> None:
        """Take another set of keys from now on."""
        self._keys = read_jwks(jwks)

    def get(self, kid: str) -> Ed25519PublicKey | None:
        return self._keys.get(kid)

    async def refresh(self) -> bool:
        return False


class Verifier(Protocol):
    """Whatever can tell a valid token from another."""

    async def verify_fresh(self, token: str) -> Claims:
        """The claims of a valid token.

        Raises:
            InvalidToken: It isn't valid. A ``Problem`` when that can't be told, or the token may be used no more.
        """


class TokenVerifier:
    """Checks tokens against a key source; one per process."""

    def __init__(self, keys: KeySource, *, issuer: str, audience: str, max_cached: int = MAX_CACHED) -> None:
        self.keys = keys
        self._issuer = issuer
        self._audience = audience
        self._max_cached = max_cached
        self._verdicts: dict[str, Claims] = {}

    def verify(self, token: str) -> Claims:
        """The claims of a valid token, from memory or by checking it with the keys known now.

        Raises:
            UnknownKey: Its key isn't known here (yet).
            InvalidToken: Anything else is wrong with it.
        """
        claims = self._verdicts.get(token)
        if claims is None:
            claims = self._check(token)
            self._remember(token, claims)
        elif claims.exp <= time.time():
            del self._verdicts[token]
            raise InvalidToken("The access token has expired.")
        return claims

    async def verify_fresh(self, token: str) -> Claims:
        """``verify``, fetching the keys again when the token names one that isn't known."""
        try:
            return self.verify(token)
        except UnknownKey:
            if await self.keys.refresh():
                return self.verify(token)
            raise

    def forget(self) -> None:
        """Check every token anew: a key was taken back."""
        self._verdicts.clear()

    def _remember(self, token: str, claims: Claims) -> None:
        if len(self._verdicts) >= self._max_cached:
            # Oldest in, first out, and a batch at once: the bound holds at a cost spread over many requests.
            for stale in list(self._verdicts)[: self._max_cached // 16 or 1]:
                del self._verdicts[stale]
        self._verdicts[token] = claims

    def _check(self, token: str) -> Claims:
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise InvalidToken("The access token is too long.")
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.InvalidTokenError, ValueError):
            raise InvalidToken("The access token is malformed.") from None
        # RFC 9068 §4: another kind of JWT signed with the same key (an ID token, say) is no access token.
        if str(header.get("typ", "")).lower().removeprefix("application/") != "at+jwt" or header.get("alg") != "EdDSA":
            raise InvalidToken("The access token is of another kind.")
        kid = header.get("kid")
        key = self.keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise UnknownKey("The access token's key isn't known.")
        try:
            payload = jwt.decode(
                token,
                key,
                algorithms=["EdDSA"],
                issuer=self._issuer,
                audience=self._audience,
                options={"require": REQUIRED_CLAIMS, "verify_iat": False},  # see _claims
            )
        except jwt.ExpiredSignatureError:
            raise InvalidToken("The access token has expired.") from None
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError):
            raise InvalidToken("The access token is not valid.") from None
        return _claims(payload)


def _claims(payload: dict[str, Any]) -> Claims:
    texts = [payload.get(name) for name in ("sub", "sid", "jti", "scope", "role")]
    username = payload.get("username", payload["sub"])
    if not all(isinstance(text, str) and len(text) <= 1024 for text in (*texts, username)):
        raise InvalidToken("The access token is not valid.")
    try:
        exp, iat = float(payload["exp"]), float(payload["iat"])
    except (ValueError, TypeError, OverflowError):
        raise InvalidToken("The access token is not valid.") from None
    # RFC 7519 §4.1.6 refuses nothing because of `iat`, and a second's difference between two clocks must not make a new
    # token useless; one from far ahead tells of a clock that is wrong.
    if not iat <= time.time() + CLOCK_SKEW_SECONDS:
        raise InvalidToken("The access token is not valid yet.")
    sub, sid, jti, scope, role = map(str, texts)
    return Claims(sub, sid, jti, username, role, frozenset(scope.split()), exp, iat)
