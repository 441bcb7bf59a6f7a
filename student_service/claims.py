"""Who may have a student number or an e-mail address that somebody else has: whom that one passes it on to. Pure.

Many students change at once, so what counts is what they have afterwards: two may swap, three pass on in a circle.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

Who = int | str


class Claim(NamedTuple):
    """Somebody is to have what a holder has; both are named alike. ``is_given_up``: the holder is to have another."""

    claimant: Who
    field: str
    holder: Who
    is_given_up: bool


def refused(claims: Sequence[Claim]) -> dict[Who, list[str]]:
    """Whose claims can't be met, with the fields: the holder keeps it, or can't have what it claims itself."""
    of_holder = defaultdict(list)
    for claim in claims:
        of_holder[claim.holder].append(claim)
    found: dict[Who, list[str]] = {}
    unmet = [claim for claim in claims if not claim.is_given_up]
    while unmet:
        claim = unmet.pop()
        if claim.claimant not in found:
            unmet += of_holder.pop(claim.claimant, ())
        fields = found.setdefault(claim.claimant, [])
        if claim.field not in fields:
            fields.append(claim.field)
    return found


def groups(claims: Iterable[Claim]) -> dict[Who, Who]:
    """Who passes something on to each other, directly or by others: each → one of theirs, the same for all of them."""
    leader: dict[Who, Who] = {}

    def lead(one: Who) -> Who:
        while leader.setdefault(one, one) != one:
            leader[one] = one = leader[leader[one]]
        return one

    for claim in claims:
        first, second = lead(claim.claimant), lead(claim.holder)
        leader[second] = first
    return {one: lead(one) for one in leader}
