"""Access tokens: JWTs of the RFC 9068 profile, signed with Ed25519. Nothing else in the system signs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import jwt

from auth_service.key_ring import KeyRing
from auth_service.roles import scopes_of
from auth_service.settings import Settings
from servicekit.ids import uuid7

# Required by RFC 9068 §2.2. Clients aren't registered here: the password grant is everybody's, and asks for no client.
CLIENT_ID = "matricula"


@dataclass(frozen=True)
class Bearer:
    """Whom an access token speaks for."""

    user_id: str
    username: str
    role: str
    session_id: str


def sign(bearer: Bearer, *, keys: KeyRing, settings: Settings, now: datetime) -> str:
    """A new access token, alive for ``settings.access_token_ttl`` seconds."""
    key = keys.signer()
    issued_at = int(now.timestamp())
    claims = {
        "iss": settings.token_issuer,
        "aud": settings.token_audience,
        "sub": bearer.user_id,
        "client_id": CLIENT_ID,
        "iat": issued_at,
        "exp": issued_at + settings.access_token_ttl,
        "jti": uuid7(),
        "sid": bearer.session_id,
        "scope": " ".join(scopes_of(bearer.role)),
        "role": bearer.role,
        "username": bearer.username,
    }
    return jwt.encode(claims, key.private, algorithm="EdDSA", headers={"typ": "at+jwt", "kid": key.kid})


def expiry_of(now: datetime, settings: Settings) -> datetime:
    """When a token signed at ``now`` is dead by itself."""
    return now + timedelta(seconds=settings.access_token_ttl)
