"""Entity tags and preconditions (RFC 9110 §8.8.3 and §13).

Pure. A student's tag is strong and made from its version, so it differs whenever the answer would.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum

_TAG = re.compile(r'(?P<weak>W/)?"(?P<opaque>[\x21\x23-\x7e\x80-\xff]*)"')
_SEPARATORS = " \t,"


class MalformedTags(ValueError):
    """The header is neither ``*`` nor a list of entity tags."""


class Outcome(Enum):
    """What the preconditions of a request say."""

    GO_ON = "go on"
    NOT_MODIFIED = "not modified"
    FAILED = "failed"


def entity_tag(version: int) -> str:
    """The strong entity tag of a version."""
    return f'"v{version}"'


def parse_tags(lines: Sequence[str]) -> list[tuple[bool, str]] | None:
    """The tags of a header as (is weak, opaque part); None stands for ``*``.

    Several lines are one list (RFC 9110 §5.3), and empty elements of a list don't count (§5.6.1).

    Raises:
        MalformedTags: It is anything else, or has no tag at all.
    """
    text = ",".join(lines).strip(_SEPARATORS)
    if text == "*":
        return None
    tags: list[tuple[bool, str]] = []
    position = 0
    while position < len(text):
        match = _TAG.match(text, position)
        if match is None:
            raise MalformedTags
        tags.append((match["weak"] is not None, match["opaque"]))
        rest = text[match.end() :]
        gap = rest[: len(rest) - len(rest.lstrip(_SEPARATORS))]
        if rest and "," not in gap:
            raise MalformedTags
        position = match.end() + len(gap)
    if not tags:
        raise MalformedTags
    return tags


def evaluate(
    version: int, *, if_match: Sequence[str] | None, if_none_match: Sequence[str] | None, is_read: bool
) -> Outcome:
    """Decide in the order of RFC 9110 §13.2.2 for a student that exists.

    A malformed If-None-Match of a read is as good as none: the answer is then merely sent in full.

    Raises:
        MalformedTags: A tag list that guards a change can't be read, so the guard can't be honoured.
    """
    opaque = entity_tag(version)[1:-1]
    if if_match:
        tags = parse_tags(if_match)
        # Strong comparison (§13.1.1): a weak tag never matches.
        if tags is not None and (False, opaque) not in tags:
            return Outcome.FAILED
    if if_none_match:
        try:
            tags = parse_tags(if_none_match)
        except MalformedTags:
            if not is_read:
                raise
            return Outcome.GO_ON
        # Weak comparison (§13.1.2).
        if tags is None or any(tag == opaque for _, tag in tags):
            return Outcome.NOT_MODIFIED if is_read else Outcome.FAILED
    return Outcome.GO_ON
