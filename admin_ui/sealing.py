"""Encryption at rest: what lies in Redis can be read, or replaced, by nobody who hasn't the session key."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


class Unsealable(ValueError):
    """Sealed with a key we don't have, for another place, or changed since."""


class Sealer:
    """AES-256-GCM under the first of several secrets; any of them opens, so that a key can be changed at leisure."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._ciphers = [AESGCM(hashlib.sha256(b"matricula session" + secret.encode()).digest()) for secret in secrets]

    def seal(self, plain: bytes, place: str) -> bytes:
        """Encrypt; the result opens only in the same ``place``, so one session's tokens can't be moved to another."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._ciphers[0].encrypt(nonce, plain, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        """Decrypt.

        Raises:
            Unsealable: No key fits.
        """
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place.encode())
            except (InvalidTag, ValueError):
                continue
        raise Unsealable
