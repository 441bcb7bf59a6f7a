"""How the load changes over a run: `--shape NAME`, or the class picker of the web interface.

`--users` is the peak and `--run-time` the whole length, as without a shape. With `--open-model` users are arrivals a
second, so each of these is also a shape of an arrival rate. None is active unless it is asked for.
"""

from __future__ import annotations

import math
from typing import Any

from locust import LoadTestShape

DEFAULT_SECONDS = 60.0
STEPS = 8
SPIKE_FLOOR = 0.2


class Shape(LoadTestShape):
    """A load as a function of time."""

    abstract = True
    use_common_options = True

    @property
    def environment(self) -> Any:
        assert self.runner is not None  # noqa: S101 - for the type checker: a shape runs in a runner
        return self.runner.environment

    @property
    def peak(self) -> int:
        return int(self.environment.parsed_options.num_users or 1)

    @property
    def seconds(self) -> float:
        return float(self.environment.parsed_options.run_time or DEFAULT_SECONDS)

    def users_at(self, share: float) -> int:
        """How many users when this share of the run has passed."""
        raise NotImplementedError

    def tick(self) -> tuple[int, float] | None:
        now = self.get_run_time()
        if now >= self.seconds:
            return None
        users = max(1, min(self.peak, self.users_at(now / self.seconds)))
        return users, float(max(self.peak, 1))  # at once: a shape says how many there are, not how fast they come


class Steps(Shape):
    """Eight equal steps up to the peak: where the curve of rate against users bends is the knee."""

    abstract = True

    def users_at(self, share: float) -> int:
        return math.ceil(self.peak * (int(share * STEPS) + 1) / STEPS)


class Spike(Shape):
    """A fifth of the peak, for the middle fifth of the run the peak, and the fifth again: does it recover?"""

    abstract = True

    def users_at(self, share: float) -> int:
        return self.peak if 0.4 <= share < 0.6 else math.ceil(self.peak * SPIKE_FLOOR)


class Soak(Shape):
    """The peak all the time: for hours, to see what grows."""

    abstract = True

    def users_at(self, share: float) -> int:
        return self.peak


class Ramp(Shape):
    """Evenly from nothing to the peak."""

    abstract = True

    def users_at(self, share: float) -> int:
        return math.ceil(self.peak * share)


class Search(Shape):
    """The highest rate that meets the SLO; see `loadtests.rate_search`."""

    abstract = True

    def tick(self) -> tuple[int, float] | None:
        run = self.environment.matricula
        rate: int | None = run.next_search_rate(self.peak)
        return None if rate is None else (rate, float(self.peak))


BY_NAME = {"steps": Steps, "spike": Spike, "soak": Soak, "ramp": Ramp, "search": Search}
