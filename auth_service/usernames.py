"""What a username may be, and when two are the same.

Letters and digits of ASCII, with ``.``, ``_``, ``-`` and ``@`` inside: so no two names can look alike (an "а" of
Cyrillic is no "a"), and an e-mail address is a valid name. Case is kept for display and ignored for identity.
"""

from __future__ import annotations

import re

MAX_LENGTH = 64
PATTERN = r"^[A-Za-z0-9](?:[A-Za-z0-9._@-]{0,62}[A-Za-z0-9])?$"
RULE = "1 to 64 of the letters a-z, digits, '.', '_', '-' and '@', beginning and ending with a letter or digit"
_VALID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._@-]{0,62}[A-Za-z0-9])?")


def is_valid(username: str) -> bool:
    """Whether a user may be called ``username``."""
    return _VALID.fullmatch(username) is not None


def key_of(username: str) -> str:
    """The form under which a valid name is unique and is looked up."""
    return username.lower()


def lookup_key(typed: str) -> str | None:
    """The key to look up for whatever somebody typed; None when no user can have such a name."""
    return key_of(typed) if is_valid(typed) else None
