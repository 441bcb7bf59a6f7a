"""Which passwords are accepted: the rules of NIST SP 800-63B-4 §3.1.1.2, and nothing else.

At least 12 characters, no composition rules, any Unicode, long ones welcome; refused are common passwords, with or
without a tail of digits, and those made of the user's name or the product's.
"""

from __future__ import annotations

import unicodedata
from functools import cache

from zxcvbn.frequency_lists import FREQUENCY_LISTS

MIN_CHARACTERS = 12
MAX_BYTES = 1024  # a bound on work, far above the 64 characters that must be accepted
CONTEXT_WORDS = ("matricula",)
_ENOUGH_BESIDES_NAMES = 8
_SHORTEST_ROOT = 4
_LEET = str.maketrans("013457@$!", "oleastasi")
_RUNS = ("abcdefghijklmnopqrstuvwxyz", "01234567890123456789", "qwertyuiopasdfghjklzxcvbnm", "1qaz2wsx3edc4rfv5tgb6yhn")


def normalise(password: str) -> str:
    """The form that is measured, hashed and compared: NFKC, so that every keyboard gives the same bytes (§3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


def is_measurable(password: str) -> bool:
    """Whether a password is small enough to be looked at, and is text at all."""
    try:
        return len(password.encode()) <= MAX_BYTES
    except UnicodeEncodeError:  # a lone surrogate
        return False


def objection(password: str, username: str) -> str | None:
    """Why ``password`` can't be the password of ``username``, as a sentence for its owner; None when it can."""
    if not is_measurable(password):
        return f"The password is longer than {MAX_BYTES} bytes or is not valid Unicode."
    text = normalise(password)
    if any(unicodedata.category(character) == "Cc" for character in text):
        return "The password contains a control character."
    if len(text) < MIN_CHARACTERS:
        return f"The password needs at least {MIN_CHARACTERS} characters."
    folded = text.casefold()
    if _is_common(folded):
        return "The password is among those that attackers try first."
    if _is_run(folded):
        return "The password is a simple sequence."
    if _is_made_of_names(folded, username.casefold()):
        return "The password is built from the username or the name of this system."
    return None


@cache
def _common() -> frozenset[str]:
    return frozenset(FREQUENCY_LISTS["passwords"])


def _period(text: str) -> str:
    """The shortest string that ``text`` is a repetition of; ``text`` itself when it repeats nothing."""
    length = (text + text).find(text, 1)
    return text[:length]


def _is_common(folded: str) -> bool:
    for form in (folded, folded.translate(_LEET)):
        root = form.strip("0123456789 !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
        if form in _common() or _period(form) in _common():
            return True
        if len(root) >= _SHORTEST_ROOT and (root in _common() or _period(root) in _common()):
            return True
    return False


def _is_run(folded: str) -> bool:
    period = _period(folded)
    if len(period) < _SHORTEST_ROOT:
        return True
    return any(period in run * 3 or period in run[::-1] * 3 for run in _RUNS)


def _is_made_of_names(folded: str, username: str) -> bool:
    rest = folded
    for name in sorted({username, username.partition("@")[0], *CONTEXT_WORDS}, key=len, reverse=True):
        if len(name) >= 3:
            rest = rest.replace(name, "")
    return rest != folded and len(rest) < _ENOUGH_BESIDES_NAMES
