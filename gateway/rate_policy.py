"""Rate limits as values: what a policy says, how a window slides, and how an answer tells of it. Pure.

A window is cut into SLICES equal slices. A request passes while fewer than ``limit`` passed in this slice and the
SLICES before it, which together span the window and a little more. So no window of the stated length, whatever its
phase, ever holds more than ``limit``; the price is that quota comes back up to a slice (5 %) late. A sliding-window
*estimate* (Cloudflare's weighted counter) would be cheaper still, but lets 1.5 times the limit through at worst.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple

from limits import parse as parse_limits_notation

SLICES = 20


@dataclass(frozen=True, slots=True)
class RatePolicy:
    """``limit`` requests in ``window_seconds``."""

    name: str
    limit: int
    window_seconds: int
    header: bytes = field(init=False)  # RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-10 §3)
    key_prefix: bytes = field(init=False)  # in Redis; a window of another length has other slices, so other keys

    def __post_init__(self) -> None:
        text = f'"{self.name}";q={self.limit};w={self.window_seconds}'
        object.__setattr__(self, "header", text.encode())
        object.__setattr__(self, "key_prefix", f"rl:{self.name}:{self.window_seconds}:".encode())

    def quota_header(self, remaining: int, reset_seconds: float) -> bytes:
        """The ``RateLimit`` field: what is left, and in how many seconds it is restored."""
        return b'"%b";r=%d;t=%d' % (self.name.encode(), max(0, remaining), math.ceil(reset_seconds))


def parse_rate(name: str, text: str) -> RatePolicy:
    """Read the ``limits`` notation, such as ``120/minute`` or ``5 per 10 seconds``.

    Raises:
        ValueError: It isn't that, or names a limit of nothing.
    """
    try:
        item = parse_limits_notation(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a rate such as 120/minute") from None
    if item.amount < 1 or item.get_expiry() < 1:
        raise ValueError(f"{text!r} would let nothing through")
    return RatePolicy(name, item.amount, item.get_expiry())


class Quota(NamedTuple):
    """A limiter's word on one request: it passes or not, what is left, and in how many seconds more is."""

    passed: bool
    remaining: int
    reset_seconds: float


class _Window:
    __slots__ = ("counts", "newest", "total")

    def __init__(self, slice_index: int) -> None:
        self.newest = slice_index
        self.total = 0
        self.counts: dict[int, int] = {}


class LocalLimiter:
    """The same rule within one process, for the time that Redis is away. Bounded: the longest unused key goes first."""

    def __init__(self, max_keys: int = 50_000) -> None:
        self._windows: OrderedDict[tuple[str, str], _Window] = OrderedDict()
        self._max_keys = max_keys

    def hit(self, policy: RatePolicy, key: str, now: float) -> Quota:
        """Count a request of ``key`` at ``now`` (seconds) if it passes."""
        width = policy.window_seconds / SLICES
        current = int(now / width)
        window = self._windows.get((policy.name, key))
        if window is None:
            if len(self._windows) >= self._max_keys:
                self._windows.popitem(last=False)
            window = self._windows[policy.name, key] = _Window(current)
        else:
            self._windows.move_to_end((policy.name, key))
        if current > window.newest:
            window.newest = current
            for index in [i for i in window.counts if i < current - SLICES]:
                window.total -= window.counts.pop(index)
        if window.total >= policy.limit:
            oldest = min(window.counts)
            return Quota(passed=False, remaining=0, reset_seconds=(oldest + SLICES + 1) * width - now)
        window.counts[current] = window.counts.get(current, 0) + 1
        window.total += 1
        return Quota(True, policy.limit - window.total, (current + SLICES + 1) * width - now)
