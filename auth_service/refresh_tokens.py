"""Refresh tokens: opaque, single-use, and within a short grace spent twice without harm (RFC 9700 §4.14.2).

Spending a token makes its one successor, which is *derived*: HMAC-SHA256 of the spent token under a random salt that
is stored with it. So a second spender within the grace - another tab, or a client whose answer was lost - gets the
very same successor: nobody is locked out, and a session never has two live tokens. The database alone gives nothing
(it has hashes and salts), and a stolen spent token alone gives nothing after the grace but the session's end.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from enum import Enum, auto

_BYTES = 32
MAX_CHARACTERS = 512  # longer can't be ours


def new_token() -> str:
    """The first token of a session: 256 random bits."""
    return secrets.token_urlsafe(_BYTES)


def new_salt() -> str:
    """What to store with a token when it is spent."""
    return secrets.token_urlsafe(_BYTES)


def successor(token: str, salt: str) -> str:
    """The one token that follows ``token``, as often as it is asked for."""
    digest = hmac.digest(salt.encode(), token.encode("utf-8", "surrogatepass"), "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def hash_of(token: str) -> str:
    """What the database stores. A plain SHA-256 is enough: the input has 256 random bits."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class Verdict(Enum):
    """What a presented token is good for."""

    ROTATE = auto()  # alive and unspent: spend it
    REPEAT = auto()  # spent a moment ago: give the same successor again
    REUSED = auto()  # spent before: somebody else has it, so the session ends
    EXPIRED = auto()


def judge(*, spent_at: datetime | None, expires_at: datetime, now: datetime, grace: timedelta) -> Verdict:
    """Decide on a token of a session that is alive.

    Reuse is told before expiry: a spent token is a sign of theft however old it is, until housekeeping forgets it a day
    after it would have expired. From then on it is refused as one that never was.
    """
    if spent_at is not None:
        return Verdict.REPEAT if now - spent_at <= grace else Verdict.REUSED
    return Verdict.ROTATE if now < expires_at else Verdict.EXPIRED
