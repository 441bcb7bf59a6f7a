"""Latencies at full resolution in little memory: a log-linear histogram, as HdrHistogram has it. Pure.

Values are whole microseconds. Below 2,048 µs each has a bucket of its own; above, buckets are at most 1/1024 of their
value wide, so any percentile is right to 0.1 %. Histograms of several processes add up without loss.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

_BITS = 10
_EXACT = 2 << _BITS


def bucket_of(microseconds: int) -> int:
    """The bucket that a value falls into."""
    if microseconds < _EXACT:
        return max(0, microseconds)
    shift = microseconds.bit_length() - _BITS - 1
    return (shift << _BITS) + (microseconds >> shift)


def value_of(bucket: int) -> float:
    """The middle of a bucket, in microseconds."""
    if bucket < _EXACT:
        return float(bucket)
    shift = (bucket >> _BITS) - 1
    low = (bucket - (shift << _BITS)) << shift
    return low + (1 << shift) / 2


@dataclass
class Histogram:
    """How often which latency occurred."""

    counts: dict[int, int] = field(default_factory=dict)
    total: int = 0
    highest_us: int = 0

    def add(self, microseconds: int) -> None:
        """Count one latency."""
        bucket = bucket_of(microseconds)
        self.counts[bucket] = self.counts.get(bucket, 0) + 1
        self.total += 1
        self.highest_us = max(self.highest_us, microseconds)

    def merge(self, other: Histogram) -> None:
        """Add all of another's."""
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count
        self.total += other.total
        self.highest_us = max(self.highest_us, other.highest_us)

    def percentile_ms(self, fraction: float) -> float | None:
        """The latency that this fraction of all doesn't exceed, in milliseconds; None when there is none."""
        return self.percentiles_ms((fraction,))[0]

    def percentiles_ms(self, fractions: Iterable[float]) -> list[float | None]:
        """Several of them in one pass; the fractions must ascend."""
        if not self.total:
            return [None for _ in fractions]
        found: list[float | None] = []
        seen, buckets = 0, iter(sorted(self.counts))
        bucket = next(buckets)
        seen = self.counts[bucket]
        for fraction in fractions:
            rank = max(1, math.ceil(fraction * self.total - 1e-9))
            while seen < rank:
                bucket = next(buckets)
                seen += self.counts[bucket]
            found.append(min(value_of(bucket), self.highest_us) / 1000)
        return found

    @property
    def max_ms(self) -> float | None:
        """The longest, exactly."""
        return self.highest_us / 1000 if self.total else None


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """All of them in one."""
    whole = Histogram()
    for each in histograms:
        whole.merge(each)
    return whole
