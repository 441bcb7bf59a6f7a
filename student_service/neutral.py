"""Cells that a spreadsheet would take for a formula get an apostrophe before them, and lose it when they come back.

Pure. A text that has apostrophes before such a sign already gets one more, so taking one off is always right
(https://owasp.org/www-community/attacks/CSV_Injection).
"""

from __future__ import annotations

import re

# The full-width forms are taken for the others by some programs.
FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
HARMLESS = re.compile(r"[+\-]?[0-9][0-9 ().\-/]*|\+[0-9 ().\-/]+( ?(ext\.?|x) ?[0-9]{1,8})?", re.ASCII | re.IGNORECASE)


def neutralised(text: str, *, is_typed: bool = False) -> str:
    """Text as it can stand in a cell.

    Args:
        is_typed: Whether the cell says itself that it is text, so that a telephone number may stay as it is.
    """
    if not FORMULA.match(text) or (is_typed and HARMLESS.fullmatch(text)):
        return text
    return "'" + text


def restored(text: str) -> str:
    """The text that a cell stands for."""
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text
