"""Finding the highest arrival rate that meets the objectives: doubling until one breaks, then halving the gap. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

GOOD_ENOUGH = 0.05
FIRST_RATE = 10


@dataclass(frozen=True)
class Tried:
    """One rate that was held for a step: what was offered, what was answered a second, and what broke first."""

    offered: int
    answered: float
    broken: str | None


@dataclass
class RateSearch:
    """Decides which rate to try next, up to `highest`."""

    highest: int
    tried: list[Tried] = field(default_factory=list)

    @property
    def met(self) -> Tried | None:
        """The highest rate that met the objectives so far."""
        return max((each for each in self.tried if each.broken is None), key=lambda each: each.offered, default=None)

    @property
    def broke(self) -> Tried | None:
        """The lowest rate that broke one."""
        return min(
            (each for each in self.tried if each.broken is not None), key=lambda each: each.offered, default=None
        )

    def next_rate(self) -> int | None:
        """The rate to try now; None when the answer is known."""
        low = self.met.offered if self.met else 0
        if self.broke is None:
            return None if low >= self.highest else min(self.highest, max(FIRST_RATE, low * 2))
        high = self.broke.offered
        if high - low <= max(1, GOOD_ENOUGH * high):
            return None
        return (low + high) // 2

    def answer(self) -> str:
        """What was found, in a sentence."""
        if self.met is None:
            broken = self.broke.broken if self.broke else "nothing was measured"
            return f"no rate met the SLO: even {self.broke.offered if self.broke else 0} arrivals/s broke it ({broken})"
        found = f"highest rate that meets the SLO: {self.met.offered} arrivals/s ({self.met.answered:,.0f} requests/s)"
        if self.broke is None:
            return f"{found}; --users was the limit of the search"
        return f"{found}; {self.broke.offered} broke it ({self.broke.broken})"
