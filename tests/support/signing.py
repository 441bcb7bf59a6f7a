"""A signing key of the tests' own: project code can only verify with it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from servicekit.tokens import StaticKeys, TokenVerifier

ISSUER = "matricula"
AUDIENCE = "matricula-api"
ROLE_SCOPES = {
    "viewer": ["students:read"],
    "registrar": ["students:read", "students:write"],
    "admin": ["students:read", "students:write", "users:manage", "ops:read"],
}


class Signing:
    """Mints access tokens of the contract's form, and wrong ones."""

    def __init__(self, kid: str = "test-key") -> None:
        self.kid = kid
        self.private_key = Ed25519PrivateKey.generate()

    @property
    def jwks(self) -> dict[str, Any]:
        key = OKPAlgorithm.to_jwk(self.private_key.public_key(), as_dict=True)
        return {"keys": [{**key, "kid": self.kid, "use": "sig", "alg": "EdDSA"}]}

    @property
    def verifier(self) -> TokenVerifier:
        return TokenVerifier(StaticKeys(self.jwks), issuer=ISSUER, audience=AUDIENCE)

    def token(
        self,
        *,
        sub: str | None = None,
        role: str = "registrar",
        scopes: Iterable[str] | None = None,
        sid: str | None = None,
        username: str = "tester",
        expires_in: float = 900,
        headers: Mapping[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        now = time.time()
        payload = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": sub or str(uuid.uuid4()),
            "sid": sid or str(uuid.uuid4()),
            "jti": str(uuid.uuid4()),
            "iat": int(now),
            "exp": int(now + expires_in),
            "role": role,
            "scope": " ".join(ROLE_SCOPES.get(role, []) if scopes is None else scopes),
            "username": username,
            **claims,
        }
        payload = {name: value for name, value in payload.items() if value is not None}
        chosen = {"typ": "at+jwt", "kid": self.kid, **(headers or {})}
        return jwt.encode(payload, self.private_key, algorithm="EdDSA", headers=chosen)

    def bearer(self, **options: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(**options)}"}
