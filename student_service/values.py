"""Kinds of values a student is made of: each cleans what a person typed or says what is wrong with it.

Pure: no framework, no database, no clock. A ``clean`` function returns the value as it is to be kept, or raises
``ValueError`` with a message for the person who typed it.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from typing import Any

EARLIEST_DATE = date(1900, 1, 1)
MAX_EMAIL_LENGTH = 254  # RFC 5321 §4.5.3.1.3 less the angle brackets
MAX_LOCAL_PART_LENGTH = 64  # RFC 5321 §4.5.3.1.1
MAX_PHONE_LENGTH = 40
MAX_LABEL_LENGTH = 63  # RFC 1035 §2.3.4

ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
PHONE = re.compile(r"\+?[0-9(][0-9 ().\-/]*( ?(ext\.?|x) ?[0-9]{1,8})?", re.ASCII | re.IGNORECASE)
NUMBER = re.compile(r"\w[\w./-]*")
LOCAL_PART = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*")
LABEL = re.compile(r"\w([\w-]*\w)?")

# Explicit directions of text (UAX #9) can make a name read as another one; nobody needs them in a record.
BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean_text(value: Any, max_length: int, *, lines: bool = False) -> str:
    """Text in NFC, trimmed, with single spaces; with ``lines`` it keeps its line breaks and inner spaces.

    ``max_length`` is in characters, after cleaning. The result may be empty.
    """
    if not isinstance(value, str):
        raise ValueError("must be text")
    if len(value) > 4 * max_length + 64:  # before any work is done on it
        raise ValueError(f"must have at most {max_length} characters")
    text = value.replace("\r\n", "\n").strip()
    allowed = "\n\t" if lines else ""
    is_plain = text.isascii() and text.isprintable()  # by far the most are, and this is quick
    if not is_plain and any(is_forbidden(character) for character in text if character not in allowed):
        raise ValueError("must not contain control characters")
    text = unicodedata.normalize("NFC", text if lines else " ".join(text.split()))
    if len(text) > max_length:
        raise ValueError(f"must have at most {max_length} characters")
    return text


def is_forbidden(character: str) -> bool:
    """Whether no text of ours may hold it: controls, surrogates, noncharacters, line separators, bidi overrides."""
    if " " <= character <= "~":
        return False
    code = ord(character)
    return (
        unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        or (code & 0xFFFE) == 0xFFFE
        or 0xFDD0 <= code <= 0xFDEF
        or character in BIDI_CONTROLS
    )


def clean_name(value: Any, max_length: int) -> str:
    """A name of a person or a thing: text with at least one letter or digit, or empty."""
    text = clean_text(value, max_length)
    if text and not any(character.isalnum() for character in text):
        raise ValueError("must contain a letter or a digit")
    return text


def clean_number(value: Any, max_length: int) -> str:
    """A student number: letters, digits and ``. _ - /``, in any script."""
    text = clean_text(value, max_length)
    if text and not NUMBER.fullmatch(_without_marks(text)):
        raise ValueError("may contain letters, digits and . _ - / and begins with a letter or digit")
    return text


def clean_email(value: Any) -> str:
    """An e-mail address of the usual form; letters of any script are fine, no mail server is asked."""
    text = clean_text(value, MAX_EMAIL_LENGTH)
    if not text:
        return text
    local, at, domain = text.rpartition("@")
    if not at or not local:
        raise ValueError("must look like name@example.org")
    if len(local) > MAX_LOCAL_PART_LENGTH or not LOCAL_PART.fullmatch(_without_marks(local)):
        raise ValueError("has something before the @ that no usual e-mail address has")
    labels = domain.split(".")
    if len(labels) < 2 or any(
        len(label) > MAX_LABEL_LENGTH or not LABEL.fullmatch(_without_marks(label)) for label in labels
    ):
        raise ValueError("has something after the @ that is no domain name")
    return text


def _without_marks(text: str) -> str:
    r"""Text less the marks that follow a letter: most scripts of India and South East Asia write vowels with them, and
    ``\w`` knows none.
    """
    if text.isascii():
        return text
    kept: list[str] = []
    for character in text:
        if not (kept and kept[-1].isalnum() and unicodedata.category(character) in ("Mn", "Mc")):
            kept.append(character)
    return "".join(kept)


def clean_phone(value: Any) -> str:
    """A telephone number as people write them; what counts is 3 to 20 digits."""
    text = clean_text(value, MAX_PHONE_LENGTH)
    if text and (not PHONE.fullmatch(text) or not 3 <= sum(c.isdigit() for c in text) <= 20):
        raise ValueError("must look like +44 20 7946 0000")
    return text


def clean_whole_number(value: Any, minimum: int, maximum: int) -> int:
    """A whole number between two others, both included; ``true`` and ``1.0`` are none."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("must be a whole number")
    if not minimum <= value <= maximum:
        raise ValueError(f"must be between {minimum} and {maximum}")
    return value


def clean_choice(value: Any, choices: tuple[str, ...]) -> str:
    """One of some words."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"must be one of {', '.join(choices)}")
    return value


def clean_date(value: Any, latest: date) -> date:
    """A day as ``YYYY-MM-DD`` (RFC 3339 full-date) from 1900 until ``latest``."""
    if isinstance(value, str) and ISO_DATE.fullmatch(value.strip()):
        try:
            day = date.fromisoformat(value.strip())
        except ValueError:
            raise ValueError("is no day of the calendar") from None
    else:
        raise ValueError("must be a date like 2026-09-01")
    if day < EARLIEST_DATE:
        raise ValueError("must not be before 1900")
    if day > latest:
        raise ValueError(f"must not be after {latest.isoformat()}")
    return day
