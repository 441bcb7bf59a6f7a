"""Signing keys: which one signs now and which are published, decided from their names and the clock alone.

A folder of Ed25519 private keys in PEM. The name of a file is the moment from which its key signs, in UTC:
``20261124T043149Z.pem``. The newest whose moment has come signs; a key of the future is published already, so that
verifiers have it in time; a key that was superseded stays published until the last token it signed has expired.
Every worker of every replica that sees the folder comes to the same answer, and a rotation is one new file.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

NAME_FORMAT = "%Y%m%dT%H%M%SZ"
CLOCK_SKEW = timedelta(seconds=60)
_BEGIN = b"-----BEGIN "


class BadKey(ValueError):
    """A key file or variable does not hold what it should."""


@dataclass(frozen=True)
class SigningKey:
    """One key pair; ``kid`` is its RFC 7638 thumbprint."""

    signs_from: datetime
    private: Ed25519PrivateKey = field(repr=False, compare=False)
    kid: str = ""
    public: str = ""

    @classmethod
    def of(cls, private: Ed25519PrivateKey, signs_from: datetime) -> SigningKey:
        raw = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        x = _base64url(raw)
        canonical = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": x}, separators=(",", ":"), sort_keys=True)
        kid = _base64url(hashlib.sha256(canonical.encode()).digest())
        return cls(signs_from=signs_from, private=private, kid=kid, public=x)

    @property
    def jwk(self) -> dict[str, Any]:
        """The public half (RFC 8037 §2)."""
        return {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": self.kid, "x": self.public}


def signer(keys: Sequence[SigningKey], now: datetime) -> SigningKey:
    """The key that signs at ``now``; before any has begun, the one that begins first."""
    ordered = sorted(keys, key=lambda key: (key.signs_from, key.kid))
    begun = [key for key in ordered if key.signs_from <= now]
    return begun[-1] if begun else ordered[0]


def published(keys: Sequence[SigningKey], now: datetime, token_life: timedelta) -> list[SigningKey]:
    """The keys that verifiers need, oldest first: all but those whose last token has expired."""
    ordered = sorted(keys, key=lambda key: (key.signs_from, key.kid))
    successors = [*ordered[1:], None]
    return [
        key
        for key, after in zip(ordered, successors, strict=True)
        if after is None or now <= after.signs_from + token_life + CLOCK_SKEW
    ]


def new_pem(note: str = "") -> bytes:
    """A new private key as PEM, with ``note`` as a line in front (RFC 7468 §2 allows explanatory text)."""
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return (note.encode() + b"\n" if note else b"") + pem


def parse_pem(text: bytes, signs_from: datetime, source: str) -> SigningKey:
    """Read one private key.

    Raises:
        BadKey: It is no unencrypted Ed25519 private key in PEM; the message names ``source`` and not the content.
    """
    start = text.find(_BEGIN)
    try:
        private = load_pem_private_key(text[max(start, 0) :], password=None)
    except (ValueError, TypeError):
        raise BadKey(f"{source} holds no readable PEM private key") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise BadKey(f"{source} holds a key that is not Ed25519")
    return SigningKey.of(private, signs_from)


def parse_bundle(text: str, source: str) -> list[SigningKey]:
    """Keys given by value, as PEM blocks one after the other: the first signs, the others are only published.

    To rotate: append the new key and restart; put it first and restart; drop the old one and restart.
    """
    blocks = [_BEGIN + block for block in text.replace("\\n", "\n").encode().split(_BEGIN)[1:]]
    if not blocks:
        raise BadKey(f"{source} holds no PEM block")
    epoch = datetime.fromtimestamp(0, tz=UTC)
    far = datetime(9000, 1, 1, tzinfo=UTC)
    moments = [epoch] + [far + timedelta(days=number) for number in range(len(blocks) - 1)]
    return [parse_pem(block, moment, source) for block, moment in zip(blocks, moments, strict=True)]


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
