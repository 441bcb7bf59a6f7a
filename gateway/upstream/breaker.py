"""When a replica is left alone, and when it is tried again. Pure: the clock is passed in.

    closed ──failures in a row──▶ open ──after a time──▶ half open ──trial fails──▶ open, for twice as long
       ▲──────────────── any complete answer ───────────────┘

A complete answer proves life wherever it comes from, be it one that was asked for before the replica was ejected. What
else becomes of such older requests tells nothing of the replica as it is now: a trial fails by its own failure only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from gateway.upstream.policy import BreakerPolicy

State = Literal["closed", "open", "half_open"]


class Breaker:
    """One replica's state. `failures` counts those in a row.

    `on_change` is called when the replica is ejected (True) and when it is back (False).
    """

    __slots__ = ("_on_change", "_open_seconds", "_policy", "failures", "retry_at", "state")

    def __init__(self, policy: BreakerPolicy, on_change: Callable[[bool], None] | None = None) -> None:
        self._policy = policy
        self._on_change = on_change
        self._open_seconds = policy.open_seconds
        self.state: State = "closed"
        self.failures = 0
        self.retry_at = 0.0  # the time from which a trial is due, while open

    def may_try(self, now: float) -> bool:
        """Tell whether `begin_trial` is due: open for long enough, and no trial under way."""
        return self.state == "open" and now >= self.retry_at

    def begin_trial(self) -> None:
        self.state = "half_open"

    def fail_trial(self, now: float) -> None:
        """Note that the trial itself has failed."""
        if self.state != "half_open":  # an older request has been answered while it was under way
            self.record_failure(now)
            return
        self.failures += 1
        self._open_seconds = min(2 * self._open_seconds, self._policy.open_seconds_max)
        self._open(now)

    def abandon_trial(self, now: float) -> None:
        """Note that the trial itself ended without telling anything (its client left): the next is due at once."""
        if self.state == "half_open":
            self.state = "open"
            self.retry_at = now

    def record_success(self) -> None:
        was_ejected = self.state != "closed"
        self.state = "closed"
        self.failures = 0
        self._open_seconds = self._policy.open_seconds
        if was_ejected and self._on_change is not None:
            self._on_change(False)

    def record_failure(self, now: float) -> None:
        """Note a failure of anything but the trial."""
        self.failures += 1
        if self.state == "closed" and self.failures >= self._policy.failures:
            self._open(now)
            if self._on_change is not None:
                self._on_change(True)

    def _open(self, now: float) -> None:
        self.state = "open"
        self.retry_at = now + self._open_seconds
