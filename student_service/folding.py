"""Keys by which students are compared: for uniqueness, sorting and search, the same on every database.

Pure. Accents and case don't count: ``Łukasz MÜLLER`` is found by ``lukasz muller`` and sorts between the Mullers.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

# Letters that Unicode doesn't take apart into a base letter and an accent.
_BASE_LETTERS = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ħ": "h", "ı": "i", "ŧ": "t", "æ": "ae", "œ": "oe", "ð": "d", "þ": "th", "ŋ": "n"}
)
# Sorts before every printable character, so that a shorter first part comes first.
SEPARATOR = "\t"


def fold(text: str) -> str:
    """Text without case, accents and compatibility forms."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(character for character in apart if not unicodedata.combining(character))
    return unicodedata.normalize("NFC", bare.translate(_BASE_LETTERS)).casefold()


def unique_key(text: str) -> str:
    """Equal for two texts that differ by case or by how their characters are composed; accents count."""
    if text.isascii():  # by far the most are, and it comes to the same
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def email_key(email: str) -> str:
    """Equal for two addresses that differ by case, or by how an international domain is written."""
    key = unique_key(email)
    if key.isascii():
        return key
    local, _, domain = key.rpartition("@")
    try:
        domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        pass  # a domain beyond IDNA 2003 is compared as it is
    return f"{local}@{domain}"


def keys_of(fields: Mapping[str, Any]) -> dict[str, str | None]:
    """The key columns of a student."""
    names = {name: fold(fields[name] or "") for name in ("first_name", "middle_name", "last_name", "preferred_name")}
    program = fields["program"]
    searched = [names["first_name"], names["middle_name"], names["last_name"], names["preferred_name"]]
    searched += [fold(fields["email"]), fold(fields["student_number"])]
    return {
        "student_number_key": unique_key(fields["student_number"]),
        "email_key": email_key(fields["email"]),
        "last_name_key": SEPARATOR.join((names["last_name"], names["first_name"], names["middle_name"])),
        "first_name_key": SEPARATOR.join((names["first_name"], names["last_name"])),
        "program_key": None if program is None else fold(program),
        "search_text": SEPARATOR.join(part for part in searched if part),
    }


def search_terms(query: str) -> list[str]:
    """The folded words of a search: a student matches who has each of them somewhere."""
    return list(dict.fromkeys(fold(query).split()))
