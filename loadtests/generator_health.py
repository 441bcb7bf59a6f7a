"""Whether the load generator kept up: a generator that is the limit measures itself. Pure.

Two signs, sampled every second in every process: CPU of the process near one core (gevent uses no more), and how late
the process wakes up when it asked for a moment's sleep: that lateness is part of every latency it reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from loadtests.recorder import Process

CPU_LIMIT_PERCENT = 90.0
DELAY_LIMIT_MS = 100.0
TOLERATED_SHARE = 0.2


@dataclass(frozen=True)
class Health:
    """One process: its mean and highest CPU in percent of a core, its median and highest delay in milliseconds."""

    process: str
    mean_cpu: float
    max_cpu: float
    median_delay_ms: float
    max_delay_ms: float
    warning: str | None


def health_of(processes: Mapping[str, Process]) -> list[Health]:
    """How each process fared; a process that was the limit in more than a fifth of the samples has a warning."""
    found = []
    for name, process in sorted(processes.items()):
        if not process.samples:
            continue
        cpu = [sample[1] for sample in process.samples]
        delays = sorted(sample[2] for sample in process.samples)
        busy = sum(each > CPU_LIMIT_PERCENT for each in cpu) / len(cpu)
        late = sum(each > DELAY_LIMIT_MS for each in delays) / len(delays)
        warning = None
        if busy > TOLERATED_SHARE:
            warning = f"used more than {CPU_LIMIT_PERCENT:.0f} % of its core in {busy:.0%} of the samples"
        elif late > TOLERATED_SHARE:
            warning = f"woke up more than {DELAY_LIMIT_MS:.0f} ms late in {late:.0%} of the samples"
        median = delays[len(delays) // 2]
        found.append(Health(name, sum(cpu) / len(cpu), max(cpu), median, delays[-1], warning))
    return found
